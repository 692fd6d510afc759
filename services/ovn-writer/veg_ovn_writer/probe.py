"""Asking the chassis whether they live, while nothing else does: `nb_cfg` counts up by itself from time to time.

A dead ovn-controller is noticed by an nb_cfg that it lacks, and in a quiet cluster none is new. It matters where a BFD
port of ours may be on its chassis: only then another one has to run the sessions. It changes no row of anybody.
"""

import asyncio

from ovs.db import idl

from veg_ovn_writer.errors import CannotApplyError, NotNowError
from veg_ovn_writer.nb import Nb
from veg_ovn_writer.replica import GROUP, Replica
from veg_ovn_writer.southbound import Southbound
from veg_runtime import logs

log = logs.get("probe")


class Probe:
    """Counts up while this writer serves, the chassis are followed, and a BFD port of ours is there."""

    def __init__(self, nb: Nb, southbound: Southbound, interval_s: float) -> None:
        self._nb = nb
        self._southbound = southbound
        self._interval_s = interval_s

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            await self._nb.serving.wait()
            if self._southbound.view is not None:  # else nobody would see who answers
                await self._ask()

    async def _ask(self) -> None:
        try:
            await self._nb.transact(_count)
        except (NotNowError, CannotApplyError) as error:
            log.warning("chassis not asked whether they live", reason=str(error))


def _count(replica: Replica, txn: idl.Transaction) -> None:
    """Count up, if a group of chassis is ours: each BFD port of ours has one, and one of somebody else has not."""
    if replica.owned[GROUP].keys().isdisjoint(replica.tables[GROUP].rows.keys()):
        return
    # The library counts up only if there is anything else to commit.
    txn.add_op({"op": "comment", "comment": "nb_cfg counts up to see which chassis live"})
    replica.nb_global().increment("nb_cfg")
