"""Who claims which source: of several gateways of one VPC that name the same CIDR the oldest has it."""

from veg_planner.plan.basis import kept, not_given_up
from veg_planner.plan.contest import refused
from veg_planner.plan.notes import Notes
from veg_planner.plan.sources import blocks
from veg_planner.plan.subject import living
from veg_planner.spec import Spec, vpc_of
from veg_planner.world import World


def owners(world: World, vpc: str) -> dict[str, str]:
    """CIDR -> the oldest gateway of the VPC that claims it.

    One that is being deleted claims nothing any more, and one that is left to another controller claims nothing at all.
    """
    found: dict[str, str] = {}
    for gateway in world.gateways():
        for cidr in _claimed(world, gateway, vpc):
            found.setdefault(cidr, gateway)
    return found


def first_selecting(world: World, vpc: str) -> str:
    """The oldest gateway of the VPC that selects pods by labels; empty when none does."""
    return next((gateway for gateway in world.gateways() if _selects(world, gateway, vpc)), "")


def _selects(world: World, gateway: str, vpc: str) -> bool:
    subject, spec = living(world, gateway), world.spec(gateway)
    if subject is None or refused(world, subject):
        return False
    now = isinstance(spec, Spec) and bool(spec.selectors) and vpc_of(spec, world.settings) == vpc
    basis = subject.basis
    before = basis is not None and bool(basis.spec.selectors) and basis.network.vpc == vpc
    # Where both say the same there is no need to look at the networks.
    return before if before != now and kept(world, subject) is not None else now


def _claimed(world: World, gateway: str, vpc: str) -> list[str]:
    """What it names; one that goes on with what it was last planned from claims that, and nothing newer."""
    subject = living(world, gateway)
    if subject is None or refused(world, subject):
        return []
    if (before := kept(world, subject)) is not None:
        return [source.cidr for source in before.sources] if before.network.vpc == vpc else []
    spec = world.spec(gateway)
    if isinstance(spec, Spec):
        if vpc_of(spec, world.settings) != vpc:
            return []
        named = Notes()
        found = [block.cidr for block in blocks(world, spec, vpc, named)]
        if named.of("waits", "refused") and subject.basis is not None and subject.basis.network.vpc == vpc:
            found += [source.cidr for source in not_given_up(subject.basis)]
        return found
    # Planned by a planner that did not remember from what. Kube-OVN names the router like the VPC.
    last = subject.last
    if last is None or last.config is None or last.nb is None or last.nb.router != vpc:
        return []
    return [source.cidr for source in last.config.sources]
