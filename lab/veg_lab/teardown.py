"""`down`: nothing is left, from whatever half of a lab it starts. The kernel is asked what there is."""

import os
import shutil
import signal
import time
from pathlib import Path

from veg_lab import assets, netns, postgres, process
from veg_lab.errors import LabError
from veg_lab.lock import exclusive
from veg_lab.paths import Lab
from veg_lab.progress import say, step

# It would start a pod's containers again while we end them, so it goes first and without a word.
_RESTARTERS = ("node-agent", "mini-kube-ovn")
_GRACE_S = 3.0
_KILL_WITHIN_S = 15.0


def down(lab: Lab) -> None:
    """End every process, remove every namespace and the run directory."""
    if not lab.run.exists() and not netns.names(lab.name):
        say(f"the lab {lab.name!r} is down already")
        return
    with step(f"the lab {lab.name!r} is down"), exclusive(lab, end_holder=True):
        assets.abort(lab)
        for name in _RESTARTERS:
            process.end(lab, name, signal.SIGKILL)
        postgres.end(lab, grace_s=_GRACE_S)
        _end_processes(lab)
        for name in netns.names(lab.name):
            netns.remove(name)
        shutil.rmtree(lab.run)
    _tidy(lab)


def _end_processes(lab: Lab) -> None:
    spared = _self_and_ancestors()
    began = time.monotonic()
    asked: set[int] = set()
    empty_looks = 0
    # Twice nothing: a process that a killed starter had just made may enter the namespace a moment later.
    while empty_looks < 2:  # noqa: PLR2004
        left = _processes(lab) - spared
        empty_looks = 0 if left else empty_looks + 1
        waited_s = time.monotonic() - began
        if waited_s > _KILL_WITHIN_S:
            raise LabError(f"these processes do not end, not even by SIGKILL: {sorted(left)}")
        for pid in left - asked if waited_s < _GRACE_S else left:
            process.send(pid, signal.SIGTERM if waited_s < _GRACE_S else signal.SIGKILL)
        asked |= left
        time.sleep(0.05)


def _processes(lab: Lab) -> set[int]:
    """All in the lab's namespaces, and those of our pid files whose namespace somebody removed."""
    records = lab.run / "pids"
    recorded = {process.alive(record) for record in records.iterdir()} if records.is_dir() else set()
    return netns.processes(netns.names(lab.name)) | {pid for pid in recorded if pid is not None}


def _self_and_ancestors() -> set[int]:
    """`down` may be called from a shell inside the lab."""
    found: set[int] = set()
    stat = process.read_stat(Path(f"/proc/{os.getpid()}/stat"))
    while stat is not None:
        found.add(stat.pid)
        stat = process.read_stat(Path(f"/proc/{stat.parent}/stat"))
    return found


def _tidy(lab: Lab) -> None:
    netns.release_directory()
    if lab.root.is_dir() and not any(lab.root.iterdir()):
        lab.root.rmdir()
