"""What this process knows of each gateway's rows, and what is news when they are looked at again. Pure."""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Final

from veg_contracts.events import RoutesObserved, RowsListed, RowsObserved
from veg_contracts.intent import NbRows
from veg_ovn_writer.rows import Observed, wanted
from veg_ovn_writer.tables import TABLES

RESYNC = "resync"
DRIFT = "drift"
_BFD_PORT: Final = "Logical_Router_Port"  # with all that it is made of


def damage(event: RowsObserved) -> Counter[tuple[str, str]]:
    """How many rows somebody took away ("gone") or changed ("changed"), those that appeared included, by table."""
    before = [value for rows in event.before or () for value in _identities(rows)]
    after = [value for rows in event.after for value in _identities(rows)]
    lost, come = Counter(before) - Counter(after), Counter(after) - Counter(before)
    kept = Counter((table, identity) for table, identity, _ in come)
    found: Counter[tuple[str, str]] = Counter()
    for (table, identity, _), times in lost.items():
        changed = min(times, kept[table, identity])
        kept[table, identity] -= changed
        found[table, "changed"] += changed
        found[table, "gone"] += times - changed
    for (table, _), times in kept.items():
        found[table, "changed"] += times
    return +found


def _identities(rows: NbRows) -> Iterator[tuple[str, Hashable, Hashable]]:
    """Each row: its table, what stays the same when it is updated, and the whole of it with its router."""
    for table in TABLES:
        for value in getattr(rows, table.field):
            yield table.name, table.identity(value), (rows.router if table.parent_column else "", value)
    if rows.bfd_port is not None:
        yield _BFD_PORT, rows.bfd_port.name, (rows.router, rows.bfd_port)


class Ledger:
    """For each gateway that owns rows: what we last wrote or saw. A gateway that is missing owns none."""

    def __init__(self) -> None:
        self._known: dict[str, Observed] = {}
        self.foreign: set[str] = set()  # Vpcs for which a BFD port was wanted where somebody else's is
        self._routes: Mapping[str, RoutesObserved] = {}  # those of others, by router, as they were last told
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

    def routes(self, found: Mapping[str, RoutesObserved], *, anew: bool) -> list[RoutesObserved]:
        """Tell which src-ip routes of others there are: what changed since it was told, or `anew` all of them."""
        gone = sorted(self._routes.keys() - found.keys())
        events = [found[router] for router in sorted(found) if anew or self._routes.get(router) != found[router]]
        self._routes = found
        return [*(RoutesObserved(router=router) for router in gone), *events]

    def resync(self, found: Mapping[str, Observed]) -> list[RowsObserved | RowsListed]:
        """Take what is there as known, and tell all of it: anything may have happened since we last looked.

        The routes of others are told before, by `routes`.
        """
        events: list[RowsObserved | RowsListed] = [
            RowsObserved(gateway=gateway, reason=RESYNC, after=found[gateway], before=self._before(gateway))
            for gateway in sorted(found)
        ]
        events.append(RowsListed(gateways=tuple(sorted(found)), routers=tuple(sorted(self._routes))))
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
