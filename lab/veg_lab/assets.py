"""What the cache must hold before a lab can start: packages, OVN, Kubernetes with its container runtime, images."""

import fcntl
import sys
from pathlib import Path

from veg_lab import builds, image_store
from veg_lab.paths import REPOSITORY, Lab, is_kubernetes
from veg_lab.progress import say

_SCRIPTS = REPOSITORY / "lab" / "build"


def ensure(lab: Lab) -> Path:
    """Build or unpack what is missing, one builder at a time on this machine."""
    lab.cache.mkdir(parents=True, exist_ok=True)
    with (lab.cache / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another build into the cache to end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        _run(lab, "packages.sh", lab.cache, lock.fileno())
        if not (lab.ovn_tree / "usr" / "bin" / "ovn-northd").exists():
            _run(lab, "ovn.sh", lab.ovn_tree, lock.fileno())
        if not is_kubernetes(lab.kubernetes):
            _run(lab, "kubernetes.sh", lab.kubernetes, lock.fileno())
        return image_store.ensure(lab, keep=(lock.fileno(),))


def _run(lab: Lab, script: str, target: Path, lock: int) -> None:
    # The script keeps the lock's descriptor: if we are killed, a second start waits for it instead of racing it.
    builds.run(lab, [str(_SCRIPTS / script), str(target)], {"VEG_PYTHON": sys.executable}, keep=(lock,))
