"""Who goes before whom. One machine of the lab plays a kernel, the system daemons of a node, and pods.

On a real node nothing that starts starves the kernel's datapath, and a container has the share of CPU that it asked
for. Here all of them are processes: without this table three interpreters that start keep OVN's BFD from running.
"""

import subprocess
from dataclasses import dataclass
from functools import cache
from typing import Final


@dataclass(frozen=True)
class Priority:
    """A nice value; and whether real-time scheduling stands for it, where that is permitted."""

    nice: int = 0
    real_time: bool = False


ORDINARY: Final = Priority()
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
# Containers, by the CPU that they ask for: the first line whose thousandths they reach.
_CONTAINERS: Final = ((200, Priority(-12)), (100, ORDINARY), (0, Priority(5)))
# What makes a pod ready goes after all pods that are.
STARTING: Final = Priority(10)
PROBE: Final = Priority(5)

_UNITS_M: Final = {"n": 1e-6, "u": 1e-3, "m": 1.0}


def of_container(cpu: str) -> Priority:
    """The priority of a container whose `resources.requests.cpu` this is; empty for none."""
    return next(priority for asked_m, priority in _CONTAINERS if cpu_m(cpu) >= asked_m)


def cpu_m(quantity: str) -> float:
    """A quantity of CPU in thousandths: `200m`, `0.2` or `2`."""
    if not quantity:
        return 0
    if quantity[-1] in _UNITS_M:
        return float(quantity[:-1]) * _UNITS_M[quantity[-1]]
    return float(quantity) * 1000


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
