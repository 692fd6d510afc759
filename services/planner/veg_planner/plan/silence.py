"""Chassis that have had no flows for a while: rows count as programmed without them, and that is said.

None of them runs the BFD sessions of a Vpc, as long as there is another one that can.
"""

from collections.abc import Sequence
from typing import Final

from veg_contracts.events import SilentChassis
from veg_contracts.intent import Intent
from veg_contracts.objects import Node
from veg_planner.plan.notes import Notes
from veg_planner.world import World

TOPIC: Final = "chassis"
_NAMED_MAX: Final = 3  # a status is read by people, and its length is limited


def note(world: World, notes: Notes) -> None:
    """Name the chassis, each in a sentence, and count those that are too many to be named."""
    silent = world.silent_chassis
    for chassis in silent.chassis[:_NAMED_MAX]:
        since = chassis.since[:19].replace("T", " ")
        notes.done(
            TOPIC,
            f"chassis {_name(chassis)} has not had flows of OVN since {since} UTC; rows count as programmed without it",
        )
    if more := len(silent.chassis[_NAMED_MAX:]) + silent.left_out:
        notes.done(TOPIC, f"nor have {more} more chassis")


def members(world: World, nodes: Sequence[Node], before: Intent | None, notes: Notes) -> tuple[str, ...]:
    """The chassis of these nodes that may run a BFD port, in the order of the nodes: those that live.

    OVN asks by its tunnels who lives, and ovs-vswitchd answers for a chassis whose ovn-controller, which runs the
    sessions, is dead. Where not one lives the observer is doubted (docs/decisions/0015): the members stay as they are.
    """
    wanted = tuple(dict.fromkeys(node.chassis for node in nodes))
    silent = {chassis.name for chassis in world.silent_chassis.chassis}
    living = tuple(chassis for chassis in wanted if chassis not in silent)
    if wanted and not living:
        notes.done(
            TOPIC, "no chassis of the BFD port has flows of OVN: that is doubted, and those that may run it stay"
        )
        return tuple(chassis for chassis in wanted if chassis in _members_of(before)) or wanted
    for node in nodes:
        if node.chassis in silent:
            notes.done(TOPIC, f"the chassis of node {node.name} has no flows of OVN: it does not run the BFD port")
    return living


def _members_of(vpc: Intent | None) -> tuple[str, ...]:
    return vpc.nb.bfd_port.chassis if vpc is not None and vpc.nb is not None and vpc.nb.bfd_port is not None else ()


def _name(chassis: SilentChassis) -> str:
    return f"{chassis.hostname} ({chassis.name})" if chassis.hostname else chassis.name
