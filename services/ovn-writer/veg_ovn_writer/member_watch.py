"""Looking at port groups again whenever a group of ours or a port may have changed.

A port that we wait for is put in as soon as it is there. What somebody else did to a group is told.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from veg_contracts.envelope import Envelope
from veg_contracts.events import MembersObserved
from veg_ovn_writer import groups, metrics, outcomes
from veg_ovn_writer.errors import CannotApplyError, NotNowError
from veg_ovn_writer.nb import Nb
from veg_ovn_writer.replica import Replica
from veg_ovn_writer.roster import Roster
from veg_runtime import logs

_SETTLE_S: Final = 0.02  # as for rows: what is done in several transactions should be seen as one thing
_LOGGED_MAX: Final = 10

log = logs.get("members")


class MemberWatch:
    """Compares who is in the groups with who should be. `turn` is held while the roster and the groups may differ."""

    def __init__(
        self, nb: Nb, roster: Roster, turn: asyncio.Lock, publish: Callable[[Envelope], Awaitable[None]]
    ) -> None:
        self._nb = nb
        self._roster = roster
        self._turn = turn
        self._publish = publish
        self._epoch = 0

    async def run(self) -> None:
        while True:
            await self._nb.members_changed.wait()
            await asyncio.sleep(_SETTLE_S)
            self._nb.members_changed.clear()  # before looking: a change from here on wakes us again
            async with self._turn:
                await self._look()

    async def _look(self) -> None:
        try:
            for event in await self._nb.read(self._news):
                log.info(
                    "members observed", gateway=event.gateway, missing=len(event.missing), foreign=len(event.foreign)
                )
                metrics.MEMBERS_DRIFT.inc()
                await self._publish(outcomes.seen(event))
            await self._join()
        except NotNowError as error:
            log.info("ports wait", reason=str(error))
            if self._nb.serving.is_set():
                self._nb.members_changed.set()  # else serving again does so

    def _news(self, replica: Replica) -> list[MembersObserved]:
        """Runs in the connection's thread; the roster is ours, since we hold the turn."""
        news = replica.take_news()
        if replica.epoch == self._epoch:
            self._roster.touch(news.ports)
            return groups.compare(replica, self._roster.of(news.owners))
        # We could not see for a while, and all ports look new. Whatever differs, somebody else did it.
        self._epoch = replica.epoch
        self._roster.settle()
        return groups.compare(replica, self._roster.all())

    async def _join(self) -> None:
        due = self._roster.due()
        if not due:
            return
        try:
            joined, _ = await self._nb.transact(lambda replica, _: groups.join(replica, due))
        except CannotApplyError as error:
            # They are told as missing when their group is next looked at; whoever sends the whole then hears why not.
            log.warning("ports not joined", reason=str(error))
            joined = []
        self._roster.settle()
        if joined:
            log.info("ports joined", ports=joined[:_LOGGED_MAX], number=len(joined))
