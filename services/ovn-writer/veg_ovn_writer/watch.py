"""Looking at the database again whenever it may have changed, and telling what is news."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import msgspec

from veg_contracts.envelope import Envelope
from veg_contracts.events import RoutesObserved, RowsListed, RowsObserved
from veg_ovn_writer import bfd_port, metrics, outcomes, snapshot, strange
from veg_ovn_writer.drift import DRIFT, Ledger, damage
from veg_ovn_writer.errors import NotNowError
from veg_ovn_writer.nb import Nb
from veg_ovn_writer.replica import Replica
from veg_ovn_writer.rows import Observed, is_owner, observed, with_bfd_port
from veg_runtime import logs
from veg_runtime.bus import MessageTooLargeError

# Somebody who changes several rows, one transaction each, should be seen as having done one thing.
_SETTLE_S: Final = 0.02

Publish = Callable[[Envelope], Awaitable[None]]
log = logs.get("watch")


class RowWatch:
    """Compares the rows that are there with those we know of, after every change."""

    def __init__(self, nb: Nb, ledger: Ledger, turn: asyncio.Lock, publish: Publish) -> None:
        self._nb = nb
        self._ledger = ledger
        self._turn = turn
        self._publish = publish
        self._epoch = 0
        self._ignored: set[str] = set()

    async def run(self) -> None:
        while True:
            await self._nb.rows_changed.wait()
            await asyncio.sleep(_SETTLE_S)
            self._nb.rows_changed.clear()  # before looking: a change from here on wakes us again
            async with self._turn:
                await self._look()

    async def _look(self) -> None:
        try:
            foreign = frozenset(self._ledger.foreign)
            epoch, owners, gone, routes = await self._nb.read(lambda replica: _read(replica, foreign))
        except NotNowError:
            return  # serving again sets `rows_changed`
        found = {owner: rows for owner, rows in owners.items() if is_owner(owner)}
        self._ignore(owners.keys() - found.keys())
        resync = epoch != self._epoch
        strangers = self._ledger.routes(routes, anew=resync)
        events = self._ledger.resync(found) if resync else self._ledger.compare(found)
        # The routes of others first: what is planned for a drift of our rows depends on them.
        for event in (*strangers, *self._ledger.made_way(gone), *events):
            if isinstance(event, RowsObserved) and event.reason == DRIFT:
                for (table, change), rows in damage(event).items():
                    metrics.DRIFT.labels(table, change).inc(rows)
            await self._tell(event)
        self._epoch = epoch

    def _ignore(self, owners: set[str]) -> None:
        for owner in sorted(owners - self._ignored):
            log.warning("rows ignored: their owner is no gateway or Vpc", owner=owner)
        self._ignored = owners

    async def _tell(self, event: RowsObserved | RoutesObserved | RowsListed) -> None:
        if isinstance(event, RowsObserved):
            log.info("rows observed", gateway=event.gateway, reason=event.reason)
        if isinstance(event, RoutesObserved):
            log.info("routes of others", router=event.router, number=len(event.prefixes) + event.left_out)
        try:
            await self._publish(outcomes.seen(event))
        except MessageTooLargeError as error:
            await self._tell_less(event, error)

    async def _tell_less(self, event: RowsObserved | RoutesObserved | RowsListed, error: MessageTooLargeError) -> None:
        """What is there now matters more than what was there before."""
        if isinstance(event, RowsObserved) and event.before is not None:
            await self._tell(msgspec.structs.replace(event, before=None))
        else:
            log.error("event not published", reason=str(error))


def _read(
    replica: Replica, foreign: Iterable[str]
) -> tuple[int, dict[str, Observed], list[str], dict[str, RoutesObserved]]:
    """The rows of all owners; of these Vpcs those that have no BFD port any more; and the src-ip routes of others."""
    found = {owner: observed(rows) for owner, rows in snapshot.read(replica).items()}
    for owner, (router, port) in bfd_port.read(replica).items():
        found[owner] = with_bfd_port(found.get(owner, ()), router, port)
    return replica.epoch, found, bfd_port.gone(replica, foreign), strange.read(replica)
