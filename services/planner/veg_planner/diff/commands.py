"""What it takes to go from one intent to the next: at most one command for each part, in a safe order.

The config goes out before the rows that send traffic to the pods; the finalizer before anything it protects.
"""

from typing import Final

from veg_contracts import names, subjects
from veg_contracts.base import Value
from veg_contracts.commands import (
    AnyCommand,
    EnsureCondition,
    EnsureFinalizer,
    EnsureNb,
    EnsureStatus,
    EnsureVpcStatus,
    EnsureWorkload,
    PublishConfig,
    RecordKubeEvent,
    RemoveWorkload,
)
from veg_contracts.intent import Condition, Intent, NbRows, Part

_ORDER: Final = (Part.FINALIZER, Part.WORKLOAD, Part.CONFIG, Part.NB, Part.STATUS, Part.VPC_STATUS)
_WARNINGS: Final = (names.REASON_REFUSED, names.REASON_PANIC, names.REASON_OTHER)


class Outgoing(Value, frozen=True, kw_only=True):
    """A command with its id and subject. `part` is None for what is no part of an intent."""

    id: str
    subject: str
    data: AnyCommand
    part: Part | None = None


def commands(
    last: Intent | None, new: Intent, *, repair: frozenset[Part], position: int, left: str = ""
) -> tuple[Outgoing, ...]:
    """The commands for every part that is new in `new`, or is to be sent again (`repair`).

    `left` is the Deployment (`namespace/name`) that is there although `new` wants none. `position` is that of the event
    that led here: it makes the ids unique, and the same in every replay.
    """
    outgoing = []
    for part in _ORDER:
        if new.generations.of(part) != new.generation and part not in repair:
            continue
        if new is last and part not in repair:
            continue
        if (command := _command(last, new, part, left)) is not None:
            outgoing.append(_outgoing(new, part, command, position))
    if new is not last and (event := _kube_event(last, new)) is not None:
        outgoing.append(_outgoing(new, None, event, position))
    return tuple(outgoing)


def _outgoing(intent: Intent, part: Part | None, command: AnyCommand, position: int) -> Outgoing:
    name = part.value if part is not None else "event"
    identity = f"cmd/{name}/{intent.gateway}/{intent.gateway_uid}/{command.generation}/{position}"
    match part:
        case Part.NB:
            subject = subjects.ovn_command(_router(command), intent.gateway)
        case Part.CONFIG:
            subject = subjects.config_subject(intent.gateway)
        case _:
            subject = subjects.kube_command(intent.gateway)
    return Outgoing(id=identity, subject=subject, data=command, part=part)


def _router(command: AnyCommand) -> str:
    return command.rows.router if isinstance(command, EnsureNb) else ""


def _command(last: Intent | None, new: Intent, part: Part, left: str) -> AnyCommand | None:  # noqa: C901, PLR0911  # one for each part
    gateway, uid, generation = new.gateway, new.gateway_uid, new.generations.of(part)
    match part:
        case Part.NB:
            return EnsureNb(gateway=gateway, gateway_uid=uid, generation=generation, rows=new.nb or NbRows())
        case Part.WORKLOAD if new.workload is not None:
            return EnsureWorkload(gateway=gateway, gateway_uid=uid, generation=generation, workload=new.workload)
        case Part.WORKLOAD:
            before = last.workload if last is not None else None
            key = f"{before.namespace}/{before.name}" if before is not None else left
            if not key:
                return None
            namespace, _, name = key.partition("/")
            return RemoveWorkload(
                gateway=gateway, gateway_uid=uid, generation=generation, namespace=namespace, name=name
            )
        case Part.FINALIZER:
            return EnsureFinalizer(gateway=gateway, gateway_uid=uid, generation=generation, present=new.finalizer)
        case Part.STATUS:
            if new.conflict is not None:
                return EnsureCondition(gateway=gateway, gateway_uid=uid, generation=generation, condition=new.conflict)
            if new.status is None:
                return None
            return EnsureStatus(gateway=gateway, gateway_uid=uid, generation=generation, status=new.status)
        case Part.VPC_STATUS:
            if new.vpc_status is None:
                return None
            return EnsureVpcStatus(gateway=gateway, gateway_uid=uid, generation=generation, bfd_port=new.vpc_status)
        case Part.CONFIG:
            return PublishConfig(gateway=gateway, gateway_uid=uid, generation=generation, config=new.config)


def _kube_event(last: Intent | None, new: Intent) -> RecordKubeEvent | None:
    """A Kubernetes Event whenever what keeps the gateway from being ready changes."""
    before, after = _condition(last), _condition(new)
    if after is None or (before is not None and _said(before) == _said(after)):
        return None
    return RecordKubeEvent(
        gateway=new.gateway,
        gateway_uid=new.gateway_uid,
        generation=new.generation,
        type="Warning" if after.reason in _WARNINGS else "Normal",
        reason=after.reason,
        message=after.message,
        at=after.last_update_time,
    )


def _condition(intent: Intent | None) -> Condition | None:
    """The one that says how the gateway is."""
    if intent is None or intent.status is None:
        return intent.conflict if intent is not None else None
    return next((condition for condition in intent.status.conditions if condition.type == "Ready"), None)


def _said(condition: Condition) -> tuple[str, str, str]:
    return condition.status, condition.reason, condition.message
