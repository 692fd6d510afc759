"""The events that this service publishes. An outcome's id is made of the command's, so that a double is dropped."""

from typing import Final

from veg_contracts import subjects
from veg_contracts.commands import EnsureNb
from veg_contracts.envelope import Envelope, type_name
from veg_contracts.events import (
    CommandApplied,
    CommandFailed,
    CommandRefused,
    RowsListed,
    RowsObserved,
    RowsProgrammed,
)
from veg_contracts.intent import Part
from veg_ovn_writer.apply import Counts
from veg_ovn_writer.nb import Commit
from veg_runtime import clock

_SOURCE: Final = "veg/ovn-writer"
# A server's words, cut where they stop to be of use.
_MESSAGE_LENGTH_MAX: Final = 4000


def applied(command: Envelope, counts: Counts, commit: Commit) -> Envelope:
    order: EnsureNb = command.data
    data = CommandApplied(
        command_id=command.id,
        gateway=order.gateway,
        gateway_uid=order.gateway_uid,
        part=Part.NB.value,
        generation=order.generation,
        detail={
            "nb_cfg": str(commit.nb_cfg),
            "inserted": str(counts.inserted),
            "updated": str(counts.updated),
            "removed": str(counts.removed),
        },
    )
    return _outcome(command, "applied", data)


def failed(command: Envelope, message: str) -> Envelope:
    order: EnsureNb = command.data
    data = CommandFailed(
        command_id=command.id,
        gateway=order.gateway,
        gateway_uid=order.gateway_uid,
        part=Part.NB.value,
        generation=order.generation,
        message=message[:_MESSAGE_LENGTH_MAX],
    )
    return _outcome(command, "failed", data)


def refused(command: Envelope, applied_generation: int) -> Envelope:
    order: EnsureNb = command.data
    data = CommandRefused(
        command_id=command.id,
        gateway=order.gateway,
        gateway_uid=order.gateway_uid,
        part=Part.NB.value,
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


def seen(data: RowsObserved | RowsListed) -> Envelope:
    """An event that no command caused: it begins a story of its own."""
    if isinstance(data, RowsObserved):
        name, subject = f"ovn/{data.gateway}/{data.reason}", subjects.ovn_event(data.gateway)
    else:
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
