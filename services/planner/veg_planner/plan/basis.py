"""What a gateway's rows and config are made from: its spec and networks as they are, or as they were when last planned.

Pods, their agents and their BFD sessions are no part of it. They are followed at all times, or a typo in a spec would
leave a dead pod its traffic until somebody mends it.
"""

from veg_contracts import addresses
from veg_contracts.intent import Source
from veg_contracts.objects import IPPool
from veg_planner.plan import network as networks
from veg_planner.plan.network import Network
from veg_planner.plan.notes import Notes
from veg_planner.plan.sources import order, sources
from veg_planner.plan.subject import Subject
from veg_planner.plan.workload import deployment_name
from veg_planner.spec import Spec
from veg_planner.state import Basis
from veg_planner.world import World


def resolve(world: World, subject: Subject, notes: Notes) -> Basis | None:
    """What there is now; None, with the reasons in the notes, when nothing can be planned from it."""
    found = _acted_on(world, subject, notes)
    if found is None:
        return None
    spec, network = found
    named = Notes()
    wanted = sources(world, spec, network, named)
    notes.extend(named)
    if named.of("waits", "refused") and subject.basis is not None and subject.basis.network.vpc == network.vpc:
        wanted = _with_those_of_before(wanted, subject.basis, network)
    return Basis(gateway_uid=subject.uid, spec=spec, network=network, sources=wanted)


def not_given_up(before: Basis) -> list[Source]:
    """The sources that a gateway keeps while one of its policies names a Subnet that cannot be used.

    One of them may be the one that was meant. Not what it never had, nor a CIDR that was written out: that is no typo.
    """
    written = {addresses.masked(text) for policy in before.spec.policies for text in policy.ip_blocks}
    return [source for source in before.sources if source.cidr in before.held and source.cidr not in written]


def _with_those_of_before(wanted: tuple[Source, ...], before: Basis, network: Network) -> tuple[Source, ...]:
    kept = not_given_up(before)
    found = {source.cidr: source for source in kept if addresses.family(source.cidr) in network.families}
    found |= {source.cidr: source for source in wanted}
    return tuple(found[cidr] for cidr in sorted(found, key=order))


def kept(world: World, subject: Subject) -> Basis | None:
    """What a gateway was last planned from, while nothing can be planned from what there is now."""
    if subject.basis is None or _acted_on(world, subject, Notes()) is not None:
        return None
    return subject.basis


def _acted_on(world: World, subject: Subject, notes: Notes) -> tuple[Spec, Network] | None:
    """The spec and networks, if this spec can be acted on at all."""
    spec = world.spec(subject.gateway.key)
    if not isinstance(spec, Spec):
        for error in spec or ():
            notes.refused("spec", str(error))
        return None
    _note_not_acted_on(spec, notes)
    network = networks.resolve(world, spec, notes)
    if network is None or not _may_change(world, subject, spec, network, notes):
        return None
    if not _may_move(world, subject, spec, network, notes):
        return None
    return spec, network


def _note_not_acted_on(spec: Spec, notes: Notes) -> None:
    """What is accepted and has no effect as the spec is. It is said; it is never ignored silently."""
    if spec.traffic_policy == "Local" and not spec.bfd.enabled:
        notes.done("not acted on", "spec.trafficPolicy: 'Local' has an effect only with spec.bfd.enabled: true")


def _may_change(world: World, subject: Subject, spec: Spec, network: Network, notes: Notes) -> bool:
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


def _may_move(world: World, subject: Subject, spec: Spec, network: Network, notes: Notes) -> bool:
    """Into another VPC only with all of its sources: else its pods would roll, and what it serves would be dropped."""
    if subject.basis is None or subject.basis.network.vpc == network.vpc:
        return True
    named = Notes()
    sources(world, spec, network, named)
    if not named.of("waits", "refused"):
        return True
    notes.extend(named)
    return False


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
