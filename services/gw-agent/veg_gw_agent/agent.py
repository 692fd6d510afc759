"""The agent at work: one task takes configs from the bus, one applies them, one reports. Applying waits for nobody."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from veg_contracts.envelope import Envelope
from veg_contracts.intent import PodConfig
from veg_gw_agent import config as configs
from veg_gw_agent import disk, drain, outcomes, speaker
from veg_gw_agent.ensure import EnsureError, ensure, find_way, is_open
from veg_gw_agent.settings import AgentSettings, Pod
from veg_gw_agent.state import Held, Progress, judge, retry_delay_s
from veg_runtime import clock, logs

_WAY_AGAIN_S: Final = 1.0
log = logs.get("agent")


class Outbox:
    """The one report that is still to be published: a newer one makes an older one pointless."""

    def __init__(self) -> None:
        self._envelope: Envelope | None = None
        self._filled = asyncio.Event()

    def put(self, envelope: Envelope) -> None:
        self._envelope = envelope
        self._filled.set()

    async def get(self) -> Envelope:
        """Wait for the report; it stays in place until `done`."""
        await self._filled.wait()
        if self._envelope is None:
            raise RuntimeError("the outbox is filled and empty at once")
        return self._envelope

    def done(self, envelope: Envelope) -> None:
        if envelope is self._envelope:
            self._envelope = None
            self._filled.clear()


def is_removal(headers: Mapping[str, str]) -> bool:
    """Whether a message says that a key has no value any more."""
    return headers.get("KV-Operation") in ("DEL", "PURGE")


class Agent:
    """Holds the config, applies it, and checks it again and again."""

    def __init__(self, settings: AgentSettings, pod: Pod) -> None:
        self._settings = settings
        self._pod = pod
        self._directory = Path(settings.state_dir)
        self._held: Held | None = None
        self._saved: Held | None = None
        self._progress = Progress()
        self._changed = asyncio.Event()
        self._attempts = 0
        self._noted = ""
        self._removed = False
        self._released: bool | None = None
        self._no_way = ""
        self._kernel = asyncio.Lock()  # one pass at a time
        self.outbox = Outbox()
        self.refusals = Outbox()
        self.sessions = speaker.Changes(settings, pod)

    def restore(self) -> None:
        """Take up the copies on disk, if they are of this gateway."""
        self._progress = disk.load_progress(self._directory)
        held = disk.load_held(self._directory)
        if held is not None and self._accepts(held.config):
            self._take(held)
            self._saved = held
            self._show_released()

    def offer(self, headers: Mapping[str, str], body: bytes) -> None:
        """A value of the key, new or seen before: take it, or leave it and say why, once."""
        if is_removal(headers):
            self._note("the config was removed from the bus; the held one stays")
            self._removed = True
            self._show_released()
            return
        try:
            config = configs.read(body)
        except configs.MalformedConfigError as error:
            self._refuse(headers, configs.identity(body), f"malformed config, the held one stays: {error}")
            return
        # A successor of the same name: the removal itself may never be seen, as the bus keeps the last value only. What
        # is another gateway's says nothing of ours.
        if config.gateway == self._settings.gateway:
            self._removed = self._held is not None and config.gateway_uid != self._settings.gateway_uid
        if self._accepts(config):
            self._take(_held(config, headers))
        self._show_released()

    async def keep_applied(self) -> None:
        """Apply the held config at once when it changes, after a back-off when that failed, else every resync."""
        while True:
            await self._wait()
            if self._held is not None:
                await self._apply(self._held)
            else:
                await self._has_way()

    async def find_way(self) -> None:
        """Make the pod's way to the bus, and try again until it is there: the config itself comes by it."""
        while not await self._has_way():  # noqa: ASYNC110  # the kernel tells nobody: it is looked at
            await asyncio.sleep(_WAY_AGAIN_S)

    async def _has_way(self) -> bool:
        try:
            async with self._kernel:
                changes = await asyncio.to_thread(find_way, self._settings.way)
        except EnsureError as error:
            if str(error) != self._no_way:
                log.error("no way to the bus", problem=str(error))  # noqa: TRY400  # the reason says it all
            self._no_way = str(error)
            return False
        if changes:
            log.info("way to the bus", changes=changes)
        self._no_way = ""
        return True

    def _accepts(self, config: PodConfig) -> bool:
        verdict = judge(self._held, config, self._settings.gateway, self._settings.gateway_uid)
        if verdict.reason:
            self._note(f"config not taken: {verdict.reason}")
        elif not verdict.take:
            self._noted = ""  # the bus has what we have: whatever was noted is over
        return verdict.take

    def _take(self, held: Held) -> None:
        log.info("config taken", generation=held.config.generation, cause=held.causation_id)
        self._held = held
        self._progress = self._progress.restarted()
        self._attempts = 0
        self._noted = ""
        self._changed.set()

    def _refuse(self, headers: Mapping[str, str], offered: PodConfig | None, text: str) -> None:
        """Tell whoever waits for a newer config to be applied that it is not going to be."""
        if text != self._noted and offered is not None and self._is_newer(offered):
            self.refusals.put(outcomes.malformed(_held(offered, headers), self._pod, text, clock.now()))
        self._note(text)

    def _is_newer(self, offered: PodConfig) -> bool:
        verdict = judge(self._held, offered, self._settings.gateway, self._settings.gateway_uid)
        return verdict.take and (self._held is None or offered.generation > self._held.config.generation)

    def _note(self, text: str) -> None:
        """Log once: the same value is offered at every look."""
        if text != self._noted:
            log.warning(text, gateway=self._settings.gateway)
        self._noted = text

    async def _wait(self) -> None:
        delay_s = retry_delay_s(self._attempts) if self._attempts else self._settings.resync_s
        try:
            async with asyncio.timeout(delay_s):
                await self._changed.wait()
        except TimeoutError:
            return
        self._changed.clear()

    async def _apply(self, held: Held) -> None:
        """One pass. Its effects are idempotent, so a crash anywhere in it needs nothing but the next pass."""
        before = self._progress
        problems: list[str] = []
        if self._saved is not held:
            problems += await asyncio.to_thread(self._save, held)
        changes: tuple[str, ...] = ()
        try:
            async with self._kernel:
                changes, forwards = await asyncio.to_thread(ensure, held.config, self._settings.way), True
        except EnsureError as error:
            problems.append(str(error))
            forwards = await asyncio.to_thread(is_open, held.config)
        if forwards:  # a session that is up brings traffic
            problems += await asyncio.to_thread(self._configure_speaker, held.config)
        if held is not self._held:
            return  # a newer config came meanwhile: it is applied next, and reported instead of this one
        generation = held.config.generation
        if problems:
            self._attempts += 1
            await self._report(held, before.failed(generation, "; ".join(problems)))
        else:
            self._attempts = 0
            after = before.succeeded(generation)
            if changes and after == before:
                log.warning("repaired what somebody changed", generation=generation, changes=changes)
            elif changes:
                log.info("changed", generation=generation, changes=changes)
            await self._report(held, after)

    async def _report(self, held: Held, progress: Progress) -> None:
        """Record the progress and publish it, if it is news."""
        if progress == self._progress:
            return
        self._progress = progress
        await asyncio.to_thread(self._save, progress)
        if self._attempts:
            log.error("not applied", generation=progress.generation, problem=progress.said)
            self.outbox.put(outcomes.failed(held, self._pod, progress, clock.now()))
        else:
            log.info("applied", generation=progress.generation)
            self.outbox.put(outcomes.applied(held, self._pod, progress, clock.now()))

    def _configure_speaker(self, config: PodConfig) -> list[str]:
        try:
            if speaker.configure(Path(self._settings.bfd_dir), config.bfd, self._pod.ips):
                log.info("speaker configured", bfd=config.bfd)
        except OSError as error:
            return [f"config of the BFD speaker in {self._settings.bfd_dir}: {error.strerror}"]
        return []

    def _show_released(self) -> None:
        """Tell the containers of this pod whether they may stop: no chassis sends it anything any more.

        That is so, too, when the gateway is gone: its config is removed after its rows. Shown again at every look.
        """
        released = self._removed or (self._held is not None and self._pod.key in self._held.config.released)
        try:
            drain.show(self._settings.bfd_dir, released)
        except OSError as error:
            if released != self._released:
                log.error("cannot show that the pod is released", directory=self._settings.bfd_dir, reason=str(error))  # noqa: TRY400
        else:
            if released != self._released:
                log.info("released" if released else "in service")
        self._released = released

    def _save(self, value: Held | Progress) -> list[str]:
        """The copy is for the next start only: a disk that fails must not stop traffic, but it is reported."""
        try:
            disk.save(self._directory, value)
        except OSError as error:
            problem = f"state directory {self._directory}: {error.strerror}"
            log.error(problem)  # noqa: TRY400  # the reason says it all
            return [problem]
        if isinstance(value, Held):
            self._saved = value
        return []


def _held(config: PodConfig, headers: Mapping[str, str]) -> Held:
    return Held(
        config=config,
        causation_id=headers.get("ce-id", ""),
        correlation_id=headers.get("ce-correlationid", ""),
        traceparent=headers.get("traceparent", ""),
    )
