"""How something is built into the cache: one process group at a time for a lab, which another command can end."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from veg_lab import process
from veg_lab.errors import LabError
from veg_lab.paths import Lab

# Name of the pid file of a running build; the build leads a process group of its own.
_BUILD = "build"
_GRACE_S = 10.0


def run(lab: Lab, argv: Sequence[str], environment: Mapping[str, str], *, keep: Sequence[int] = ()) -> None:
    """Run a script to its end, with this environment on top of ours and these descriptors kept open."""
    words = process.recorded(lab, _BUILD, argv)
    build = subprocess.Popen(words, pass_fds=keep, start_new_session=True, env=os.environ | dict(environment))
    try:
        failed = build.wait() != 0
    finally:
        # Not only after an interrupt: a script that failed must not leave its helpers behind either.
        abort(lab)
    if failed:
        raise LabError(f"{Path(argv[0]).name} failed; see above")


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
