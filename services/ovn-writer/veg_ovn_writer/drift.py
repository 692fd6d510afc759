"""What this process knows of each gateway's rows, and what is news when they are looked at again. Pure."""

from collections.abc import Iterable, Mapping

from veg_contracts.events import RowsListed, RowsObserved
from veg_contracts.intent import NbRows
from veg_ovn_writer.rows import Observed, wanted

RESYNC = "resync"
DRIFT = "drift"


class Ledger:
    """For each gateway that owns rows: what we last wrote or saw. A gateway that is missing owns none."""

    def __init__(self) -> None:
        self._known: dict[str, Observed] = {}
        self.foreign: set[str] = set()  # Vpcs for which a BFD port was wanted where somebody else's is
        self._complete = False  # whether the whole database was looked at since the start

    def wrote(self, gateway: str, rows: NbRows) -> None:
        """We made the rows of `gateway` exactly `rows`."""
        self.foreign.discard(gateway)
        self._set(gateway, wanted(rows))

    def left(self, vpc: str) -> None:
        """We own nothing of the BFD port of `vpc`, since it is another one's."""
        self._set(vpc, ())
        self.foreign.add(vpc)

    def made_way(self, vpcs: Iterable[str]) -> list[RowsObserved]:
        """Tell that these Vpcs have no BFD port any more, of those for which one is wanted."""
        due = sorted(self.foreign.intersection(vpcs))
        self.foreign.difference_update(due)
        return [RowsObserved(gateway=vpc, reason=DRIFT, before=()) for vpc in due]

    def resync(self, found: Mapping[str, Observed]) -> list[RowsObserved | RowsListed]:
        """Take what is there as known, and tell all of it: anything may have happened since we last looked."""
        events: list[RowsObserved | RowsListed] = [
            RowsObserved(gateway=gateway, reason=RESYNC, after=found[gateway], before=self._before(gateway))
            for gateway in sorted(found)
        ]
        events.append(RowsListed(gateways=tuple(sorted(found))))
        self._known, self._complete = dict(found), True
        return events

    def compare(self, found: Mapping[str, Observed]) -> list[RowsObserved]:
        """Tell what somebody else changed: everything that is not as we last wrote or saw it."""
        events = [
            RowsObserved(gateway=gateway, reason=DRIFT, after=found.get(gateway, ()), before=self._before(gateway))
            for gateway in sorted(self._known.keys() | found.keys())
            if self._known.get(gateway, ()) != found.get(gateway, ())
        ]
        for event in events:
            self._set(event.gateway, event.after)
        return events

    def _before(self, gateway: str) -> Observed | None:
        return self._known.get(gateway, () if self._complete else None)

    def _set(self, gateway: str, rows: Observed) -> None:
        if rows:
            self._known[gateway] = rows
        else:
            self._known.pop(gateway, None)
