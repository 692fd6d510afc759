"""The plan of one gateway, from its spec down to its status."""

import msgspec

from veg_contracts import names
from veg_contracts.intent import Intent, NbRows, Part, Source
from veg_contracts.objects import EgressGateway, IPPool, Pod
from veg_planner.plan import bfd, claims, pods, progress, routing
from veg_planner.plan import config as pod_config
from veg_planner.plan import network as networks
from veg_planner.plan.draft import Draft, Plan
from veg_planner.plan.network import Network
from veg_planner.plan.notes import Notes
from veg_planner.plan.pods import Members
from veg_planner.plan.removal import removal
from veg_planner.plan.sources import sources
from veg_planner.plan.status import status
from veg_planner.plan.subject import Subject
from veg_planner.plan.workload import deployment_name, workload
from veg_planner.spec import Spec
from veg_planner.state import LocalGroup, Selecting
from veg_planner.world import World


def plan_gateway(world: World, gateway: str) -> Plan:
    """What this gateway should look like now, and why."""
    notes = Notes()
    stored = world.stored(EgressGateway.KIND, gateway)
    last = world.intent(gateway)
    if stored is None or not isinstance(stored.object, EgressGateway) or stored.object.deleting:
        return removal(world, gateway, last, notes)
    same = last is not None and last.gateway_uid == stored.uid
    subject = Subject(gateway=stored.object, uid=stored.uid, last=last if same else None)
    spec = world.spec(gateway)
    if not isinstance(spec, Spec):
        for error in spec or ():
            notes.refused("spec", str(error))
        return _kept(world, subject, notes)
    _note_not_acted_on(spec, notes)
    network = networks.resolve(world, spec, notes)
    if network is None or not _may_change(world, subject, spec, network, notes):
        return _kept(world, subject, notes)
    return _planned(world, subject, spec, network, notes)


def _planned(world: World, subject: Subject, spec: Spec, network: Network, notes: Notes) -> Plan:
    gateway, uid = subject.gateway, subject.uid
    wanted = sources(world, spec, network, notes)
    team = pods.members(world, gateway.key, uid, network, notes)
    before = subject.last.nb if subject.last is not None else None
    watching = bfd.watch(world, spec, network, before, notes)
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


def _kept(world: World, subject: Subject, notes: Notes) -> Plan:
    """Nothing can be planned: what there was stays as it was, and the status says why."""
    last = subject.last
    kept = last.status if last is not None else None
    new = status(subject.gateway, 0, subject.gateway.name, (), notes.steps)
    if kept is not None:
        new = msgspec.structs.replace(kept, ready=new.ready, phase=new.phase, conditions=new.conditions)
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


def _may_change(world: World, subject: Subject, spec: Spec, network: Network, notes: Notes) -> bool:
    """Whether this spec can be acted on at all."""
    workload_before = subject.last.workload if subject.last is not None else None
    name = deployment_name(subject.gateway, spec)
    if workload_before is not None and workload_before.name != name:
        text = f"spec.prefix: {spec.prefix!r}: This field is immutable. The Deployment is {workload_before.name!r}"
        notes.refused("spec", text)
        return False
    if not (spec.image or world.settings.image):
        notes.refused("spec", "spec.image: '': the planner has no default image, so one is needed here")
        return False
    return _check_pools(world, spec, network, notes)


def _check_pools(world: World, spec: Spec, network: Network, notes: Notes) -> bool:
    fine = True
    for field, name, subnet in (
        ("spec.internalIPPool", spec.internal_ip_pool, network.internal),
        ("spec.externalIPPool", spec.external_ip_pool, network.external),
    ):
        pool = world.find(IPPool, name) if name else None
        if name and pool is None:
            notes.waits("pool", f'{field}: IPPool "{name}" does not exist')
        elif pool is not None and pool.subnet != subnet.name:
            notes.refused("pool", f'{field}: IPPool "{name}" is of Subnet "{pool.subnet}", not of "{subnet.name}"')
        else:
            continue
        fine = False
    return fine


def _note_not_acted_on(spec: Spec, notes: Notes) -> None:
    """What is accepted and has no effect as the spec is. It is said; it is never ignored silently."""
    if spec.traffic_policy == "Local" and not spec.bfd.enabled:
        notes.done("not acted on", "spec.trafficPolicy: 'Local' has an effect only with spec.bfd.enabled: true")


def _settled(world: World, last: Intent | None, rows: NbRows) -> bool:
    """Whether the chassis have these rows: until then traffic may still come as the rows before say."""
    if last is None or last.nb is None:
        return True
    state = world.part(last.gateway, Part.NB)
    return rows == last.nb and state is not None and state.programmed >= last.generations.nb
