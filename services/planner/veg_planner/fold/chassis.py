"""Chassis without which rows count as programmed, as the ovn-writer sees them: status and HA groups depend on them."""

import msgspec

from veg_contracts.events import ChassisObserved, SilentChassis
from veg_planner.state import SilentSet
from veg_planner.world import SILENT, World


def observed(world: World, event: ChassisObserved) -> list[str]:
    """Take in which are silent now. It is rare: all gateways look again, and the Vpcs, since one may run a BFD port."""
    known = world.silent_chassis
    told = event.silent[: SilentSet.KEPT_MAX]
    new = SilentSet(
        chassis=tuple(_kept(known, one) for one in told), left_out=event.left_out + len(event.silent) - len(told)
    )
    if new == known:
        return []
    if new != SilentSet():
        world.put(SILENT, "chassis", new)
    else:
        world.remove(SILENT, "chassis")
    return world.subjects()


def _kept(known: SilentSet, now: SilentChassis) -> SilentChassis:
    """As it was told first: a writer that starts does not know for how long a chassis has been silent."""
    before = [one for one in known.chassis if (one.name, one.hostname) == (now.name, now.hostname)]
    return msgspec.structs.replace(now, lacks=before[0].lacks, since=before[0].since) if before else now
