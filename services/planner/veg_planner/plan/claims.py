"""Who claims which source: of several gateways of one VPC that name the same CIDR the oldest has it."""

from veg_contracts.objects import EgressGateway
from veg_planner.plan.network import vpc_of
from veg_planner.plan.notes import Notes
from veg_planner.plan.sources import blocks
from veg_planner.spec import FieldError, Spec
from veg_planner.world import World


def owners(world: World, vpc: str) -> dict[str, str]:
    """CIDR -> the oldest gateway of the VPC that claims it. One that is being deleted claims nothing any more."""
    found: dict[str, str] = {}
    for gateway in world.gateways():
        for cidr in _claimed(world, gateway, vpc):
            found.setdefault(cidr, gateway)
    return found


def first_selecting(world: World, vpc: str) -> str:
    """The oldest gateway of the VPC that selects pods by labels; empty when none does."""
    for gateway in world.gateways():
        spec = _living_spec(world, gateway)
        if isinstance(spec, Spec) and spec.selectors and vpc_of(spec, world.settings) == vpc:
            return gateway
    return ""


def _living_spec(world: World, gateway: str) -> Spec | tuple[FieldError, ...] | None:
    found = world.find(EgressGateway, gateway)
    return world.spec(gateway) if found is not None and not found.deleting else None


def _claimed(world: World, gateway: str, vpc: str) -> list[str]:
    spec = _living_spec(world, gateway)
    if spec is None:
        return []
    if isinstance(spec, Spec):
        here = vpc_of(spec, world.settings) == vpc
        return [block.cidr for block in blocks(world, spec, vpc, Notes())] if here else []
    # A bad edit: its last good rows stay, and so do its claims. Kube-OVN names the router like the VPC.
    last = world.intent(gateway)
    if last is None or last.config is None or last.nb is None or last.nb.router != vpc:
        return []
    return [source.cidr for source in last.config.sources]
