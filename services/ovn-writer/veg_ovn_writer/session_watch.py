"""Telling of every change of a BFD session at once: a failover by policies waits for it."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Final
from uuid import UUID

from ovs.db import idl

from veg_contracts.events import SessionChanged, SessionProgrammed
from veg_contracts.names import bfd_relay
from veg_ovn_writer import metrics, outcomes
from veg_ovn_writer.errors import CannotApplyError, NotNowError
from veg_ovn_writer.nb import Nb
from veg_ovn_writer.replica import Replica, SessionRow
from veg_ovn_writer.rows import is_owner
from veg_ovn_writer.watch import Publish
from veg_runtime import clock, logs

_UP: Final = "up"
# With no chassis answering they pile up; what happened later says more.
_DOWN_MAX: Final = 1000

log = logs.get("sessions")


class SessionWatch:
    """Publishes each row's changes in the order in which they came. What it last said of each is all it remembers."""

    def __init__(self, nb: Nb, publish: Publish) -> None:
        self._nb = nb
        self._publish = publish
        self._told: dict[UUID, SessionRow] = {}
        self._lost: asyncio.Queue[SessionChanged] = asyncio.Queue()
        self._down: list[SessionProgrammed] = []  # those that no chassis has confirmed yet

    async def run(self) -> None:
        queue = self._nb.sessions
        while True:
            events = self.events(await queue.get())
            while not queue.empty():
                events += self.events(queue.get_nowait())
            # A node that fails takes many sessions along: they wait for the stream together, not one after the other.
            for different in rounds(events):
                await asyncio.gather(*(self._publish(outcomes.seen(event)) for event in different))
            for event in events:
                if event.previous == _UP and event.status:  # a row that went was taken away on purpose
                    self._lost.put_nowait(event)

    async def follow_flows(self) -> None:
        """Have the chassis confirm what OVN makes of lost sessions. Beside `run`: telling of them waits for nothing."""
        while True:
            lost = [await self._lost.get()]
            while not self._lost.empty():
                lost.append(self._lost.get_nowait())
            await self._count_up(lost)

    async def confirmed(self, level: int) -> None:
        """The chassis have what was in the database at that nb_cfg: tell of the sessions that were down by then."""
        due = [event for event in self._down if event.nb_cfg <= level]
        self._down = [event for event in self._down if event.nb_cfg > level]
        for event in due:
            await self._publish(outcomes.seen(event))

    async def _count_up(self, events: list[SessionChanged]) -> None:
        """Let the chassis say when they have the flows that OVN itself makes of sessions that are not up any more."""
        try:
            _, commit = await self._nb.transact(_count)
        except (NotNowError, CannotApplyError) as error:
            log.warning("flows of sessions will not be confirmed", reason=str(error))
            return
        self._down += [
            SessionProgrammed(
                gateway=event.gateway,
                logical_port=event.logical_port,
                dst_ip=event.dst_ip,
                down_at=event.at,
                nb_cfg=commit.nb_cfg,
            )
            for event in events
        ]
        del self._down[:-_DOWN_MAX]
        self._nb.confirmed.set()  # the chassis may be there already

    def events(self, news: SessionRow | tuple[SessionRow, ...]) -> list[SessionChanged]:
        """What is to be said of a changed row, or of all of them after a start or a lost connection.

        Then nothing counts as said: another writer may have said something else meanwhile.
        """
        if isinstance(news, SessionRow):
            return self._event(news)
        there = {row.uuid for row in news}
        gone = [replace(row, status="", at=clock.now()) for row in self._told.values() if row.uuid not in there]
        events = [event for row in gone for event in self._event(row)]
        self._told.clear()
        return events + [event for row in news for event in self._event(row)]

    def _event(self, row: SessionRow) -> list[SessionChanged]:
        before = self._told.get(row.uuid)
        said = before.status if before is not None else ""
        if said == row.status or not is_owner(row.owner) or row.logical_port == bfd_relay(row.owner):
            return []  # the row of a relay is no session: it makes OVN take what comes by there
        if row.status:
            self._told[row.uuid] = row
        else:
            del self._told[row.uuid]
        log.info("session", gateway=row.owner, peer=row.dst_ip, status=row.status, previous=said)
        metrics.SESSIONS.labels(row.status or "gone").inc()
        return [
            SessionChanged(
                gateway=row.owner,
                logical_port=row.logical_port,
                dst_ip=row.dst_ip,
                status=row.status,
                previous=said,
                at=row.at,
            )
        ]


def rounds(events: Iterable[SessionChanged]) -> list[list[SessionChanged]]:
    """The events in parts, each with at most one of a session, and those of one session in their order."""
    parts: list[list[SessionChanged]] = []
    seen: Counter[tuple[str, str]] = Counter()
    for event in events:
        session = (event.logical_port, event.dst_ip)
        if seen[session] == len(parts):
            parts.append([])
        parts[seen[session]].append(event)
        seen[session] += 1
    return parts


def _count(replica: Replica, txn: idl.Transaction) -> None:
    # The library counts up only if there is anything else to commit.
    txn.add_op({"op": "comment", "comment": "nb_cfg counts up for BFD sessions that went down"})
    replica.nb_global().increment("nb_cfg")
