"""Chassis that have had no flows for a while: rows count as programmed without them, and that is said."""

from typing import Final

from veg_contracts.events import SilentChassis
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


def _name(chassis: SilentChassis) -> str:
    return f"{chassis.hostname} ({chassis.name})" if chassis.hostname else chassis.name
