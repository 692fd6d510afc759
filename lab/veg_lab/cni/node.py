"""A node of the lab as the daemon sees it from outside: its mounts, and what lies below them."""

from pathlib import Path

from veg_lab import netns, process
from veg_lab.cni.protocol import TRY_AGAIN_LATER, CniError
from veg_lab.nodes.inventory import Node


def is_up(node: Node) -> bool:
    """Whether its mounts and its network can be entered."""
    return process.alive(node.init) is not None and netns.exists(node.namespace)


def root(node: Node) -> Path:
    """The node's root directory. An absolute symbolic link below it leads out of the node.

    Raises:
        CniError: the node is down.
    """
    return Path(f"/proc/{_pid(node)}/root")


def netns_of(node: Node, path: str) -> Path:
    """Where the daemon sees the network namespace that the node's runtime knows by this path."""
    # /var/run is an absolute link to /run.
    return root(node) / path.removeprefix("/var").lstrip("/")


def enter(node: Node) -> list[str]:
    """The words before a command that is to run in the node's mount and network namespace."""
    mounts = f"--mount=/proc/{_pid(node)}/ns/mnt"
    return ["nsenter", mounts, f"--net={netns.DIRECTORY / node.namespace}", "--"]


def namespace_inode(path: Path) -> int | None:
    """The inode of the namespace that is mounted on this file; None if there is no such file, or only an empty one."""
    try:
        found = path.stat()
        return found.st_ino if found.st_dev != path.parent.stat().st_dev else None
    except FileNotFoundError:
        return None


def _pid(node: Node) -> int:
    pid = process.alive(node.init)
    if pid is None:
        raise CniError(TRY_AGAIN_LATER, f"node {node.name} is down")
    return pid
