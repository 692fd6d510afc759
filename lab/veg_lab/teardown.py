"""`down`: nothing is left, from whatever half of a lab it starts. The kernel is asked what there is."""

import os
import shutil
import signal
import time
from pathlib import Path

from veg_lab import builds, netns, postgres, process, usage
from veg_lab.errors import LabError
from veg_lab.lock import exclusive
from veg_lab.nodes import cgroups
from veg_lab.paths import Lab
from veg_lab.progress import say, step

_GRACE_S = 3.0
_KILL_WITHIN_S = 15.0


def down(lab: Lab) -> None:
    """End every process, remove every namespace and the run directory."""
    if not lab.run.exists() and not lab.storage.exists() and not netns.names(lab.name):
        say(f"the lab {lab.name!r} is down already")
        return
    with step(f"the lab {lab.name!r} is down"), exclusive(lab, end_holder=True):
        builds.abort(lab)
        # The nodes first: a kubelet would start a pod's containers again while we end them.
        cgroups.end(lab.cgroup, spared=_self_and_ancestors())
        postgres.end(lab, grace_s=_GRACE_S)
        _end_processes(lab)
        for name in netns.names(lab.name):
            netns.remove(name)
        for place in (lab.storage, lab.run):
            shutil.rmtree(place, ignore_errors=place == lab.storage)
    _tidy(lab)


def _end_processes(lab: Lab) -> None:
    spared = _self_and_ancestors()
    began = time.monotonic()
    asked: set[int] = set()
    empty_looks = 0
    # Twice nothing: a process that a killed starter had just made may enter the namespace a moment later.
    while empty_looks < 2:  # noqa: PLR2004
        left = usage.processes(lab) - spared
        empty_looks = 0 if left else empty_looks + 1
        waited_s = time.monotonic() - began
        if waited_s > _KILL_WITHIN_S:
            raise LabError(f"these processes do not end, not even by SIGKILL: {sorted(left)}")
        for pid in left - asked if waited_s < _GRACE_S else left:
            process.send(pid, signal.SIGTERM if waited_s < _GRACE_S else signal.SIGKILL)
        asked |= left
        time.sleep(0.05)


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
