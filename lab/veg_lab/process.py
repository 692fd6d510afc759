"""Detached processes with a pid file, a log and a readiness probe. There is no supervisor: the kernel is asked.

Invariants:
- A pid file is written by the process itself, before it becomes the daemon: a starter that is killed leaves no orphan.
- It holds the process's own line of /proc, so its start time too: a stranger that the kernel gave the same id is never
  signalled.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from veg_lab import netns
from veg_lab.errors import DaemonFailedError, LabError
from veg_lab.paths import Lab
from veg_lab.progress import say

# $0 is the pid file. The shell becomes the daemon, so its id and start time are the daemon's.
_RECORD_AND_EXEC = 'read -r line </proc/$$/stat; printf "%s\\n" "$line" >"$0"; exec "$@"'
_LOG_TAIL_LINES = 15
_LOG_LINE_LENGTH = 400
_POLL_S = 0.05


@dataclass(frozen=True)
class Component:
    """A process of the lab: how it is started, and how one sees that it works."""

    name: str
    argv: tuple[str, ...]
    ready: Callable[[], bool]
    namespace: str
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    ready_within_s: float = 20.0
    stop_signal: signal.Signals = signal.SIGTERM
    # Postgres refuses to start while a backend of its killed predecessor is still leaving; ovn-controller has died of a
    # segmentation fault in its first second.
    attempts: int = 1
    then: Callable[[], None] | None = None
    """What is to be done each time that it has started and is ready."""


@dataclass(frozen=True)
class Running:
    """A live process."""

    pid: int
    since: float


def pid_file(lab: Lab, name: str) -> Path:
    """Where the process wrote who it is."""
    return lab.run / "pids" / name


@dataclass(frozen=True)
class Stat:
    """A line of /proc/<pid>/stat. The start time (clock ticks after boot) tells two processes with one id apart."""

    pid: int
    state: str
    parent: int
    start_ticks: int


def parse_stat(line: str) -> Stat:
    """Read the line. The program's name stands in parentheses and may itself hold blanks and parentheses."""
    before, _, after = line.rpartition(")")
    fields = after.split()
    return Stat(int(before.split(" ", 1)[0]), fields[0], int(fields[1]), int(fields[19]))


def read_stat(path: Path) -> Stat | None:
    """The line in this file; nothing if the process is gone, or the file not written to its end."""
    try:
        return parse_stat(path.read_text())
    except (OSError, ValueError, IndexError):
        return None


def alive(record: Path) -> int | None:
    """The id of the process that wrote this pid file, if that very process is still there. A zombie is not."""
    recorded = read_stat(record)
    if recorded is None:
        return None
    now = read_stat(Path(f"/proc/{recorded.pid}/stat"))
    if now is None or now.start_ticks != recorded.start_ticks or now.state in "ZX":
        return None
    return recorded.pid


def running(lab: Lab, name: str) -> Running | None:
    """The component's process, if it lives."""
    record = pid_file(lab, name)
    pid = alive(record)
    return None if pid is None else Running(pid, record.stat().st_mtime)


def record_self(record: Path) -> None:
    """Write the calling process's own pid file."""
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(Path("/proc/self/stat").read_text())


def recorded(lab: Lab, name: str, argv: Sequence[str]) -> list[str]:
    """Words that write the pid file and then become the command."""
    record = pid_file(lab, name)
    record.parent.mkdir(parents=True, exist_ok=True)
    record.unlink(missing_ok=True)
    return ["sh", "-c", _RECORD_AND_EXEC, str(record), *argv]


def start(lab: Lab, component: Component) -> bool:
    """Start it unless it runs, and wait until it is ready. Returns whether it was started now."""
    for attempt in range(1, component.attempts + 1):
        fresh = running(lab, component.name) is None
        if fresh:
            _spawn(lab, component)
        if _wait_ready(lab, component):
            if fresh and component.then is not None:
                component.then()
            return fresh
        if attempt < component.attempts and running(lab, component.name) is None:
            time.sleep(0.5)
            continue
        break
    state = (
        "ended" if running(lab, component.name) is None else f"was not ready within {component.ready_within_s:.0f} s"
    )
    raise DaemonFailedError(
        f"{component.name} {state}; what runs is kept, so the same command goes on from here. The end of "
        f"{lab.log(component.name)}:\n{log_tail(lab, component.name)}"
    )


def start_aloud(lab: Lab, component: Component) -> None:
    """Start one component and say so."""
    began = time.monotonic()
    word = "started" if start(lab, component) else "runs already"
    say(f"{component.name}: {word} ({time.monotonic() - began:.1f} s)")


def _spawn(lab: Lab, component: Component) -> None:
    record, log = pid_file(lab, component.name), lab.log(component.name)
    log.parent.mkdir(parents=True, exist_ok=True)
    user = (
        ["setpriv", f"--reuid={component.user}", f"--regid={component.user}", "--init-groups"] if component.user else []
    )
    argv = [*netns.enter(component.namespace), *recorded(lab, component.name, [*user, *component.argv])]
    environment = {
        key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "PYTHONDONTWRITEBYTECODE"}
    }
    environment |= lab.environment() | dict(component.environment)
    with log.open("ab") as sink:
        subprocess.Popen(
            argv, env=environment, cwd="/", stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True
        )
    deadline = time.monotonic() + component.ready_within_s
    while read_stat(record) is None:
        if time.monotonic() > deadline:
            raise DaemonFailedError(f"{component.name} did not start: {argv}\n{log_tail(lab, component.name)}")
        time.sleep(_POLL_S / 5)


def _wait_ready(lab: Lab, component: Component) -> bool:
    deadline = time.monotonic() + component.ready_within_s
    while running(lab, component.name) is not None and time.monotonic() < deadline:
        if component.ready():
            return True
        time.sleep(_POLL_S)
    return False


def stop(lab: Lab, component: Component, *, grace_s: float = 10.0) -> bool:
    """End it: its own signal first, SIGKILL after the grace. Returns whether it ran."""
    return end(lab, component.name, component.stop_signal, grace_s=grace_s)


def kill(lab: Lab, component: Component) -> bool:
    """End it at once, as a crash would."""
    return end(lab, component.name, signal.SIGKILL)


def end(lab: Lab, name: str, first: signal.Signals, *, grace_s: float = 10.0) -> bool:
    """Signal the process of a pid file and see it end."""
    record = pid_file(lab, name)
    for number, patience_s in ((first, grace_s), (signal.SIGKILL, 5.0)):
        pid = alive(record)
        if pid is None:
            return number is not first
        send(pid, number)
        if wait_end(record, patience_s):
            record.unlink(missing_ok=True)
            return True
    raise LabError(f"{name} (process {pid}) does not end, not even by SIGKILL")


def wait_end(record: Path, within_s: float) -> bool:
    """Wait until the process of this pid file is gone; false if it is still there then."""
    deadline = time.monotonic() + within_s
    while alive(record) is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S / 5)
    return True


def send(pid: int, number: signal.Signals) -> None:
    """Signal a process that may be gone already."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def send_group(leader: int, number: signal.Signals) -> None:
    """Signal the process group of this leader, which may be gone already."""
    try:
        os.killpg(leader, number)
    except ProcessLookupError:
        return


def log_tail(lab: Lab, name: str) -> str:
    """The last lines of a component's log."""
    try:
        lines = lab.log(name).read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return "(no log)"
    return "\n".join(f"  | {line[:_LOG_LINE_LENGTH]}" for line in lines[-_LOG_TAIL_LINES:])
