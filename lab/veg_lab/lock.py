"""One command at a time changes a lab. `down` does not wait for a start: it ends it."""

import fcntl
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from veg_lab import process
from veg_lab.paths import Lab

# In the directory of the pid files: the holder's own pid file is the lock file.
_NAME = "lab-command"


@contextmanager
def exclusive(lab: Lab, *, end_holder: bool = False) -> Iterator[None]:
    """Hold the lab's lock. With `end_holder`, the process that holds it is killed instead of waited for."""
    path = process.pid_file(lab, _NAME)
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+") as file:
            if not _acquire(lab, file.fileno(), end_holder=end_holder):
                continue
            if _is_current(path, file.fileno()):  # `down` may have removed the file that we waited for
                process.record_self(path)
                yield
                return


def _acquire(lab: Lab, descriptor: int, *, end_holder: bool) -> bool:
    if end_holder:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            process.end(lab, _NAME, signal.SIGKILL)
            return False
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    return True


def _is_current(path: Path, descriptor: int) -> bool:
    try:
        return path.stat().st_ino == Path(f"/proc/self/fd/{descriptor}").stat().st_ino
    except FileNotFoundError:
        return False
