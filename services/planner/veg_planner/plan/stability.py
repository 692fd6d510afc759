"""Whether somebody else changes a gateway's rows again and again: they are written again, and that is said."""

from collections.abc import Mapping
from typing import Final

from veg_contracts import names
from veg_planner.plan.notes import Notes
from veg_planner.spec import Spec
from veg_planner.state import Repairs
from veg_planner.world import World

TOPIC: Final = "repaired"
# What is known to do so (Kube-OVN's releases), and what helps.
_POLICIES: Final = (
    "Kube-OVN older than 1.15.3 does so whenever a Vpc without spec.policyRoutes changes: set that field, or upgrade"
)
_ROUTES: Final = (
    "Kube-OVN older than 1.15 does so whenever the Vpc changes: upgrade, or set VEG_CUSTOM_VPC_ROUTING=policy and, so "
    "that the policies stay, spec.policyRoutes of the Vpc"
)
_GROUPS: Final = (
    "Kube-OVN 1.14 and older, 1.15 up to 1.15.16, and 1.16 up to 1.16.2 do so whenever the controller starts: find out "
    "why it restarts, or upgrade"
)
_PEER: Final = (
    "Kube-OVN 1.14 and newer, with its default flags, does so to the stub switch of a BFD port whenever the controller "
    "starts: find out why it restarts; an OVN with Kube-OVN's patches runs the sessions without that switch"
)
_PORT: Final = (
    "Kube-OVN 1.14 and newer does so to a BFD port that spec.bfdPort of the Vpc does not ask for: ask for it there, "
    f"not by the annotation {names.ANNOTATION_BFD_PORT}; otherwise find out what else writes to the Northbound database"
)
_RELAY: Final = (
    "Kube-OVN 1.14 and newer, with its default flags, does so to the router of a relay whenever the controller starts: "
    "find out why it restarts; an OVN with Kube-OVN's patches needs no relay (VEG_BFD_RELAY=off)"
)
_RELAY_ROUTES: Final = (
    "Kube-OVN older than 1.15 does so to the way to a relay whenever the Vpc changes: upgrade; an OVN with Kube-OVN's "
    "patches needs no relay (VEG_BFD_RELAY=off)"
)
_UNKNOWN: Final = "no release of Kube-OVN is known to do so: find out what else writes to the Northbound database"
_REMEDIES: Final = {
    "Logical_Router_Policy": _POLICIES,
    "Logical_Router_Static_Route": _ROUTES,
    "Port_Group": _GROUPS,
    "Port_Group.ports": _GROUPS,
    "Logical_Switch": _PEER,
    "Logical_Router_Port": _PORT,
    "Logical_Router": _RELAY,
}
_REMEDIES_OF_VPC: Final = _REMEDIES | {
    "Logical_Router_Policy": _RELAY_ROUTES,
    "Logical_Router_Static_Route": _RELAY_ROUTES,
}


def note(world: World, gateway: str, notes: Notes) -> None:
    """Say it of each table that was repaired often, of this gateway and of the BFD port that watches its pods."""
    _note(world.repairs(gateway), "this gateway", _REMEDIES, notes)
    spec = world.spec(gateway)
    if isinstance(spec, Spec) and spec.bfd.enabled:
        vpc = spec.vpc or world.settings.default_vpc
        _note(world.repairs(vpc), f"the BFD port of Vpc {vpc}", _REMEDIES_OF_VPC, notes)


def _note(repairs: Repairs, whose: str, remedies: Mapping[str, str], notes: Notes) -> None:
    for table, times in repairs.often.items():
        count = f"{len(times)} times" if len(times) < Repairs.KEPT_MAX else f"{Repairs.KEPT_MAX} times or more"
        done = f"another controller removed or changed rows of {table} of {whose}, and they were written again"
        remedy = remedies.get(table, _UNKNOWN)
        notes.done(TOPIC, f"{count} in the last {Repairs.WINDOW_S // 60} minutes {done}; {remedy}")
