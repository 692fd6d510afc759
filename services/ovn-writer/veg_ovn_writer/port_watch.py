"""Removing BFD rows of ours whose router port is gone, at once: ovn-northd is dead as long as one is there.

It waits for nobody but the database: for no command, for no turn and for no bus. What it removed is seen and told as
drift like everything else that changes a row of ours without a command.
"""

import asyncio
from typing import Final

from veg_ovn_writer import metrics, portless
from veg_ovn_writer.errors import CannotApplyError, NotNowError
from veg_ovn_writer.nb import Nb
from veg_runtime import logs

_AGAIN_S: Final = 0.02
_LOGGED_MAX: Final = 10

log = logs.get("ports")


class PortWatch:
    """Looks whenever a router port went, or a BFD row came, or anything may have happened."""

    def __init__(self, nb: Nb) -> None:
        self._nb = nb
        self._warned: frozenset[str] = frozenset()

    async def run(self) -> None:
        while True:
            await self._nb.ports_changed.wait()
            self._nb.ports_changed.clear()  # before looking: a change from here on wakes us again
            await self._look()

    async def _look(self) -> None:
        try:
            found, _ = await self._nb.transact(portless.remove)
        except NotNowError:
            if self._nb.serving.is_set():  # else serving again wakes us
                await asyncio.sleep(_AGAIN_S)
                self._nb.ports_changed.set()
            return
        except CannotApplyError as error:
            log.warning("BFD rows not removed: ovn-northd dies of them without their router port", reason=str(error))
            return
        if found.removed:
            metrics.PORTLESS.inc(len(found.removed))
            log.warning(
                "BFD rows removed: ovn-northd dies of one without its router port",
                rows=found.removed[:_LOGGED_MAX],
                number=len(found.removed),
            )
        self._warn(found.others)

    def _warn(self, others: tuple[str, ...]) -> None:
        if set(others) - self._warned:
            log.warning(
                "BFD rows of others have no router port, and are not ours to remove: ovn-northd dies of them",
                rows=others[:_LOGGED_MAX],
                number=len(others),
            )
        self._warned = frozenset(others)
