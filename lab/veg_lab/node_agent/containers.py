"""The processes of a pod's containers: start, find again after a restart of the agent, signal, notice the end.

- A record is written before the container may start, so no container runs that a later agent would not find.
- A process is ours only if its start time is the recorded one.
"""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from veg_lab import netns, priority
from veg_lab.node_agent.record import ContainerRecord, Ended, Sandbox
from veg_lab.node_agent.spec import ContainerPlan, launch_script, shim_words
from veg_lab.process import read_stat, send

START_TIMEOUT_S = 20.0
POLL_S = 0.005
KILLED = 137


class ContainerError(Exception):
    """A container could not be started; the message has its name and what was seen."""


class Container:
    """One container of a pod, over all of its starts. `changed` is called when it ends."""

    def __init__(self, directory: Path, name: str, changed: Callable[[], None]) -> None:
        self.name = name
        self._directory = directory
        self._changed = changed
        self._shim: subprocess.Popen[bytes] | None = None
        self._watched: int | None = None
        self.record = self._read()
        if self.record is not None and self.record.exit_code is None:
            self._find_pid(self.record)
            self._watch(self.record)
            self.refresh()

    def _path(self, suffix: str) -> Path:
        return self._directory / "containers" / f"{self.name}.{suffix}"

    def _read(self) -> ContainerRecord | None:
        try:
            return msgspec.json.decode(self._path("json").read_bytes(), type=ContainerRecord)
        except FileNotFoundError:
            return None

    def _write(self, record: ContainerRecord) -> None:
        draft = self._path("json.new")
        draft.write_bytes(msgspec.json.encode(record))
        draft.chmod(0o600)
        draft.rename(self._path("json"))

    @property
    def running(self) -> bool:
        return self.record is not None and self.record.exit_code is None

    async def start(self, plan: ContainerPlan, sandbox: Sandbox, pod_name: str) -> None:
        """Start it (again) and return when its process exists."""
        attempt = 0 if self.record is None else self.record.attempt + 1
        for place in ("containers", "root", "log"):
            (self._directory / place).mkdir(exist_ok=True)
        self._path("pid").unlink(missing_ok=True)
        self._path("exit").unlink(missing_ok=True)
        script = self._path("sh")
        script.write_text(launch_script(plan, str(self._directory), pod_name, sandbox.addresses))
        words = priority.words(plan.priority)
        words += shim_words(str(netns.DIRECTORY / sandbox.netns), str(script), str(self._path("exit")))
        with (self._directory / "log" / f"{self.name}.log").open("ab") as log:
            shim = subprocess.Popen(  # noqa: ASYNC220 - it must outlive the loop, and starting it takes a millisecond
                words, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True, cwd="/"
            )
        stat = read_stat(Path(f"/proc/{shim.pid}/stat"))
        if stat is None or shim.stdin is None:
            raise ContainerError(f"container {self.name}: its keeper ended at once")
        caps = ["all"] if plan.privileged else sorted(plan.capabilities if plan.uid == 0 else plan.added_capabilities)
        record = ContainerRecord(
            pid=0, start_time=0, uid=plan.uid, gid=plan.gid, caps=caps, cwd=plan.cwd, env=dict(plan.env), plan=plan,
            shim_pid=shim.pid, shim_start_time=stat.start_ticks, attempt=attempt, started_at=time.time(),
            previous=self._ending(),
        )  # fmt: skip
        self._shim = shim
        self._write(record)
        self.record = record
        shim.stdin.write(b"go\n")
        shim.stdin.close()
        self._watch(record)
        await self._wait_for_pid(record)

    def _ending(self) -> Ended | None:
        record = self.record
        if record is None or record.exit_code is None:
            return None
        return Ended(record.exit_code, record.started_at, record.finished_at)

    async def _wait_for_pid(self, record: ContainerRecord) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._find_pid(record):
            if record.exit_code is not None:
                return  # it ended before it began: the exit code and the log tell why
            if time.monotonic() > deadline:
                raise ContainerError(f"container {self.name}: no process after {START_TIMEOUT_S} s")
            await asyncio.sleep(POLL_S)

    def _find_pid(self, record: ContainerRecord) -> bool:
        """Complete the record with the process that the launch script became."""
        if record.pid:
            return True
        try:
            pid = int(self._path("pid").read_text())
        except (FileNotFoundError, ValueError):  # not there, or not written to the end
            return False
        stat = read_stat(Path(f"/proc/{pid}/stat"))
        if stat is None:
            return False
        record.pid, record.start_time = pid, stat.start_ticks
        self._write(record)
        return True

    def _watch(self, record: ContainerRecord) -> None:
        try:
            self._watched = os.pidfd_open(record.shim_pid)
        except ProcessLookupError:
            return
        asyncio.get_running_loop().add_reader(self._watched, self._ended)

    def _ended(self) -> None:
        self.refresh()
        self._changed()

    def refresh(self) -> None:
        """Notice that it has ended, if it has."""
        record = self.record
        if record is None or record.exit_code is not None:
            return
        if self._shim is not None:
            self._shim.poll()
        if _lives(record.shim_pid, record.shim_start_time):
            return
        self.forget()
        self._find_pid(record)
        if _lives(record.pid, record.start_time):  # somebody killed only the keeper
            send(record.pid, signal.SIGKILL)
        try:
            record.exit_code = int(self._path("exit").read_text())
        except (FileNotFoundError, ValueError):
            record.exit_code = KILLED
        record.finished_at = time.time()
        self._write(record)

    def forget(self) -> None:
        """Stop watching; the container goes on."""
        if self._watched is not None:
            asyncio.get_running_loop().remove_reader(self._watched)
            os.close(self._watched)
            self._watched = None

    def signal(self, number: signal.Signals) -> None:
        """Signal the container's first process, if it still is that process."""
        record = self.record
        if record is None or record.exit_code is not None:
            return
        self._find_pid(record)
        if _lives(record.pid, record.start_time):
            send(record.pid, number)
        elif number == signal.SIGKILL and _lives(record.shim_pid, record.shim_start_time):
            send(record.shim_pid, number)


def _lives(pid: int, start_time: int) -> bool:
    stat = read_stat(Path(f"/proc/{pid}/stat"))
    return stat is not None and stat.start_ticks == start_time and stat.state not in "ZX"
