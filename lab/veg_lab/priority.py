"""Who goes before whom. The machine of the lab plays the kernels and the system daemons of several nodes.

On a real node nothing that starts starves the kernel's datapath. Here a process is the datapath: without this table
three interpreters that start keep OVN's BFD from running.
"""

import os
import subprocess
from dataclasses import dataclass
from functools import cache
from typing import Final


@dataclass(frozen=True)
class Priority:
    """A nice value; and whether real-time scheduling stands for it, where that is permitted."""

    nice: int = 0
    real_time: bool = False


# The datapath of a kernel; and OVN's ends of all BFD sessions, which are a thread of ovn-controller.
_KERNEL: Final = Priority(-15, real_time=True)
_SYSTEM: Final = Priority(-10)
DAEMONS: Final = {
    "ovs-vswitchd": _KERNEL,
    "ovn-controller": _KERNEL,
    "ovs-db": _SYSTEM,
    "ovn-nb": _SYSTEM,
    "ovn-sb": _SYSTEM,
    "ovn-northd": _SYSTEM,
}


@dataclass(frozen=True)
class Permitted:
    """Whether this process may give others real-time scheduling, and a negative nice value."""

    real_time: bool
    first: bool


@cache
def permitted() -> Permitted:
    """What this machine permits us. `nice` only complains when it may not, and goes on."""
    return Permitted(_works("chrt", "--rr", "1", "true"), _works("nice", "-n", "-1", "true"))


def words(wanted: Priority, may: Permitted | None = None) -> list[str]:
    """Words that run a command with this priority, or as near to it as is permitted."""
    may = may or permitted()
    if wanted.real_time and may.real_time:
        return ["chrt", "--rr", "1"]
    if wanted.nice == 0 or (wanted.nice < 0 and not may.first):
        return []
    return ["nice", "-n", str(wanted.nice)]


def datapath_words(number: int, may: Permitted | None = None) -> list[str]:
    """Words that run the switch of a node, by the node's number: all of its threads on one core, one after the other.

    While its main thread takes the tunnels away and makes them again, as it does at every change of a link, no thread
    of it may look at the flows: those that it looks at would be without a tunnel, and drop packets, until the next
    look.
    """
    may = may or permitted()
    if not may.real_time:
        return words(DAEMONS["ovs-vswitchd"], may)
    cores = sorted(os.sched_getaffinity(0))
    return ["taskset", "--cpu-list", str(cores[number % len(cores)]), "chrt", "--fifo", "1"]


def missing(may: Permitted | None = None) -> str:
    """What is not permitted, in one line; empty when all is."""
    may = may or permitted()
    if may.real_time:
        return ""
    if may.first:
        return "OVN goes first by nice values alone: real-time scheduling is not permitted here"
    return "OVN goes first by nothing: neither real-time scheduling nor a negative nice value is permitted here"


def _works(*command: str) -> bool:
    try:
        done = subprocess.run(command, check=False, capture_output=True)
    except OSError:
        return False
    return done.returncode == 0 and not done.stderr
