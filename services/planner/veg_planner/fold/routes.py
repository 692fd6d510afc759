"""Src-ip routes of others, as the ovn-writer sees them: no next hop of ours may stand in one ECMP group with theirs."""

from veg_contracts import addresses
from veg_contracts.events import RoutesObserved, RowsListed
from veg_planner.state import StrangeRoutes
from veg_planner.world import ROUTES, World


def observed(world: World, event: RoutesObserved) -> list[str]:
    """Take in what a router has now; all gateways look again, since it is rare."""
    new = StrangeRoutes(prefixes=tuple(filter(_is_masked, event.prefixes)), left_out=event.left_out)
    if new == world.strange_routes(event.router):
        return []
    if new != StrangeRoutes():
        world.put(ROUTES, event.router, new)
    else:
        world.remove(ROUTES, event.router)
    return world.gateways()


def listed(world: World, event: RowsListed) -> list[str]:
    """After a writer's start: a router that it does not name lost its routes while nobody looked."""
    gone = set(world.strange_routers()) - set(event.routers)
    for router in sorted(gone):
        world.remove(ROUTES, router)
    return world.gateways() if gone else []


def _is_masked(prefix: str) -> bool:
    """Every plan of that router reads the prefixes: one that is none must not stop them."""
    try:
        return addresses.masked(prefix) == prefix
    except ValueError:
        return False
