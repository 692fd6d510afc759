"""What events led to: entries of the world, intents, reports and commands."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from veg_contracts.base import encode
from veg_contracts.envelope import Envelope, to_body
from veg_planner import digest
from veg_planner.core import Outcome, Record
from veg_planner.store.tables import COMMAND, INTENT, OBJECT, REPORT
from veg_planner.world import Entry, Removed, World


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """A record, what it led to, and the commands among that as messages."""

    record: Record
    outcome: Outcome
    commands: tuple[Envelope, ...]


def load_world(connection: sa.Connection) -> World:
    """The world as of the newest event."""
    return World.load(entries(connection))


def entries(connection: sa.Connection) -> Iterator[Entry]:
    """All entries of the stored world."""
    for row in connection.execute(sa.select(OBJECT.c.kind, OBJECT.c.key, OBJECT.c.data)):
        yield Entry(kind=row.kind, key=row.key, data=row.data)


def save(connection: sa.Connection, decisions: Sequence[Decision]) -> None:
    """Store what a batch led to, in its transaction."""
    _save_entries(connection, decisions)
    _insert(connection, INTENT, (_intents(decision) for decision in decisions))
    _insert(connection, REPORT, (_reports(decision) for decision in decisions))
    _insert(connection, COMMAND, (_commands(decision) for decision in decisions))


def _insert(connection: sa.Connection, table: sa.Table, groups: Iterable[list[dict[str, object]]]) -> None:
    if rows := [row for group in groups for row in group]:
        connection.execute(sa.insert(table), rows)


def _save_entries(connection: sa.Connection, decisions: Sequence[Decision]) -> None:
    # Only the last change of an entry matters, so a batch writes each of them once.
    last: dict[tuple[str, str], tuple[int, Entry | Removed]] = {}
    for decision in decisions:
        for entry in decision.outcome.entries:
            last[entry.kind, entry.key] = (decision.record.position, entry)
    changed = [
        {"kind": entry.kind, "key": entry.key, "position": position, "data": entry.data}
        for position, entry in last.values()
        if isinstance(entry, Entry)
    ]
    if changed:
        new = postgresql.insert(OBJECT)
        values = {"position": new.excluded.position, "data": sa.type_coerce(new.excluded.data, postgresql.JSONB)}
        connection.execute(new.on_conflict_do_update(index_elements=["kind", "key"], set_=values), changed)
    removed = [{"of_kind": entry.kind, "of_key": entry.key} for _, entry in last.values() if isinstance(entry, Removed)]
    if removed:
        which = sa.and_(OBJECT.c.kind == sa.bindparam("of_kind"), OBJECT.c.key == sa.bindparam("of_key"))
        connection.execute(sa.delete(OBJECT).where(which), removed)


def _intents(decision: Decision) -> list[dict[str, object]]:
    return [
        {
            "gateway_uid": intent.gateway_uid,
            "generation": intent.generation,
            "gateway": intent.gateway,
            "parent": intent.parent,
            "position": decision.record.position,
            "data": encode(intent),
            "digest": digest.of_intent(intent),
        }
        for intent in decision.outcome.intents
    ]


def _reports(decision: Decision) -> list[dict[str, object]]:
    return [
        {
            "gateway": report.gateway,
            "position": decision.record.position,
            "generation": report.generation,
            "data": encode(report),
        }
        for report in decision.outcome.reports
    ]


def _commands(decision: Decision) -> list[dict[str, object]]:
    return [
        {
            "id": command.id,
            "position": decision.record.position,
            "ordinal": ordinal,
            "gateway": command.data.gateway,
            "gateway_uid": command.data.gateway_uid,
            "generation": command.data.generation,
            "subject": command.subject,
            "type": command.type,
            "data": to_body(command),
            "digest": digest.of_command(command.id, command.subject, command.data),
            "time": datetime.fromisoformat(command.time),
            "correlation_id": command.correlation_id,
            "causation_id": command.causation_id,
            "traceparent": command.traceparent,
        }
        for ordinal, command in enumerate(decision.commands)
    ]
