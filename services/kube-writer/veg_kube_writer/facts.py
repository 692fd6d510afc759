"""What an object from the API server says, in the words of the commands."""

from typing import Any

from veg_contracts import names

Json = dict[str, Any]


def dig(value: Any, *keys: str) -> Any:
    """What is below those keys; None where one of them is missing."""
    for key in keys:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def uid(found: Json) -> str:
    return str(dig(found, "metadata", "uid") or "")


def is_owned_by(found: Json, owner_uid: str) -> bool:
    """Whether an owner reference names exactly this object, not merely one of the same name."""
    references = dig(found, "metadata", "ownerReferences") or []
    return any(dig(reference, "uid") == owner_uid for reference in references)


def is_being_deleted(found: Json) -> bool:
    return bool(dig(found, "metadata", "deletionTimestamp"))


def finalizers(found: Json) -> list[str]:
    return list(dig(found, "metadata", "finalizers") or [])


def is_foreign(found: Json) -> bool:
    """Whether our field manager wrote nothing of it, and others did.

    It may name a gateway of ours as its owner and yet be another controller's.
    """
    entries = dig(found, "metadata", "managedFields") or []
    writers = {dig(entry, "manager") for entry in entries if not dig(entry, "subresource")}
    return bool(writers) and names.FIELD_MANAGER not in writers


def has_same_selector(found: Json, manifest: Json) -> bool:
    """A Deployment's selector cannot be changed (Kubernetes: Deployments, label selector updates)."""
    return bool(dig(found, "spec", "selector") == dig(manifest, "spec", "selector"))
