"""`fold(world, envelope)`: take in one event and say which gateways it touches. Pure.

No decision about a gateway is made here, and nothing is imported from `plan`, `diff` or the shell.
"""

from veg_contracts.envelope import Envelope
from veg_contracts.events import (
    ChassisObserved,
    CommandApplied,
    CommandFailed,
    CommandRefused,
    ConfigApplied,
    ConfigFailed,
    KindListed,
    MembersObserved,
    ObjectChanged,
    ObjectDeleted,
    PlannerConfigured,
    RoutesObserved,
    RowsListed,
    RowsObserved,
    RowsProgrammed,
    SessionChanged,
    SessionProgrammed,
    SpeakerChanged,
    StreamsCreated,
    Ticked,
)
from veg_planner.fold import chassis, objects, outcomes, repairs, routes, sessions
from veg_planner.world import SETTINGS, World


def fold(world: World, envelope: Envelope) -> list[str]:  # noqa: C901, PLR0911, PLR0912  # one case for each event, no more
    """Take in one event; the keys of the gateways that must be planned again, in no order."""
    event = envelope.data
    match event:
        case ObjectChanged():
            return objects.changed(world, event)
        case ObjectDeleted():
            return objects.deleted(world, event)
        case KindListed():
            return objects.listed(world, event)
        case CommandApplied():
            return outcomes.applied(world, event)
        case CommandFailed():
            return outcomes.failed(world, event)
        case CommandRefused():
            return outcomes.refused(world, event)
        case RowsProgrammed():
            return outcomes.programmed(world, event)
        case RowsObserved():
            return [*outcomes.rows_observed(world, event), *repairs.rows(world, event, envelope.time)]
        case MembersObserved():
            return [*outcomes.members_observed(world, event), *repairs.members(world, event, envelope.time)]
        case RowsListed():
            return [*outcomes.rows_listed(world, event), *routes.listed(world, event)]
        case RoutesObserved():
            return routes.observed(world, event)
        case ConfigApplied() | ConfigFailed():
            return outcomes.config_reported(world, event)
        case ChassisObserved():
            return chassis.observed(world, event)
        case PlannerConfigured():
            world.put(SETTINGS, "planner", event.settings)
            return world.subjects()
        case StreamsCreated():
            return outcomes.streams_created(world, event)
        case SessionChanged():
            return sessions.changed(world, event)
        case SpeakerChanged() | SessionProgrammed():
            return []  # for the record: what OVN's end is decides, since it is OVN that sends the traffic
        case Ticked():
            others = [] if event.early else outcomes.ticked(world)
            return [*others, *sessions.ticked(world, event), *repairs.ticked(world, event)]
        case _:
            # A command, or a type of ours that is no event, cannot get here: the subject tells them apart.
            raise TypeError(f"{envelope.type} is not an event")
