"""What the cache must hold before a lab can start: programs from packages, OVN, and Kubernetes' control plane."""

import fcntl
import subprocess
from pathlib import Path

from veg_lab.errors import LabError
from veg_lab.paths import REPOSITORY, Lab
from veg_lab.progress import say

_BUILD = REPOSITORY / "lab" / "build"
_API_SERVER = "kube-apiserver"


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
        _run(_BUILD / "packages.sh", lab.cache, lock.fileno())
        if not (lab.ovn_tree / "usr" / "bin" / "ovn-northd").exists():
            _run(_BUILD / "ovn.sh", lab.ovn_tree, lock.fileno())
        if not (lab.kubernetes / _API_SERVER).exists():
            if lab.kubernetes != lab.cache / "kubernetes":
                raise LabError(f"KUBE_ASSETS names {lab.kubernetes}, which has no {_API_SERVER}")
            _run(_BUILD / "kubernetes.sh", lab.kubernetes, lock.fileno())


def _run(script: Path, target: Path, lock: int) -> None:
    if subprocess.run([str(script), str(target)], pass_fds=(lock,), check=False).returncode != 0:
        raise LabError(f"{script.name} failed; see above")
