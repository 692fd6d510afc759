"""Bodies that are sent to the API server, made from what is wanted and what is there."""

import hashlib
from typing import Any, Final

from veg_contracts import names
from veg_contracts.commands import RecordKubeEvent
from veg_kube_writer.facts import Json, dig, finalizers

_NAME_LENGTH_MAX: Final = 253
_DIGEST_LENGTH: Final = 16
# The limit of the newer Events API (`note`, 1 kB). Longer ones are for the status, which has the same text.
_MESSAGE_BYTES_MAX: Final = 1024


def merge_patch(found: Any, wanted: Json) -> Json:
    """The JSON merge patch (RFC 7386) that makes `wanted` of `found`; empty when they are equal.

    Lists are replaced as a whole. A value of `wanted` must not be None: that would remove it.
    """
    before = found if isinstance(found, dict) else {}
    patch: Json = {key: None for key in before if key not in wanted}
    for key, value in wanted.items():
        if key in before and before[key] == value:
            continue
        patch[key] = merge_patch(before.get(key), value) if isinstance(value, dict) else value
    return patch


def finalizers_patch(found: Json, present: bool) -> Json:
    """The merge patch with which `found` has, or has not, our finalizer; empty when that is so already."""
    before = finalizers(found)
    after = [name for name in before if name != names.FINALIZER] + ([names.FINALIZER] if present else [])
    return {} if present == (names.FINALIZER in before) else {"metadata": {"finalizers": after}}


def status_patch(found: Json, status: Json) -> Json:
    """The merge patch after which `found` has exactly this status; empty when it has it already."""
    patch = merge_patch(dig(found, "status"), status)
    return {"status": patch} if patch else {}


def condition_patch(found: Json, condition: Json) -> Json:
    """The merge patch after which the status of `found` has this condition; all else in it stays.

    The API server fills in what else a status must have.
    """
    before = dig(found, "status", "conditions") or []
    if condition in before:
        return {}
    others = [other for other in before if dig(other, "type") != condition["type"]]
    return {"status": {"conditions": [*others, condition]}}


def bfd_port_patch(found: Json, bfd_port: Json | None) -> Json:
    """The merge patch after which a Vpc has exactly this `status.bfdPort`, or none; the rest of the status stays."""
    before = dig(found, "status", "bfdPort")
    if bfd_port is None:
        return {} if before is None else {"status": {"bfdPort": None}}
    patch = merge_patch(before, bfd_port)
    return {"status": {"bfdPort": patch}} if patch else {}


def unless_changed(found: Json, patch: Json) -> Json:
    """The patch, to be refused (409) when somebody changes, or deletes and makes anew, the object before it comes."""
    metadata = {**patch.get("metadata", {}), "resourceVersion": dig(found, "metadata", "resourceVersion")}
    return {**patch, "metadata": metadata}


def event(group: str, command_id: str, command: RecordKubeEvent) -> Json:
    """A core/v1 Event on the VpcEgressGateway. The same command makes the same name, so it is recorded once."""
    namespace, _, name = command.gateway.partition("/")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"namespace": namespace, "name": _event_name(name, command_id)},
        "involvedObject": {
            "apiVersion": names.api_version(group),
            "kind": names.KIND,
            "namespace": namespace,
            "name": name,
            "uid": command.gateway_uid,
        },
        "type": command.type,
        "reason": command.reason,
        "message": _shortened(command.message),
        "source": {"component": names.APP},
        "firstTimestamp": command.at,
        "lastTimestamp": command.at,
        "count": 1,
    }


def _event_name(gateway_name: str, command_id: str) -> str:
    digest = hashlib.sha256(command_id.encode()).hexdigest()[:_DIGEST_LENGTH]
    return f"{gateway_name[: _NAME_LENGTH_MAX - _DIGEST_LENGTH - 1].rstrip('-.')}.{digest}"


def _shortened(text: str) -> str:
    encoded = text.encode()
    if len(encoded) <= _MESSAGE_BYTES_MAX:
        return text
    return encoded[: _MESSAGE_BYTES_MAX - 3].decode(errors="ignore") + "..."
