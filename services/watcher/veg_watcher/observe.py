"""What was seen of an object, as the event that says so; and that event's place on the bus. Pure."""

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from veg_contracts import subjects
from veg_contracts.base import encode
from veg_contracts.envelope import Envelope, type_name
from veg_contracts.events import KindListed, ObjectChanged, ObjectDeleted
from veg_contracts.objects import AnyProjection
from veg_watcher.fields import Json, at, text
from veg_watcher.project import PROJECTORS

KubernetesEvent: TypeAlias = ObjectChanged | ObjectDeleted | KindListed

SOURCE: Final = "veg/watcher"
# A uid is a UUID of 36 characters, 39 bytes with quotes and comma: 390 kB, less than half of what a message may hold.
UIDS_PER_PART: Final = 10_000


class UnusableObjectError(ValueError):
    """An object without what every object has. It names the object, the field and what the field holds."""


def version(value: Any, what: str) -> int:
    """A resourceVersion as a number: it is the store's revision, so it orders the changes of an object.

    Kubernetes calls it opaque, but promises that order for all of its own resources and for custom ones.

    Raises:
        UnusableObjectError: it is none; the message speaks of `what`.
    """
    digits = text(value)
    # 19 digits hold every 64-bit number; without a bound, Python would turn megabytes of digits into one.
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 19):  # noqa: PLR2004
        raise UnusableObjectError(f"{what}: metadata.resourceVersion is {str(value)[:40]!r}, expected a number")
    return int(digits)


def label(kind: str, raw: Any) -> str:
    """How log lines name an object."""
    place = (text(at(raw, "metadata", "namespace")), text(at(raw, "metadata", "name")) or "(no name)")
    return f"{kind} {'/'.join(part for part in place if part)}"


def uid_of(kind: str, raw: Any) -> str:
    """The object's uid.

    Raises:
        UnusableObjectError: it has none.
    """
    uid = text(at(raw, "metadata", "uid"))
    if not uid:
        raise UnusableObjectError(f"{label(kind, raw)}: metadata.uid is missing")
    return uid


def changed(kind: str, raw: Json) -> ObjectChanged:
    """The object is there, and this is its projection.

    Raises:
        UnusableObjectError: it has no uid, name or resourceVersion.
    """
    name = label(kind, raw)
    uid, revision = uid_of(kind, raw), version(at(raw, "metadata", "resourceVersion"), name)
    projection = PROJECTORS[kind](raw)
    if not projection.name:
        raise UnusableObjectError(f"{name}: metadata.name is missing, uid {uid}")
    return ObjectChanged(uid=uid, resource_version=revision, object=projection)


def deleted(kind: str, raw: Json) -> ObjectDeleted:
    """The object is gone, or no longer selected.

    Raises:
        UnusableObjectError: it has no uid, name or resourceVersion.
    """
    last = changed(kind, raw)
    return ObjectDeleted(
        kind=kind,
        name=last.object.name,
        namespace=last.object.namespace,
        uid=last.uid,
        resource_version=last.resource_version,
    )


def listed(kind: str, revision: int, uids: Sequence[str]) -> tuple[KindListed, ...]:
    """What exists, in parts that fit the bus. No object at all is one empty part."""
    chunks = [uids[start : start + UIDS_PER_PART] for start in range(0, len(uids), UIDS_PER_PART)] or [()]
    return tuple(
        KindListed(kind=kind, resource_version=revision, part=part, parts=len(chunks), uids=tuple(chunk))
        for part, chunk in enumerate(chunks)
    )


def event_id(event: KubernetesEvent) -> str:
    """The same for every watcher that sees the same, so that the bus drops what a second one says."""
    match event:
        case ObjectChanged():
            return f"k8s/{event.object.KIND}/{event.uid}/{event.resource_version}"
        case ObjectDeleted():
            return f"k8s/{event.kind}/{event.uid}/{event.resource_version}/deleted"
        case KindListed():
            return f"k8s/{event.kind}/listed/{event.resource_version}/{event.part}-of-{event.parts}"


def subject(event: KubernetesEvent) -> str:
    match event:
        case ObjectChanged():
            return subjects.k8s_event(event.object.KIND, event.object.namespace, event.object.name)
        case ObjectDeleted():
            return subjects.k8s_event(event.kind, event.namespace, event.name)
        case KindListed():
            return subjects.k8s_listed(event.kind)


def envelope(event: KubernetesEvent, time: str, traceparent: str) -> Envelope:
    """The message. An event from Kubernetes begins a story, so it is its own correlation."""
    identity = event_id(event)
    return Envelope(
        id=identity,
        source=SOURCE,
        type=type_name(event),
        subject=subject(event),
        time=time,
        data=event,
        correlation_id=identity,
        traceparent=traceparent,
    )


def largest_field(projection: AnyProjection) -> str:
    """The field that weighs most on the wire: the one to name when an object is too large."""
    return max(projection.__struct_fields__, key=lambda field: len(encode(getattr(projection, field))))
