"""Telling of every change of a BFD session at once: a failover by policies waits for it."""

from collections.abc import Iterable
from uuid import UUID

from veg_contracts.events import SessionChanged
from veg_ovn_writer import metrics, outcomes
from veg_ovn_writer.nb import Nb
from veg_ovn_writer.replica import SessionRow
from veg_ovn_writer.rows import is_owner
from veg_ovn_writer.watch import Publish
from veg_runtime import clock, logs

log = logs.get("sessions")


class SessionWatch:
    """Publishes changes in the order in which they came. What was last said of each row is all it remembers."""

    def __init__(self, nb: Nb, publish: Publish) -> None:
        self._nb = nb
        self._publish = publish
        self._told: dict[UUID, SessionRow] = {}

    async def run(self) -> None:
        while True:
            news = await self._nb.sessions.get()
            for row in (news,) if isinstance(news, SessionRow) else self._since_lost(news):
                await self._tell(row)

    def _since_lost(self, rows: tuple[SessionRow, ...]) -> Iterable[SessionRow]:
        """All that may have happened while we were not serving: rows that are not there any more, and what is."""
        there = {row.uuid for row in rows}
        gone = [
            SessionRow(row.uuid, row.owner, row.logical_port, row.dst_ip, "", clock.now())
            for row in self._told.values()
            if row.uuid not in there
        ]
        return (*gone, *rows)

    async def _tell(self, row: SessionRow) -> None:
        before = self._told.get(row.uuid)
        if (before is not None and before.status == row.status) or not is_owner(row.owner):
            return
        if row.status:
            self._told[row.uuid] = row
        elif self._told.pop(row.uuid, None) is None:
            return
        event = SessionChanged(
            gateway=row.owner,
            logical_port=row.logical_port,
            dst_ip=row.dst_ip,
            status=row.status,
            previous=before.status if before is not None else "",
            at=row.at,
        )
        log.info("session", gateway=row.owner, peer=row.dst_ip, status=row.status, previous=event.previous)
        metrics.SESSIONS.labels(row.status or "gone").inc()
        await self._publish(outcomes.seen(event))
