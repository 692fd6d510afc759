"""Where the API server has the objects that commands name."""

import re
from typing import Final

from veg_contracts import names

# RFC 1123, as Kubernetes checks it. What does not fit could name another path: an empty name would be the collection.
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAME_LENGTH_MAX: Final = 253


class InvalidNameError(ValueError):
    """A command names an object by something that is no name in Kubernetes."""


def gateway(group: str, key: str) -> str:
    """The VpcEgressGateway `namespace/name` of that API group. Raises InvalidNameError."""
    namespace, _, name = key.partition("/")
    root = f"/apis/{names.api_version(group)}"
    return f"{root}/namespaces/{_checked(namespace, key)}/{names.PLURAL}/{_checked(name, key)}"


def vpc(name: str) -> str:
    """A Vpc of Kube-OVN. Raises InvalidNameError."""
    return f"/apis/{names.api_version(names.KUBE_OVN_GROUP)}/vpcs/{_checked(name, name)}"


def deployment(namespace: str, name: str) -> str:
    """A Deployment. Raises InvalidNameError."""
    key = f"{namespace}/{name}"
    return f"/apis/apps/v1/namespaces/{_checked(namespace, key)}/deployments/{_checked(name, key)}"


def disruption_budget(namespace: str, name: str) -> str:
    """A PodDisruptionBudget. Raises InvalidNameError."""
    key = f"{namespace}/{name}"
    return f"/apis/policy/v1/namespaces/{_checked(namespace, key)}/poddisruptionbudgets/{_checked(name, key)}"


def events(namespace: str) -> str:
    """The Events of a namespace. Raises InvalidNameError."""
    return f"/api/v1/namespaces/{_checked(namespace, namespace)}/events"


def _checked(part: str, key: str) -> str:
    if len(part) > _NAME_LENGTH_MAX or not _NAME.fullmatch(part):
        raise InvalidNameError(f"{key!r} names no object: {part!r} is no name in Kubernetes")
    return part
