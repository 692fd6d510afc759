"""The log: append and read.

- Positions have no gaps and commit in order: the caller holds the lease, so nobody else appends meanwhile.
- What is decided on is what the log gives back, not what came in: jsonb writes 1e2 as 100, and a replay must see the
  same. `append` therefore returns what it reads.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

import sqlalchemy as sa

from veg_contracts.envelope import Envelope, decode_data, to_body
from veg_planner.core import Record
from veg_planner.store.tables import EVENT

_CHUNK: Final = 500


_COLUMNS = (
    EVENT.c.position,
    EVENT.c.id,
    EVENT.c.type,
    EVENT.c.source,
    EVENT.c.subject,
    EVENT.c.time,
    EVENT.c.data,
    EVENT.c.correlation_id,
    EVENT.c.causation_id,
    EVENT.c.traceparent,
)


def format_time(time: datetime) -> str:
    """RFC 3339 in UTC, with microseconds: what the database keeps."""
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def known_ids(connection: sa.Connection, ids: Sequence[str]) -> set[str]:
    """Those of the ids that the log has already."""
    statement = sa.select(EVENT.c.id).where(EVENT.c.id == sa.func.any(sa.cast(list(ids), sa.ARRAY(sa.Text))))
    return set(connection.execute(statement).scalars())


def head(connection: sa.Connection) -> int:
    """The position of the newest event; 0 of an empty log."""
    newest: int | None = connection.execute(sa.select(sa.func.max(EVENT.c.position))).scalar_one()
    return newest or 0


def append(connection: sa.Connection, envelopes: Sequence[Envelope]) -> list[Record]:
    """Append events whose ids are new and differ; the records come back as the log has them.

    Raises:
        MalformedMessageError: the log cannot give back one of them as an event.
    """
    position = head(connection)
    _insert(connection, position, envelopes, decided=True)
    return list(_read(connection, position, None))


def append_undecided(connection: sa.Connection, envelope: Envelope) -> None:
    """Append an event that is never decided on."""
    _insert(connection, head(connection), (envelope,), decided=False)


def records(connection: sa.Connection, until: int | None = None) -> Iterator[Record]:
    """All that was decided on, or that up to the position `until`, in order, without holding it in memory."""
    return _read(connection, 0, until)


def _insert(connection: sa.Connection, position: int, envelopes: Sequence[Envelope], *, decided: bool) -> None:
    rows = [_row(position + number, envelope, decided) for number, envelope in enumerate(envelopes, start=1)]
    connection.execute(sa.insert(EVENT), rows)


def _read(connection: sa.Connection, after: int, until: int | None) -> Iterator[Record]:
    statement = sa.select(*_COLUMNS).where(EVENT.c.position > after, EVENT.c.decided).order_by(EVENT.c.position)
    if until is not None:
        statement = statement.where(EVENT.c.position <= until)
    for row in connection.execute(statement.execution_options(yield_per=_CHUNK)).mappings():
        yield _record(row)


def _row(position: int, envelope: Envelope, decided: bool) -> dict[str, object]:
    return {
        "position": position,
        "id": envelope.id,
        "type": envelope.type,
        "source": envelope.source,
        "subject": envelope.subject,
        "time": datetime.fromisoformat(envelope.time),
        "data": to_body(envelope),
        "correlation_id": envelope.correlation_id,
        "causation_id": envelope.causation_id,
        "traceparent": envelope.traceparent,
        "decided": decided,
    }


def _record(row: sa.RowMapping) -> Record:
    envelope = Envelope(
        id=row["id"],
        source=row["source"],
        type=row["type"],
        subject=row["subject"],
        time=format_time(row["time"]),
        data=decode_data(row["type"], row["data"]),
        correlation_id=row["correlation_id"],
        causation_id=row["causation_id"],
        traceparent=row["traceparent"],
    )
    return Record(position=row["position"], envelope=envelope)
