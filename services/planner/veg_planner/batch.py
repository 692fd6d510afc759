"""One batch: new events, and everything that deciding on them led to, in one transaction.

- The world in memory is exactly what the database holds: a transaction that fails after the world changed throws the
  world away, and the next batch loads it again.
- Deciding happens outside of any transaction: however long it takes, it holds no lock.
- Events are decided on in the order of their positions, each once.
- An event that cannot be decided on (a bug) or whose consequences the database refuses is logged as undecided, so
  that it blocks no other one, and a replay leaves it out as well.
"""

import traceback
from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from veg_contracts.envelope import Envelope, MalformedMessageError, to_body, type_name
from veg_planner import core
from veg_planner.core import Outcome, Outgoing, Record
from veg_planner.store import effects, lease, log, rejected
from veg_planner.store.effects import Decision
from veg_planner.store.lease import Lease
from veg_planner.store.outbox import SOURCE
from veg_planner.store.rejected import Rejection
from veg_planner.store.unit import DatabaseError, refuses_value, unit_of_work
from veg_planner.world import World
from veg_runtime import clock, logs

_log = logs.get("batch")


class UndecidableError(Exception):
    """Deciding on an event failed; the cause says where."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch came to. `position` is the newest one in the log."""

    position: int
    appended: int
    commands: int


class Decider:
    """Appends events and decides on them, for as long as it holds its lease."""

    def __init__(self, engine: sa.Engine, held: Lease) -> None:
        self._engine = engine
        self._lease = held
        self._world: World | None = None

    def world(self) -> World:
        """The world as of the newest event of the log."""
        if self._world is None:
            with unit_of_work(self._engine) as connection:
                lease.lock(connection, self._lease)
                self._world = effects.load_world(connection)
        return self._world

    def head(self) -> int:
        """The position of the newest event."""
        with unit_of_work(self._engine) as connection:
            return log.head(connection)

    def process(self, envelopes: Sequence[Envelope], rejections: Sequence[Rejection] = ()) -> Result:
        """Append what is new and decide on it; keep the rejections. After it returns, all of it is committed.

        Raises:
            LeaseLostError: another planner leads; nothing was stored.
            DatabaseError: the database is away; nothing was stored.
        """
        try:
            return self._process(envelopes, rejections)
        except UndecidableError as error:
            cause: Exception = error
        except DatabaseError as error:
            if not refuses_value(error):
                raise
            cause = error
        if not envelopes:
            raise cause
        if len(envelopes) == 1:
            return self._append_undecided(envelopes[0], rejections, cause)
        # One of them is at fault. Alone, each shows whether it is the one, and the others go their ordinary way.
        results = [self.process((), rejections), *(self.process((envelope,)) for envelope in envelopes)]
        return Result(
            position=results[-1].position,
            appended=sum(result.appended for result in results),
            commands=sum(result.commands for result in results),
        )

    def _process(self, envelopes: Sequence[Envelope], rejections: Sequence[Rejection]) -> Result:
        world, self._world = self.world(), None  # until the commit there is no world that can be trusted
        records = self._prepare(envelopes)
        decisions = [_decide(world, record) for record in records]
        with unit_of_work(self._engine) as connection:
            lease.lock(connection, self._lease)
            if rejections:
                rejected.record(connection, rejections)
            if records:
                log.append(connection, records)
                effects.save(connection, decisions)
            position = log.head(connection)
            lease.extend(connection, self._lease)
            connection.commit()
        self._world = world
        commands = sum(len(decision.commands) for decision in decisions)
        return Result(position=position, appended=len(records), commands=commands)

    def _prepare(self, envelopes: Sequence[Envelope]) -> list[Record]:
        """What is new, with its positions. They still hold when it is appended, or the lease is lost by then."""
        if not envelopes:
            return []
        with unit_of_work(self._engine) as connection:
            lease.lock(connection, self._lease)
            fresh = _fresh(connection, envelopes)
            try:
                return log.records_to_be(connection, fresh) if fresh else []
            except MalformedMessageError as error:
                ids = ", ".join(envelope.id for envelope in fresh)
                raise UndecidableError(f"one of {ids} cannot be read back") from error

    def _append_undecided(self, envelope: Envelope, rejections: Sequence[Rejection], cause: Exception) -> Result:
        reason = "".join(traceback.format_exception(cause))
        _log.error("event not decided", id=envelope.id, subject=envelope.subject, type=envelope.type, reason=reason)
        rejection = Rejection(subject=envelope.subject, reason=f"{envelope.id}: {reason}", body=to_body(envelope))
        try:
            appended = self._log_only((envelope,), (*rejections, rejection))
        except DatabaseError as error:
            if not refuses_value(error):
                raise
            _log.error("event not logged", id=envelope.id, subject=envelope.subject, reason=str(error))
            appended = self._log_only((), (*rejections, rejection))
        return Result(position=self.head(), appended=appended, commands=0)

    def _log_only(self, envelopes: Sequence[Envelope], rejections: Sequence[Rejection]) -> int:
        with unit_of_work(self._engine) as connection:
            lease.lock(connection, self._lease)
            rejected.record(connection, rejections)
            fresh = _fresh(connection, envelopes)
            for envelope in fresh:
                log.append_undecided(connection, envelope)
            lease.extend(connection, self._lease)
            connection.commit()
        return len(fresh)


def _fresh(connection: sa.Connection, envelopes: Sequence[Envelope]) -> list[Envelope]:
    """Without doubles: those in the log, and all but the first of those within the batch."""
    if not envelopes:
        return []
    first = {envelope.id: envelope for envelope in reversed(envelopes)}
    known = log.known_ids(connection, list(first))
    return [envelope for envelope in envelopes if first[envelope.id] is envelope and envelope.id not in known]


def _decide(world: World, record: Record) -> Decision:
    try:
        outcome = core.step(world, record)
    except Exception as error:  # any bug of the pure part: it must cost this one event, not the service
        raise UndecidableError(f"position {record.position}, {record.envelope.id}") from error
    return Decision(record=record, outcome=outcome, commands=_messages(record.envelope, outcome))


def _messages(event: Envelope, outcome: Outcome) -> tuple[Envelope, ...]:
    return tuple(_message(event, command) for command in outcome.commands)


def _message(event: Envelope, command: Outgoing) -> Envelope:
    return Envelope(
        id=command.id,
        source=SOURCE,
        type=type_name(command.data),
        subject=command.subject,
        time=clock.now(),
        data=command.data,
        correlation_id=event.correlation_id or event.id,
        causation_id=event.id,
        traceparent=clock.child_traceparent(event.traceparent),
    )
