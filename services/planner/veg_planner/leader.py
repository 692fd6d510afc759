"""What a planner does while it leads: pull a batch, decide, acknowledge, relay; and keep its lease alive meanwhile."""

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, TypeVar

import sqlalchemy as sa
from nats.aio.client import Client
from nats.aio.msg import Msg

from veg_contracts.commands import part_of
from veg_contracts.configuration import PlannerSettings
from veg_contracts.envelope import Envelope, MalformedMessageError, type_name
from veg_contracts.events import AnyEvent, CommandFailed, PlannerConfigured, StreamsCreated, Ticked
from veg_planner import metrics
from veg_planner.batch import Decider, Result
from veg_planner.bus import inbox, streams
from veg_planner.bus.inbox import Inbox
from veg_planner.bus.relay import relay
from veg_planner.relayed import Relayed
from veg_planner.store import lease as leases
from veg_planner.store import outbox
from veg_planner.store.lease import Lease, LeaseLostError
from veg_planner.store.outbox import SOURCE
from veg_planner.store.rejected import Rejection
from veg_planner.store.unit import DatabaseError, explain
from veg_planner.world import World
from veg_runtime import bus, clock, logs, tasks
from veg_runtime.service import Health

_RELAY_CHUNK: Final = 100
_TICK_S: Final = 10.0
_TICK_LOOK_S: Final = 1.0  # how late a BFD session that was held back is let go at most, and how old gauges are
_RETRY_S: Final = 0.5
_EXISTS_EVERY_S: Final = 5.0
_LOOK_S: Final = 2.0
_SUBJECT: Final = "veg.evt.planner"

log = logs.get("leader")

ResultT = TypeVar("ResultT")


class Leader:
    """One time of leading, from taking the lease to losing it."""

    def __init__(self, engine: sa.Engine, client: Client, lease: Lease, health: Health) -> None:
        self._engine = engine
        self._client = client
        self._js = bus.jetstream(client)
        self._inbox = Inbox(self._js)
        self._lease = lease
        self._health = health
        self._decider = Decider(engine, lease)
        self._streams: dict[str, str] = {}
        self._noted: dict[str, str] = {}
        self._streams_ready = asyncio.Event()
        self._waits_for = "its streams"
        self._sure_until = 0.0
        self._position = 0
        self._ticks = 0
        self._ticked_at = self._looked_at = 0.0

    async def lead(self, settings: PlannerSettings) -> None:
        """Decide until the lease is lost.

        Raises:
            LeaseLostError: another planner leads, or this one could not renew its lease in time.
        """
        self._sure_until = time.monotonic() + self._lease.ttl_s
        try:
            await tasks.together(self._keep_lease(), self._keep_streams(), self._work(settings))
        finally:
            await self._inbox.close()

    async def _keep_lease(self) -> None:
        while True:
            await asyncio.sleep(self._lease.ttl_s / 4)
            asked_at = time.monotonic()
            try:
                await asyncio.to_thread(leases.renew, self._engine, self._lease)
                self._sure_until = asked_at + self._lease.ttl_s
            except (DatabaseError, sa.exc.TimeoutError) as error:
                log.warning("lease not renewed", error=explain(error))
                if not self._sure():
                    raise LeaseLostError(f"not renewed within {self._lease.ttl_s} s") from error

    async def _keep_streams(self) -> None:
        """A bus that lost its files gets its streams again, also while the relay waits for one of them."""
        self._streams = await streams.ensure_streams(self._js)
        self._streams_ready.set()
        while True:
            await asyncio.sleep(_LOOK_S)
            if await streams.any_missing(self._js):
                self._streams = await streams.ensure_streams(self._js)
            self._say_health()

    def _sure(self) -> bool:
        """Whether nobody else can lead now, as far as this process's own clock can tell."""
        return time.monotonic() < self._sure_until

    async def _work(self, settings: PlannerSettings) -> None:
        await self._streams_ready.wait()
        await self._inbox.subscribe()
        await self._configure(settings)
        await self._note_streams()
        await self._relay()
        checked_at = time.monotonic()
        while True:
            self._say_health()
            if await self._note_streams():
                await self._relay()
            await self._batch(await self._inbox.fetch())
            # However much comes: one of the two consumers may be gone while the other one delivers.
            if time.monotonic() - checked_at > _EXISTS_EVERY_S:
                checked_at = time.monotonic()
                if not await self._inbox.exist():
                    await self._inbox.subscribe()

    async def _configure(self, settings: PlannerSettings) -> None:
        world = await self._store(self._decider.world)
        self._position = await self._store(self._decider.head)
        if self._position and world.settings == settings:
            return
        identity = f"planner/configured/{self._lease.holder}/{self._lease.fence}"
        await self._process([_own(identity, "configured", PlannerConfigured(settings=settings))])

    async def _note_streams(self) -> bool:
        """Have the log know the streams that there are now, and so decide what is sent again; whether that was news.

        Told by what the streams are, not by who made them: a planner killed before it is in the log changes nothing.
        """
        created = self._streams
        if created == self._noted:
            return False
        world = await self._store(self._decider.world)
        news = world.streams != created
        if news:
            identity = f"planner/streams/{self._lease.fence}/{self._position}"
            await self._process([_own(identity, "streams", StreamsCreated(created=created))])
        self._noted = created
        return news

    async def _batch(self, messages: Sequence[Msg]) -> None:
        started = time.monotonic()
        envelopes, rejections = _read_all(messages)
        result = await self._process([*envelopes, *await self._tick()], rejections)
        if result is None:
            return
        for message in messages:
            await bus.acknowledge(message)
        if result.commands:
            await self._relay()
        if messages:
            metrics.BATCH_SIZE.observe(len(messages))
            metrics.LAG.set(self._inbox.waiting)
            metrics.BATCH_SECONDS.observe(time.monotonic() - started)

    async def _tick(self) -> list[Envelope]:
        now = time.monotonic()
        if now - self._looked_at < _TICK_LOOK_S:
            return []
        self._looked_at = now
        world, at = await self._store(self._decider.world), clock.now()
        metrics.look_at(world, at)
        tick = due_tick(world, at, since_s=now - self._ticked_at)
        if tick is None:
            return []
        if not tick.early:
            self._ticked_at = now
        self._ticks += 1
        identity = f"planner/tick/{self._lease.fence}/{self._ticks}"
        return [_own(identity, "tick", tick)]

    async def _process(self, envelopes: Sequence[Envelope], rejections: Sequence[Rejection] = ()) -> Result | None:
        if not envelopes and not rejections:
            return None
        result = await self._store(partial(self._decider.process, envelopes, rejections))
        metrics.POSITION.set(result.position)
        metrics.EVENTS.inc(result.appended)
        metrics.COMMANDS.inc(result.commands)
        metrics.REJECTED.inc(len(rejections))
        self._position = result.position
        return result

    async def _relay(self) -> None:
        while True:
            waiting = await self._store(partial(outbox.waiting, self._engine, _RELAY_CHUNK))
            if not waiting:
                return
            self._waits_for = "the bus to take commands"
            done = await relay(self._js, waiting, self._sure)
            self._waits_for = ""
            if not done:
                raise LeaseLostError("not sure of the lease while relaying")
            # First into the log, then out of the outbox: in the other order a failure could be forgotten.
            await self._process(_failures(waiting, done))
            await self._store(partial(outbox.mark_relayed, self._engine, self._lease, done))

    def _say_health(self) -> None:
        waits_for = self._waits_for if self._client.is_connected else "the bus"
        detail = f"leading with fence {self._lease.fence}, at position {self._position}"
        self._health.set(not waits_for, f"waits for {waits_for}" if waits_for else detail)

    async def _store(self, work: Callable[[], ResultT]) -> ResultT:
        """Do it in a thread; a database that is away is waited for."""
        while True:
            try:
                result = await asyncio.to_thread(work)
            except (DatabaseError, sa.exc.TimeoutError) as error:
                log.warning("database not reached, trying again", error=explain(error))
                self._waits_for = "the database"
                self._say_health()
                await asyncio.sleep(_RETRY_S)
            else:
                self._waits_for = ""
                return result


def due_tick(world: World, at: str, *, since_s: float) -> Ticked | None:
    """What is to be said of time now, when that was last done so long ago: failures are counted by ticks of 10 s."""
    if since_s >= _TICK_S and world.wants_tick():
        return Ticked(at=at)
    return Ticked(at=at, early=True) if world.overdue_sessions(at) or world.overdue_repairs(at) else None


def _own(identity: str, what: str, event: AnyEvent, *, cause: Envelope | None = None) -> Envelope:
    """An event that the planner appends itself: it never travels on the bus."""
    return Envelope(
        id=identity,
        source=SOURCE,
        type=type_name(event),
        subject=f"{_SUBJECT}.{what}",
        time=clock.now(),
        data=event,
        correlation_id=cause.correlation_id if cause else "",
        causation_id=cause.id if cause else "",
        traceparent=clock.child_traceparent(cause.traceparent) if cause else clock.new_traceparent(),
    )


def _failures(commands: Sequence[Envelope], done: Sequence[Relayed]) -> list[Envelope]:
    """The outcomes of commands that could not be sent."""
    notes = {relayed.id: relayed.note for relayed in done if relayed.note}
    return [
        _own(f"{command.id}/failed", "relay", _failed(command, notes[command.id]), cause=command)
        for command in commands
        if command.id in notes
    ]


def _failed(command: Envelope, note: str) -> CommandFailed:
    return CommandFailed(
        command_id=command.id,
        gateway=command.data.gateway,
        gateway_uid=command.data.gateway_uid,
        part=part_of(command.data),
        generation=command.data.generation,
        message=note,
    )


def _read_all(messages: Sequence[Msg]) -> tuple[list[Envelope], list[Rejection]]:
    envelopes, rejections = [], []
    for message in messages:
        try:
            envelopes.append(inbox.read_message(message))
        except MalformedMessageError as error:
            log.warning("message not read", subject=message.subject, reason=str(error), size=len(message.data))
            rejections.append(Rejection(subject=message.subject, reason=str(error), body=message.data))
    return envelopes, rejections
