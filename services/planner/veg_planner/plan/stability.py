"""Whether somebody else changes a gateway's rows again and again: they are written again, and that is said."""

from typing import Final

from veg_planner.plan.notes import Notes
from veg_planner.spec import Spec
from veg_planner.state import Repairs
from veg_planner.world import World

TOPIC: Final = "repaired"
# What is known to do so (Kube-OVN's releases), and what helps.
_POLICIES: Final = (
    "Kube-OVN before 1.15.3 does so at each change of a Vpc without spec.policyRoutes: set that, or upgrade"
)
_ROUTES: Final = (
    "Kube-OVN before 1.15 does so at each change of its Vpc: upgrade, or set VEG_CUSTOM_VPC_ROUTING=policy and, so "
    "that policies stay, spec.policyRoutes of the Vpc"
)
_GROUPS: Final = (
    "Kube-OVN up to 1.14, and up to 1.15.16 and 1.16.2, does so when its controller starts: see why it starts again, "
    "or upgrade"
)
_UNKNOWN: Final = "no release of Kube-OVN is known to do so: look who else writes to the Northbound database"
_REMEDIES: Final = {
    "Logical_Router_Policy": _POLICIES,
    "Logical_Router_Static_Route": _ROUTES,
    "Port_Group": _GROUPS,
    "Port_Group.ports": _GROUPS,
}


def note(world: World, gateway: str, notes: Notes) -> None:
    """Say it of each table that was repaired often, of this gateway and of the BFD port that watches its pods."""
    _note(world.repairs(gateway), "this gateway", notes)
    spec = world.spec(gateway)
    if isinstance(spec, Spec) and spec.bfd.enabled:
        vpc = spec.vpc or world.settings.default_vpc
        _note(world.repairs(vpc), f"the BFD port of Vpc {vpc}", notes)


def _note(repairs: Repairs, whose: str, notes: Notes) -> None:
    for table, times in repairs.often.items():
        count = f"{len(times)} times" if len(times) < Repairs.KEPT_MAX else f"{Repairs.KEPT_MAX} times or more"
        done = f"another controller removed or changed rows of {table} of {whose}, and they were written again"
        remedy = _REMEDIES.get(table, _UNKNOWN)
        notes.done(TOPIC, f"{count} in the last {Repairs.WINDOW_S // 60} minutes {done}; {remedy}")
