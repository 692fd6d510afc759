"""Outcomes: what became of a command, as events with ids that are the same for every delivery of it."""

from typing import Final, TypeAlias

from veg_contracts import subjects
from veg_contracts.commands import (
    EnsureCondition,
    EnsureFinalizer,
    EnsureStatus,
    EnsureVpcStatus,
    EnsureWorkload,
    RecordKubeEvent,
    RemoveWorkload,
    part_of,
)
from veg_contracts.envelope import Envelope, type_name
from veg_contracts.events import CommandApplied, CommandFailed, CommandRefused

KubeCommand: TypeAlias = (
    EnsureWorkload
    | RemoveWorkload
    | EnsureFinalizer
    | EnsureStatus
    | EnsureCondition
    | EnsureVpcStatus
    | RecordKubeEvent
)
Outcome: TypeAlias = CommandApplied | CommandFailed | CommandRefused

SOURCE: Final = "veg/kube-writer"
_MESSAGE_LENGTH_MAX: Final = 2000  # the API server quotes whole objects in some of its messages

_SUFFIX: Final[dict[type[Outcome], str]] = {
    CommandApplied: "applied",
    CommandFailed: "failed",
    CommandRefused: "refused",
}


def applied(command_id: str, command: KubeCommand, detail: dict[str, str]) -> CommandApplied:
    return CommandApplied(
        command_id=command_id,
        gateway=command.gateway,
        gateway_uid=command.gateway_uid,
        part=part_of(command),
        generation=command.generation,
        detail=detail,
    )


def failed(command_id: str, command: KubeCommand, message: str) -> CommandFailed:
    if len(message) > _MESSAGE_LENGTH_MAX:
        message = f"{message[: _MESSAGE_LENGTH_MAX - 3]}..."
    return CommandFailed(
        command_id=command_id,
        gateway=command.gateway,
        gateway_uid=command.gateway_uid,
        part=part_of(command),
        generation=command.generation,
        message=message,
    )


def refused(command_id: str, command: KubeCommand, applied_generation: int) -> CommandRefused:
    return CommandRefused(
        command_id=command_id,
        gateway=command.gateway,
        gateway_uid=command.gateway_uid,
        part=part_of(command),
        generation=command.generation,
        applied_generation=applied_generation,
    )


def envelope(command: Envelope, outcome: Outcome, *, time: str, traceparent: str) -> Envelope:
    """The message: it continues the story of its command."""
    return Envelope(
        id=f"{command.id}/{_SUFFIX[type(outcome)]}",
        source=SOURCE,
        type=type_name(outcome),
        subject=subjects.kube_event(outcome.gateway),
        time=time,
        data=outcome,
        correlation_id=command.correlation_id,
        causation_id=command.id,
        traceparent=traceparent,
    )
