"""The outbox: commands that are decided and not yet on the bus."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from veg_contracts.envelope import Envelope, decode_data
from veg_planner.relayed import Relayed
from veg_planner.store.lease import Lease, lock
from veg_planner.store.log import format_time
from veg_planner.store.tables import COMMAND
from veg_planner.store.unit import unit_of_work

SOURCE: Final = "veg/planner"


def waiting(engine: sa.Engine, limit: int) -> list[Envelope]:
    """The oldest commands that are not relayed yet, in the order in which they were decided."""
    order = (COMMAND.c.position, COMMAND.c.ordinal)
    statement = sa.select(COMMAND).where(COMMAND.c.relayed_at.is_(None)).order_by(*order).limit(limit)
    with unit_of_work(engine) as connection:
        return [_envelope(row) for row in connection.execute(statement).mappings()]


def mark_relayed(engine: sa.Engine, lease: Lease, relayed: Sequence[Relayed]) -> None:
    """Take them out of the outbox.

    Raises:
        LeaseLostError: another planner leads.
    """
    statement = (
        sa.update(COMMAND)
        .where(COMMAND.c.id == sa.bindparam("of_id"))
        .values(relayed_at=sa.bindparam("at"), note=sa.bindparam("why"))
    )
    with unit_of_work(engine) as connection:
        lock(connection, lease)
        rows = [{"of_id": done.id, "at": datetime.fromisoformat(done.at), "why": done.note} for done in relayed]
        connection.execute(statement, rows)
        connection.commit()


def _envelope(row: sa.RowMapping) -> Envelope:
    return Envelope(
        id=row["id"],
        source=SOURCE,
        type=row["type"],
        subject=row["subject"],
        time=format_time(row["time"]),
        data=decode_data(row["type"], row["data"]),
        correlation_id=row["correlation_id"],
        causation_id=row["causation_id"],
        traceparent=row["traceparent"],
    )
