"""The plan of one gateway, from its spec down to its status."""

import msgspec

from veg_contracts.intent import Intent, NbRows, Part, Source
from veg_contracts.objects import EgressGateway
from veg_planner.plan import config as pod_config
from veg_planner.plan import network as networks
from veg_planner.plan import pods, progress, routing
from veg_planner.plan.draft import Draft, Plan
from veg_planner.plan.network import Network
from veg_planner.plan.notes import Notes
from veg_planner.plan.removal import removal
from veg_planner.plan.sources import sources
from veg_planner.plan.spec import Spec, parse
from veg_planner.plan.status import status
from veg_planner.plan.subject import Subject
from veg_planner.plan.workload import deployment_name, workload
from veg_planner.world import World


def plan(world: World, gateway: str) -> Plan:
    """What this gateway should look like now, and why."""
    notes = Notes()
    stored = world.stored(EgressGateway.KIND, gateway)
    last = world.intent(gateway)
    if stored is None or not isinstance(stored.object, EgressGateway) or stored.object.deleting:
        return removal(world, gateway, last, notes)
    same = last is not None and last.gateway_uid == stored.uid
    subject = Subject(gateway=stored.object, uid=stored.uid, last=last if same else None)
    spec = parse(subject.gateway.spec)
    if not isinstance(spec, Spec):
        for error in spec:
            notes.refused("spec", str(error))
        return _kept(subject, notes)
    _note_not_acted_on(spec, notes)
    network = networks.resolve(world, spec, notes)
    if network is None or not _may_change(world, subject, spec, network, notes):
        return _kept(subject, notes)
    return _planned(world, subject, spec, network, notes)


def _planned(world: World, subject: Subject, spec: Spec, network: Network, notes: Notes) -> Plan:
    gateway, uid = subject.gateway, subject.uid
    wanted = sources(world, spec, network, notes)
    serving = pods.members(world, gateway.key, uid, network, notes)
    # A gateway of no replicas has no nexthop, though its last pod may still be on its way out.
    rows = routing.rows(network, wanted, serving, notes) if spec.replicas else NbRows()
    config = pod_config.config(gateway.key, uid, network, wanted, _lingering(world, subject.last, rows, wanted))
    draft = Draft(
        gateway=gateway.key,
        gateway_uid=uid,
        nb=rows,
        workload=workload(gateway, uid, spec, network, world.settings),
        finalizer=True,
        config=config,
    )
    progress.note(world, subject, draft, progress.Counted(replicas=spec.replicas, serving=serving), notes)
    new = status(gateway, spec.replicas, deployment_name(gateway, spec), serving, notes.steps)
    return Plan(draft=msgspec.structs.replace(draft, status=new), steps=notes.steps)


def _kept(subject: Subject, notes: Notes) -> Plan:
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
    return Plan(draft=draft, steps=notes.steps)


def _may_change(world: World, subject: Subject, spec: Spec, network: Network, notes: Notes) -> bool:
    """Whether this spec can be acted on at all."""
    workload_before = subject.last.workload if subject.last is not None else None
    name = deployment_name(subject.gateway, spec)
    if workload_before is not None and workload_before.name != name:
        text = f"spec.prefix: {spec.prefix!r}: it is immutable; the Deployment is {workload_before.name!r}"
        notes.refused("spec", text)
        return False
    if not (spec.image or world.settings.image):
        notes.refused("spec", "spec.image: '': the planner has no default image, so one is needed here")
        return False
    if network.vpc != world.settings.default_vpc:
        default = world.settings.default_vpc
        text = f'spec.vpc: {network.vpc!r}: gateways of VPCs other than "{default}" are not acted on yet'
        notes.refused("not acted on", text)
        return False
    return True


def _note_not_acted_on(spec: Spec, notes: Notes) -> None:
    """What this version accepts and does not act on. It says so; it never ignores silently."""
    if spec.bfd.enabled:
        notes.done("not acted on", "spec.bfd.enabled: true: BFD is not acted on yet")
    if spec.selectors:
        notes.done("not acted on", f"spec.selectors: {len(spec.selectors)} selectors are not acted on yet")
    if spec.traffic_policy != "Cluster":
        notes.done("not acted on", f"spec.trafficPolicy: {spec.traffic_policy!r} is not acted on yet")


def _lingering(world: World, last: Intent | None, rows: NbRows, wanted: tuple[Source, ...]) -> tuple[Source, ...]:
    """Sources that may leave the config only after the chassis have the rows without them."""
    if last is None or last.nb is None:
        return ()
    state = world.part(last.gateway, Part.NB)
    settled = rows == last.nb and state is not None and state.programmed >= last.generations.nb
    return pod_config.lingering_sources(last.config, wanted, None if settled else last.nb)
