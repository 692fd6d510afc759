"""The log: append and read.

- Positions have no gaps and commit in order: the caller holds the lease, so nobody else appends meanwhile.
- What is decided on is what the log gives back, not what came in: jsonb writes 1e2 as 100, and a replay must see the
  same. `records_to_be` therefore asks the database, before deciding.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

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


def records_to_be(connection: sa.Connection, envelopes: Sequence[Envelope]) -> list[Record]:
    """The records that these events will be once they are appended: with their positions, as the log gives them back.

    Raises:
        MalformedMessageError: the log could not give back one of them as an event.
    """
    position = head(connection)
    bodies = sa.func.unnest(sa.cast([to_body(envelope).decode() for envelope in envelopes], sa.ARRAY(sa.Text)))
    body = bodies.table_valued("body", with_ordinality="number").render_derived()
    as_kept = sa.cast(sa.cast(body.c.body, JSONB), sa.Text)
    texts = connection.execute(sa.select(as_kept).order_by(body.c.number)).scalars()
    return [
        Record(
            position=position + number,
            envelope=msgspec.structs.replace(envelope, data=decode_data(envelope.type, text.encode())),
        )
        for number, (envelope, text) in enumerate(zip(envelopes, texts, strict=True), start=1)
    ]


def append(connection: sa.Connection, records: Sequence[Record]) -> None:
    """Append records that are next in line."""
    connection.execute(sa.insert(EVENT), [_row(record, decided=True) for record in records])


def append_undecided(connection: sa.Connection, envelope: Envelope) -> None:
    """Append an event that is never decided on."""
    record = Record(position=head(connection) + 1, envelope=envelope)
    connection.execute(sa.insert(EVENT), [_row(record, decided=False)])


def records(connection: sa.Connection, until: int | None = None) -> Iterator[Record]:
    """All that was decided on, or that up to the position `until`, in order, without holding it in memory."""
    statement = sa.select(*_COLUMNS).where(EVENT.c.decided).order_by(EVENT.c.position)
    if until is not None:
        statement = statement.where(EVENT.c.position <= until)
    for row in connection.execute(statement.execution_options(yield_per=_CHUNK)).mappings():
        yield _record(row)


def _row(record: Record, *, decided: bool) -> dict[str, object]:
    envelope = record.envelope
    return {
        "position": record.position,
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
