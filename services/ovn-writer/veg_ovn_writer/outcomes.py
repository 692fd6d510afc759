"""The events that this service publishes. An outcome's id is made of the command's, so that a double is dropped."""

from collections.abc import Mapping
from typing import Final, TypeAlias

from veg_contracts import subjects
from veg_contracts.commands import MEMBERS, ChangeMembers, EnsureMembers, EnsureNb, part_of
from veg_contracts.envelope import Envelope, type_name
from veg_contracts.events import (
    ChassisObserved,
    CommandApplied,
    CommandFailed,
    CommandRefused,
    MembersObserved,
    RoutesObserved,
    RowsListed,
    RowsObserved,
    RowsProgrammed,
    SessionChanged,
    SessionProgrammed,
)
from veg_ovn_writer.nb import Commit
from veg_runtime import clock

Order: TypeAlias = EnsureNb | EnsureMembers | ChangeMembers
Seen: TypeAlias = (
    RowsObserved | MembersObserved | RoutesObserved | RowsListed | SessionChanged | SessionProgrammed | ChassisObserved
)
_SOURCE: Final = "veg/ovn-writer"
# A server's words, cut where they stop to be of use.
_MESSAGE_LENGTH_MAX: Final = 4000


def applied(command: Envelope, counts: Mapping[str, object], commit: Commit) -> Envelope:
    """`counts` says how much was changed of what."""
    order: Order = command.data
    data = CommandApplied(
        command_id=command.id,
        gateway=order.gateway,
        gateway_uid=order.gateway_uid,
        part=part_of(order),
        generation=order.generation,
        detail={"nb_cfg": str(commit.nb_cfg), **{name: str(value) for name, value in counts.items() if value != ""}},
    )
    return _outcome(command, "applied", data)


def failed(command: Envelope, message: str) -> Envelope:
    order: Order = command.data
    data = CommandFailed(
        command_id=command.id,
        gateway=order.gateway,
        gateway_uid=order.gateway_uid,
        part=part_of(order),
        generation=order.generation,
        message=message[:_MESSAGE_LENGTH_MAX],
    )
    return _outcome(command, "failed", data)


def refused(command: Envelope, applied_generation: int) -> Envelope:
    order: Order = command.data
    data = CommandRefused(
        command_id=command.id,
        gateway=order.gateway,
        gateway_uid=order.gateway_uid,
        part=part_of(order),
        generation=order.generation,
        applied_generation=applied_generation,
    )
    return _outcome(command, "refused", data)


def programmed(command: Envelope, nb_cfg: int) -> Envelope:
    order: EnsureNb = command.data
    data = RowsProgrammed(
        command_id=command.id,
        gateway=order.gateway,
        gateway_uid=order.gateway_uid,
        generation=order.generation,
        nb_cfg=nb_cfg,
    )
    return _outcome(command, "programmed", data)


def seen(data: Seen) -> Envelope:
    """An event that no command caused: it begins a story of its own."""
    match data:
        case RowsObserved():
            name, subject = f"ovn/{data.gateway}/{data.reason}", subjects.ovn_event(data.gateway)
        case MembersObserved():
            name, subject = f"ovn/{data.gateway}/{MEMBERS}", subjects.ovn_event(data.gateway)
        case SessionChanged() | SessionProgrammed():
            what = "session" if isinstance(data, SessionChanged) else "flows"
            name, subject = f"ovn/{data.gateway}/{what}/{data.dst_ip}", subjects.ovn_event(data.gateway)
        case RoutesObserved():
            name, subject = "ovn/routes", subjects.ovn_routes()
        case ChassisObserved():
            name, subject = "ovn/chassis", subjects.ovn_chassis()
        case RowsListed():
            name, subject = "ovn/listed", subjects.ovn_listed()
    number = f"{name}/{clock.unique_id()}"
    return Envelope(
        id=number,
        source=_SOURCE,
        type=type_name(data),
        subject=subject,
        time=clock.now(),
        data=data,
        correlation_id=number,
        traceparent=clock.new_traceparent(),
    )


def _outcome(
    command: Envelope, what: str, data: CommandApplied | CommandFailed | CommandRefused | RowsProgrammed
) -> Envelope:
    return Envelope(
        id=f"{command.id}/{what}",
        source=_SOURCE,
        type=type_name(data),
        subject=subjects.ovn_event(data.gateway),
        time=clock.now(),
        data=data,
        correlation_id=command.correlation_id,
        causation_id=command.id,
        traceparent=clock.child_traceparent(command.traceparent),
    )
