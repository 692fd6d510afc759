"""CloudEvents 1.0 in NATS binary mode: the attributes are headers, the data is the message body.

Sources: CloudEvents 1.0 (context attributes, prefix `ce-` of the NATS protocol binding, distributed tracing
extension) and W3C Trace Context. `correlationid` names the event that began the story, `causationid` the message
that caused this one; both are extension attributes.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from veg_contracts.base import Value, encode
from veg_contracts.commands import COMMAND_TYPES, AnyCommand
from veg_contracts.events import EVENT_TYPES, AnyEvent

SPEC_VERSION: Final = "1.0"
HEADER_MESSAGE_ID: Final = "Nats-Msg-Id"  # JetStream drops a second message with the same id within its window
# Not of what agents say: the window is one for the whole stream, so a pod that sent another one's ids there would have
# its messages dropped unseen. Their doubles are dropped by the log.
_WITHOUT_MESSAGE_ID: Final = "veg.evt.agent."

_TYPES: Final[dict[str, type[Any]]] = {**EVENT_TYPES, **COMMAND_TYPES}
_TYPE_NAMES: Final[dict[type[Any], str]] = {struct: name for name, struct in _TYPES.items()}

# Where a type may appear. The bus's permissions say who may publish where; this says what may be said there, so that
# a role cannot speak for another one by putting its types on a subject of its own.
_ROOTS: Final[dict[str, tuple[str, ...]]] = {
    "veg.k8s.": ("veg.evt.k8s.",),
    "veg.ovn.rows-": ("veg.evt.ovn.",),
    "veg.writer.": ("veg.evt.ovn.", "veg.evt.kube."),
    "veg.agent.config-": ("veg.evt.agent.",),
    "veg.agent.speaker-": ("veg.evt.agent.",),
    "veg.ovn.session-": ("veg.evt.ovn.",),
    "veg.ovn.members-": ("veg.evt.ovn.",),
    "veg.ovn.routes-": ("veg.evt.ovn.",),
    "veg.ovn.chassis-": ("veg.evt.ovn.",),
    "veg.ovn.ensure-": ("veg.cmd.ovn.",),
    "veg.ovn.change-": ("veg.cmd.ovn.",),
    "veg.kube.": ("veg.cmd.kube.",),
}


class MalformedMessageError(ValueError):
    """A message that is not one of ours: which attribute or field is wrong, and why."""


class Envelope(Value, frozen=True, kw_only=True):
    """One message: what happened or is ordered (`data`), and where it comes from.

    `id` is unique for ever and the same for every delivery of the same fact. `time` is RFC 3339 in UTC.
    `subject` is the subject on the bus.
    """

    id: str
    source: str
    type: str
    subject: str
    time: str
    data: Any
    correlation_id: str = ""
    causation_id: str = ""
    traceparent: str = ""


def type_name(data: AnyEvent | AnyCommand) -> str:
    """The CloudEvents `type` of an event or a command."""
    return _TYPE_NAMES[type(data)]


def to_headers(envelope: Envelope) -> dict[str, str]:
    """The headers of a message; its body is `encode(envelope.data)`."""
    headers = {
        HEADER_MESSAGE_ID: "" if envelope.subject.startswith(_WITHOUT_MESSAGE_ID) else envelope.id,
        "ce-specversion": SPEC_VERSION,
        "ce-id": envelope.id,
        "ce-source": envelope.source,
        "ce-type": envelope.type,
        "ce-subject": envelope.subject,
        "ce-time": envelope.time,
        "ce-correlationid": envelope.correlation_id,
        "ce-causationid": envelope.causation_id,
        "traceparent": envelope.traceparent,
    }
    return {name: value for name, value in headers.items() if value}


def to_body(envelope: Envelope) -> bytes:
    return encode(envelope.data)


def decode_data(name: str, body: bytes) -> Any:
    """Decode the data of the type `name`.

    Raises:
        MalformedMessageError: the type is unknown, or the data does not fit it; the message names the field.
    """
    struct = _TYPES.get(name)
    if struct is None:
        raise MalformedMessageError(f"attribute ce-type: {name!r} is none of ours")
    try:
        return msgspec.json.decode(body, type=struct)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedMessageError(f"data of {name}: {error}") from error


def from_message(subject: str, headers: Mapping[str, str] | None, body: bytes) -> Envelope:
    """Read a message.

    Raises:
        MalformedMessageError: an attribute is missing or of another version, or the data does not fit its type.
    """
    headers = headers or {}
    if headers.get("ce-specversion") != SPEC_VERSION:
        found = headers.get("ce-specversion")
        raise MalformedMessageError(f"attribute ce-specversion: {found!r}, expected {SPEC_VERSION!r}")
    for name in ("ce-id", "ce-source", "ce-type", "ce-time"):
        if not headers.get(name):
            raise MalformedMessageError(f"attribute {name} is missing")
    name = headers["ce-type"]
    roots = next((roots for prefix, roots in _ROOTS.items() if name.startswith(prefix)), ())
    if not subject.startswith(roots):
        raise MalformedMessageError(f"attribute ce-type: {name!r} may not appear on subject {subject!r}")
    return Envelope(
        id=headers["ce-id"],
        source=headers["ce-source"],
        type=name,
        subject=subject,
        time=headers["ce-time"],
        data=decode_data(name, body),
        correlation_id=headers.get("ce-correlationid", ""),
        causation_id=headers.get("ce-causationid", ""),
        traceparent=headers.get("traceparent", ""),
    )
