"""What the lab costs: the CPU time and the memory of all of its processes, by what they are part of."""

import os
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from veg_lab import netns, process
from veg_lab.nodes import cgroups
from veg_lab.paths import Lab

_OVER_S = 2.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PODS, NODES, MACHINE = "pods", "daemons of the nodes", "control plane, databases, services"


@dataclass(frozen=True)
class Usage:
    """Of one part of the lab."""

    part: str
    processes: int
    cores: float
    """CPU time for each second, over the time of looking."""
    memory_mib: float
    """Each page of memory is divided among those who share it (PSS)."""


def look(lab: Lab) -> list[Usage]:
    """Look for two seconds."""
    before = _ticks(lab)
    time.sleep(_OVER_S)
    after = _ticks(lab)
    parts = _parts(lab)
    counts, ticks, memory = Counter[str](), Counter[str](), Counter[str]()
    for pid in after:
        part = parts.get(pid, MACHINE)
        counts[part] += 1
        ticks[part] += max(0, after[pid] - before.get(pid, after[pid]))
        memory[part] += _pss_kib(pid)
    return [
        Usage(part, counts[part], ticks[part] / _TICKS_PER_S / _OVER_S, memory[part] / 1024)
        for part in (MACHINE, NODES, PODS)
    ]


def processes(lab: Lab) -> set[int]:
    """All in the lab's namespaces and cgroups, and those of its pid files."""
    records = lab.run / "pids"
    recorded = {process.alive(record) for record in records.iterdir()} if records.is_dir() else set()
    found = netns.processes(netns.names(lab.name)) | cgroups.processes(lab.cgroup)
    return found | {pid for pid in recorded if pid is not None}


def _parts(lab: Lab) -> dict[int, str]:
    daemons = cgroups.daemons(lab.cgroup)
    return dict.fromkeys(cgroups.processes(lab.cgroup), PODS) | dict.fromkeys(daemons, NODES)


def _ticks(lab: Lab) -> dict[int, int]:
    found = {}
    for pid in processes(lab):
        with suppress(OSError, IndexError):  # it ended while we looked
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            found[pid] = int(fields[11]) + int(fields[12])
    return found


def _pss_kib(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0
