"""Telling which commands the chassis have: a database says something new, or a chassis has been silent too long."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from veg_contracts.envelope import Envelope
from veg_ovn_writer import metrics, outcomes
from veg_ovn_writer.chassis import Moment
from veg_ovn_writer.chassis_watch import ChassisWatch, Counters
from veg_ovn_writer.confirm import Pending
from veg_ovn_writer.errors import NotNowError
from veg_ovn_writer.nb import Nb
from veg_ovn_writer.replica import Replica
from veg_ovn_writer.southbound import Southbound
from veg_runtime import clock, logs

# The chassis report one by one: those that do so together are looked at together.
_SETTLE_S: Final = 0.005

Publish = Callable[[Envelope], Awaitable[None]]
log = logs.get("confirm")


class ConfirmWatch:
    """Looks at both databases again when `nb.confirmed` is set, which whoever has something new sets."""

    def __init__(
        self, nb: Nb, southbound: Southbound | None, chassis: ChassisWatch, pending: Pending, publish: Publish
    ) -> None:
        self._nb = nb
        self._southbound = southbound
        self._chassis = chassis
        self._pending = pending
        self._publish = publish

    async def run(self, also: Callable[[int], Awaitable[None]]) -> None:
        """Watch until cancelled; `also` is told how far the chassis are."""
        due_s: float | None = None
        while True:
            await _set_or_due(self._nb.confirmed, due_s)
            await asyncio.sleep(_SETTLE_S)
            self._nb.confirmed.clear()
            try:
                level = await self._look()
            except NotNowError:
                due_s = None  # serving again, or NB_Global's first row, sets `confirmed`
                continue
            due_s = self._chassis.due_s
            for command, nb_cfg in self._pending.reached(level):
                log.info("programmed", command=command.id, gateway=command.data.gateway, nb_cfg=nb_cfg)
                await self._publish(outcomes.programmed(command, nb_cfg))
            await also(level)
            metrics.PENDING.set(len(self._pending))

    async def _look(self) -> int:
        """The nb_cfg that counts as programmed; tells which chassis are left out of that, before anything counts so."""
        counters = await self._nb.read(_counters)
        view = self._southbound.view if self._southbound is not None else None
        level, event = self._chassis.look(view, counters, Moment(time.monotonic(), clock.now()))
        if event is not None:
            await self._publish(outcomes.seen(event))
        return level


async def _set_or_due(event: asyncio.Event, due_s: float | None) -> None:
    """Wait until the event is set, or until that monotonic time."""
    try:
        async with asyncio.timeout(None if due_s is None else max(0.0, due_s - time.monotonic())):
            await event.wait()
    except TimeoutError:
        pass


def _counters(replica: Replica) -> Counters:
    row = replica.nb_global()
    return Counters(replica.epoch, int(row.sb_cfg), int(row.hv_cfg))
