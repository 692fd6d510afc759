"""What an object from the API server says, in the words of the commands."""

from typing import Any

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


def has_same_selector(found: Json, manifest: Json) -> bool:
    """A Deployment's selector cannot be changed (Kubernetes: Deployments, label selector updates)."""
    return bool(dig(found, "spec", "selector") == dig(manifest, "spec", "selector"))
