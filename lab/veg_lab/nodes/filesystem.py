"""What a node sees as its disk: the machine's, with a /run of its own, and /var/lib and /var/log on its own storage.

A process holds the mount namespace. With the last process of the node all of its mounts are gone, whatever happened.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from veg_lab import netns
from veg_lab.errors import LabError
from veg_lab.nodes import cgroups
from veg_lab.nodes.inventory import Node
from veg_lab.process import Component, alive

# Run by the holder, in its new namespaces: $1 is the node's /run, $2 its storage, $3 its name, $4 the file that says
# that all is done, $5 the lab's run directory, which has the same name inside.
_MOUNTS = """
set -e
hostname "$3"
umount -R -l /run/netns 2>/dev/null || :
for place in lib log; do
  mount -t overlay overlay -o "lowerdir=/var/$place,upperdir=$2/$place.upper,workdir=$2/$place.work" "/var/$place"
done
mkdir -p /var/lib/containerd
mount --bind "$2/containerd" /var/lib/containerd
mkdir -p "$1/${5#/run/}"
mount --bind "$5" "$1/${5#/run/}"
mount --rbind "$1" /run
mount --make-rshared /
read -r line </proc/$$/stat
printf '%s\\n' "$line" >"$4"
exec sleep infinity
"""
# Run in the node: its namespaces are those of the process in the file $0.
_ENTER = 'read -r pid rest <"$0" && exec nsenter --target "$pid" --mount --uts -- "$@"'
_TRY_OVERLAY = 'mount -t overlay overlay -o "lowerdir=$0/a,upperdir=$0/b,workdir=$0/c" "$0/d"'


def prepare(node: Node) -> None:
    """The directories below the mounts."""
    for name in ("lib.upper", "lib.work", "log.upper", "log.work"):
        (node.storage / name).mkdir(parents=True, exist_ok=True)


def component(node: Node) -> Component:
    """The process that holds the node's mount namespace."""
    words = ["unshare", "--mount", "--uts", "--propagation", "private", "sh", "-c", _MOUNTS]
    values = ["node", str(node.run), str(node.storage), node.name, str(node.init), str(node.lab.run)]
    argv = [*cgroups.join(node.cgroup), *words, *values]
    return Component(f"node-{node.name}", tuple(argv), lambda: alive(node.init) is not None, node.namespace)


def inside(node: Node, argv: Sequence[str]) -> list[str]:
    """Words that run a command in the node's mounts and under its name. The command keeps the process id."""
    return ["sh", "-c", _ENTER, str(node.init), *argv]


def missing(scratch: Path) -> str:
    """What a node's disk needs of the machine and does not get, in one line; empty when it gets all."""
    for name in "abcd":
        (scratch / name).mkdir(parents=True, exist_ok=True)
    try:
        netns.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", _TRY_OVERLAY, str(scratch)])
    except LabError as error:
        return f"no container can run here: {scratch.parent} cannot hold an overlay ({str(error).rpartition(': ')[2]})"
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return ""
