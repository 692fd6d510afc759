"""What is on disk of a sandbox, so that a daemon that starts again can remove it. Values only."""

from typing import Any

import msgspec


class Delegated(msgspec.Struct, frozen=True):
    """The plugins of one attachment, with what they were called with."""

    interface: str
    plugins: list[dict[str, Any]]


class Sandbox(msgspec.Struct, frozen=True):
    """One sandbox of a pod. Written before anything of it is made.

    `namespace_inode` tells its network namespace from others that have had the same path or name. `arguments` and
    `path` are CNI_ARGS and CNI_PATH: the plugins of the attachments get what the runtime gave.
    """

    container: str
    pod_namespace: str
    pod_name: str
    pod_uid: str
    netns: str
    namespace_inode: int
    arguments: str
    path: str
    delegated: list[Delegated]
    ports: list[str]
    """The interfaces in OVN."""
