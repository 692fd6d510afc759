"""The plan of one gateway, from its spec down to its status."""

import msgspec

from veg_contracts import names
from veg_contracts.intent import GatewayStatus, Intent, NbRows, Part, Source, Step
from veg_contracts.objects import Pod
from veg_planner.plan import basis as bases
from veg_planner.plan import bfd, claims, contest, pods, progress, routing, silence, stability
from veg_planner.plan import config as pod_config
from veg_planner.plan.draft import Draft, Plan
from veg_planner.plan.notes import Notes
from veg_planner.plan.pods import Members
from veg_planner.plan.removal import removal
from veg_planner.plan.status import status
from veg_planner.plan.subject import Subject, living
from veg_planner.plan.workload import deployment_name, workload
from veg_planner.state import Basis, LocalGroup, Selecting
from veg_planner.world import World


def plan_gateway(world: World, gateway: str) -> Plan:
    """What this gateway should look like now, and why."""
    notes, subject = Notes(), living(world, gateway)
    if subject is None:
        silence.note(world, notes)
        return removal(world, gateway, world.intent(gateway), notes)
    if (held := contest.hold(world, subject, notes)) is not None:
        return held
    stability.note(world, gateway, notes)
    silence.note(world, notes)
    now = bases.resolve(world, subject, notes)
    if now is not None:
        return _planned(world, subject, now, notes)
    if subject.basis is not None:
        return _going_on(world, subject, subject.basis, notes)
    return _kept(world, subject, notes)


def _planned(world: World, subject: Subject, basis: Basis, notes: Notes) -> Plan:
    gateway, uid, spec, network, wanted = subject.gateway, subject.uid, basis.spec, basis.network, basis.sources
    team = pods.members(world, gateway.key, uid, network, notes)
    before = subject.last.nb if subject.last is not None else None
    spared = bfd.spare(before, subject.basis.spared if subject.basis is not None else ())
    watching = bfd.watch(world, spec, network, spared, notes)
    owners = claims.owners(world, network.vpc)
    taken = routing.Wanted(
        sources=_own(gateway.key, wanted, owners, notes),
        selects=bool(spec.selectors),
        owners=owners,
        leads=claims.first_selecting(world, network.vpc) == gateway.key,
    )
    # A gateway of no replicas has no nexthop, though its last pod may still be on its way out.
    standing = team if spec.replicas else Members()
    routed = routing.Router(
        world=world,
        gateway=gateway.key,
        spec=spec,
        network=network,
        wanted=taken,
        team=standing,
        watching=watching,
        notes=notes,
    ).routing()
    rows = routed.rows if spec.replicas or watching.enabled else NbRows()
    settled = _settled(world, subject.last, rows)
    last_config = subject.last.config if subject.last is not None else None
    traffic = pod_config.Traffic(
        wanted=wanted,
        lingering=pod_config.lingering_sources(last_config, wanted, settled=settled),
        selected=bool(spec.selectors) or (not settled and last_config is not None and last_config.default_snat),
        inside=tuple(item.cidr for item in routing.subnets_inside(world, network.vpc)),
        subnets=pods.subnets(world, gateway.key, network),
        bfd=bfd.pod_end(watching, spec),
        relays=watching.relays,
        released=_released(world, subject, rows, settled=settled),
    )
    config = pod_config.config(gateway.key, uid, network, traffic)
    draft = Draft(
        gateway=gateway.key,
        gateway_uid=uid,
        nb=rows,
        workload=workload(gateway, uid, spec, network, world.settings),
        finalizer=True,
        config=config,
    )
    bfd.note(world, gateway.key, watching, standing.serving, notes)
    progress.note(world, subject, draft, progress.Counted(replicas=spec.replicas, serving=team.serving), notes)
    new = status(gateway, spec.replicas, deployment_name(gateway, spec), team.serving, notes.steps)
    return Plan(
        draft=msgspec.structs.replace(draft, status=new),
        steps=notes.steps,
        basis=msgspec.structs.replace(
            basis,
            spared=spared if watching.enabled else (),
            held=tuple(source.cidr for source in taken.sources),
        ),
        selecting=Selecting(router=network.router, created_at=gateway.created_at, selectors=spec.selectors)
        if spec.selectors
        else None,
        local={
            names.node_port_group(gateway.key, node): LocalGroup(gateway=gateway.key, router=network.router, node=node)
            for node in routed.nodes
        },
    )


def _released(world: World, subject: Subject, rows: NbRows, *, settled: bool) -> tuple[str, ...]:
    """The pods on their way out that may stop: no chassis has flows to them, or none ever had."""
    last = subject.last.config if subject.last is not None else None
    known = last.released if last is not None else ()
    used = rows.nexthops
    leaving = {
        stored.object.key: set(stored.object.ips)
        for stored in world.pods_of(subject.gateway.key)
        if isinstance(stored.object, Pod) and stored.object.deleting
    }
    return tuple(sorted(key for key, ips in leaving.items() if key in known or (settled and not ips & used)))


def _own(gateway: str, wanted: tuple[Source, ...], owners: dict[str, str], notes: Notes) -> tuple[Source, ...]:
    """Those of the wanted sources that no older gateway has."""
    for source in wanted:
        if (owner := owners.get(source.cidr, gateway)) != gateway:
            text = f"source {source.cidr} is taken by VpcEgressGateway {owner}, which is older"
            notes.refused("sources", text)
    return tuple(source for source in wanted if owners.get(source.cidr, gateway) == gateway)


def _going_on(world: World, subject: Subject, basis: Basis, notes: Notes) -> Plan:
    """Nothing can be planned from what there is now: what there was goes on, with the pods and sessions of now.

    No pod is rolled. Status: what is wrong, and panic mode. What is awaited of the pods is in the report alone.
    """
    beside = Notes()
    beside.done("kept", "goes on with the spec and the networks that it was last planned from")
    plan = _planned(world, subject, basis, beside)
    panic = (step for step in beside.steps if step.topic == bfd.PANIC)
    draft = msgspec.structs.replace(
        plan.draft,
        workload=subject.last.workload if subject.last is not None else None,
        status=_saying_why(plan.draft.status, subject, (*notes.steps, *panic)),
    )
    return msgspec.structs.replace(plan, draft=draft, steps=(*notes.steps, *beside.steps))


def _saying_why(known: GatewayStatus | None, subject: Subject, steps: tuple[Step, ...]) -> GatewayStatus:
    """The status with what keeps the gateway from being planned."""
    new = status(subject.gateway, 0, subject.gateway.name, (), steps)
    if known is None:
        return new
    return msgspec.structs.replace(known, ready=new.ready, phase=new.phase, conditions=new.conditions)


def _kept(world: World, subject: Subject, notes: Notes) -> Plan:
    """Nothing can be planned, and it is not known what it ever was planned from: what there was stays as it was."""
    last = subject.last
    new = _saying_why(last.status if last is not None else None, subject, notes.steps)
    draft = Draft(
        gateway=subject.gateway.key,
        gateway_uid=subject.uid,
        nb=last.nb if last is not None else None,
        workload=last.workload if last is not None else None,
        finalizer=True,
        status=new,
        config=last.config if last is not None else None,
    )
    # A successor of the same name has nothing to keep: it must not hold the pods of its predecessor.
    selecting = dict(world.selecting()).get(subject.gateway.key) if last is not None else None
    groups = last.nb.port_groups if last is not None and last.nb is not None else ()
    local = {group: known for group in groups if (known := world.local_group(group)) is not None}
    return Plan(draft=draft, steps=notes.steps, selecting=selecting, local=local)


def _settled(world: World, last: Intent | None, rows: NbRows) -> bool:
    """Whether the chassis have these rows: until then traffic may still come as the rows before say."""
    if last is None or last.nb is None:
        return True
    state = world.part(last.gateway, Part.NB)
    return rows == last.nb and state is not None and state.programmed >= last.generations.nb
