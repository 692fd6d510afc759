"""The agent's side of the BFD speaker: its config file, and what becomes of its sessions. The speaker needs no more."""

import asyncio
import json
import os
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from veg_contracts import ids, subjects
from veg_contracts.addresses import family
from veg_contracts.base import Value
from veg_contracts.envelope import Envelope, type_name
from veg_contracts.events import SpeakerChanged
from veg_contracts.intent import PodBfd
from veg_gw_agent.settings import CONFIG_FILE, AgentSettings, Pod
from veg_runtime import clock, logs

SOCKET_FILE: Final = "bfdd.sock"
_RETRY_S: Final = 1.0
# While the bus is away. Older changes are the first to go: what a session is now says more.
_WAITING_MAX: Final = 1000
_NONE: Final = PodBfd(min_rx=1000, min_tx=1000, multiplier=3)

log = logs.get("speaker")


class Change(Value, frozen=True, kw_only=True):
    """One line of the speaker's events."""

    local: str
    remote: str
    state: str
    previous: str
    diagnostic: str
    remote_state: str
    at: str
    min_rx_ms: int
    min_tx_ms: int
    detect_ms: int


def same(one: Change | None, other: Change) -> bool:
    """Whether both say the same of a session, apart from since when and what was before."""
    return one is not None and one == msgspec.structs.replace(other, at=one.at, previous=one.previous)


def file_content(bfd: PodBfd | None, addresses: Sequence[str]) -> str:
    """The speaker's config file for a pod with these addresses: a session with each peer of a family that it has."""
    wanted = bfd or _NONE
    sessions = [
        {"local": local, "remote": remote, **({"via": wanted.via[remote]} if remote in wanted.via else {})}
        for remote in wanted.peers
        for local in addresses
        if family(local) == family(remote)
    ]
    timers = {"min_rx_ms": wanted.min_rx, "min_tx_ms": wanted.min_tx, "multiplier": wanted.multiplier}
    return json.dumps({**timers, "sessions": sessions}, indent=1) + "\n"


def configure(directory: Path, bfd: PodBfd | None, addresses: Sequence[str]) -> bool:
    """Have the speaker's config file say this; whether that is a change.

    Raises:
        OSError: it cannot be written.
    """
    file, text = directory / CONFIG_FILE, file_content(bfd, addresses)
    if not directory.is_dir() and bfd is None:
        return False  # there is no speaker in this pod
    if file.exists() and file.read_bytes() == text.encode():
        return False
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)
    return True


class Changes:
    """What happened to the sessions and is still to be published, in order."""

    def __init__(self, settings: AgentSettings, pod: Pod, waiting_max: int = _WAITING_MAX) -> None:
        self._settings = settings
        self._pod = pod
        self._waiting: deque[Envelope] = deque(maxlen=waiting_max)
        self._filled = asyncio.Event()
        self._told: dict[tuple[str, str], Change] = {}

    async def follow(self) -> None:
        """Take in what the speaker tells, through every restart of it."""
        socket = Path(self._settings.bfd_dir) / SOCKET_FILE
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(os.fspath(socket))
            except OSError:
                await asyncio.sleep(_RETRY_S)  # there is no speaker, or it is starting
                continue
            try:
                writer.write(b"events\n")
                while line := await reader.readline():
                    self._take(line)
            except (OSError, ValueError) as error:
                log.warning("speaker lost", reason=str(error))
            finally:
                writer.close()
            await asyncio.sleep(_RETRY_S)

    async def get(self) -> Envelope:
        """Wait for the oldest; it stays in place until `done`."""
        while not self._waiting:
            self._filled.clear()
            await self._filled.wait()
        return self._waiting[0]

    def done(self, envelope: Envelope) -> None:
        if self._waiting and self._waiting[0] is envelope:
            self._waiting.popleft()

    def _take(self, line: bytes) -> None:
        try:
            change = msgspec.json.decode(line, type=Change)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            log.warning("line of the speaker not read", reason=str(error))
            return
        key = (change.local, change.remote)
        if same(self._told.get(key), change):
            return  # said again after a reconnection
        self._told[key] = change
        log.info("session", **msgspec.structs.asdict(change))
        if len(self._waiting) == self._waiting.maxlen:
            log.warning("change of a BFD session dropped, the bus is away for too long", id=self._waiting[0].id)
        self._waiting.append(_envelope(change, self._settings, self._pod))
        self._filled.set()


def _envelope(change: Change, settings: AgentSettings, pod: Pod) -> Envelope:
    what = f"session/{change.local}/{change.remote}/{change.at}"
    identity = ids.of_agent(settings.gateway, pod.name, pod.uid, what)
    values: dict[str, Any] = msgspec.structs.asdict(change)
    for name in ("min_rx", "min_tx", "detect"):
        values[name] = values.pop(f"{name}_ms")
    data = SpeakerChanged(
        gateway=settings.gateway, gateway_uid=settings.gateway_uid, pod=pod.name, pod_uid=pod.uid, **values
    )
    return Envelope(
        id=identity,
        source="veg/gw-agent",
        type=type_name(data),
        subject=subjects.agent_event(settings.gateway, pod.name),
        time=clock.now(),
        data=data,
        correlation_id=identity,
        traceparent=clock.new_traceparent(),
    )
