"""Pods' network namespaces under the names by which `lab down`, tests and people find them: /run/netns/<lab>.pod.….

containerd keeps each one under a name of its own, and in a mount namespace of the node.
"""

from pathlib import Path

from veg_lab import netns
from veg_lab.cni.command import run
from veg_lab.cni.node import namespace_inode


async def publish(name: str, source: Path) -> None:
    """Show the namespace under this name, whatever had the name before."""
    await _remove(name)
    target = netns.DIRECTORY / name
    target.touch()
    await run(["mount", "--bind", str(source), str(target)])


async def withdraw(name: str, inode: int) -> None:
    """Take the name away, unless another sandbox has it by now."""
    if namespace_inode(netns.DIRECTORY / name) == inode:
        await _remove(name)


async def _remove(name: str) -> None:
    if netns.exists(name):
        await run(["ip", "netns", "del", name])
    (netns.DIRECTORY / name).unlink(missing_ok=True)
