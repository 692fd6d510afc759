"""What the cache must hold before a lab can start: programs from packages, OVN, and Kubernetes' control plane."""

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

from veg_lab import process
from veg_lab.errors import LabError
from veg_lab.paths import REPOSITORY, Lab, is_control_plane
from veg_lab.progress import say

_SCRIPTS = REPOSITORY / "lab" / "build"
# Name of the pid file of a running build; the build leads a process group of its own.
_BUILD = "build"
_GRACE_S = 10.0


def ensure(lab: Lab) -> None:
    """Build or unpack what is missing, one builder at a time on this machine."""
    lab.cache.mkdir(parents=True, exist_ok=True)
    with (lab.cache / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another build into the cache to end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        # The script keeps the lock's descriptor: if we are killed, a second start waits for it instead of racing it.
        _run(lab, "packages.sh", lab.cache, lock.fileno())
        if not (lab.ovn_tree / "usr" / "bin" / "ovn-northd").exists():
            _run(lab, "ovn.sh", lab.ovn_tree, lock.fileno())
        if not is_control_plane(lab.kubernetes):
            _run(lab, "kubernetes.sh", lab.kubernetes, lock.fileno())


def _run(lab: Lab, script: str, target: Path, lock: int) -> None:
    argv = process.recorded(lab, _BUILD, [str(_SCRIPTS / script), str(target)])
    environment = os.environ | {"VEG_PYTHON": sys.executable}
    build = subprocess.Popen(argv, pass_fds=(lock,), start_new_session=True, env=environment)
    try:
        failed = build.wait() != 0
    finally:
        # Not only after an interrupt: a script that failed must not leave its helpers behind either.
        abort(lab)
    if failed:
        raise LabError(f"{script} failed; see above")


def abort(lab: Lab) -> None:
    """End a build with all of its processes, if one runs."""
    record = process.pid_file(lab, _BUILD)
    pid = process.alive(record)
    if pid is not None:
        process.send_group(pid, signal.SIGTERM)
        if not process.wait_end(record, _GRACE_S):
            process.send_group(pid, signal.SIGKILL)
            process.wait_end(record, _GRACE_S)
    record.unlink(missing_ok=True)
