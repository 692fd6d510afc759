"""What is news: the difference to what we last wrote or saw, told once."""

import msgspec
from unit.ovn_writer.test_rows import POLICY, SORTED

from veg_contracts.events import RoutesObserved, RowsListed, RowsObserved
from veg_contracts.intent import NbRows
from veg_ovn_writer.drift import Ledger, damage

WANTED = NbRows(router="r", policies=(POLICY,))
ROWS = (NbRows(router="r", policies=(SORTED,)),)
OTHER = (NbRows(router="other", policies=(SORTED,)),)


def test_a_start_tells_all_and_knows_nothing_of_before() -> None:
    ledger = Ledger()
    events = ledger.resync({"b/b": ROWS, "a/a": OTHER})
    assert events == [
        RowsObserved(gateway="a/a", reason="resync", after=OTHER),
        RowsObserved(gateway="b/b", reason="resync", after=ROWS),
        RowsListed(gateways=("a/a", "b/b")),
    ]
    assert Ledger().resync({}) == [RowsListed()]


def test_our_own_writing_is_no_news() -> None:
    ledger = Ledger()
    ledger.resync({})
    ledger.wrote("a/a", WANTED)
    assert ledger.compare({"a/a": ROWS}) == []
    ledger.wrote("a/a", NbRows())
    assert ledger.compare({}) == []


def test_a_change_by_somebody_else_is_told_once() -> None:
    ledger = Ledger()
    ledger.wrote("a/a", WANTED)
    assert ledger.compare({"a/a": OTHER}) == [
        RowsObserved(gateway="a/a", reason="drift", before=ROWS, after=OTHER),
    ]
    assert ledger.compare({"a/a": OTHER}) == []
    assert ledger.compare({}) == [RowsObserved(gateway="a/a", reason="drift", before=OTHER, after=())]


def test_rows_that_appear_had_no_rows_before_them() -> None:
    ledger = Ledger()
    ledger.resync({})
    assert ledger.compare({"a/a": ROWS}) == [RowsObserved(gateway="a/a", reason="drift", before=(), after=ROWS)]


def test_a_later_resync_knows_what_was_before() -> None:
    ledger = Ledger()
    ledger.resync({})
    ledger.wrote("a/a", WANTED)
    events = ledger.resync({"a/a": OTHER, "b/b": ROWS})
    assert [event.before for event in events if isinstance(event, RowsObserved)] == [ROWS, ()]


def test_where_the_bfd_port_of_another_one_goes_ours_is_missed_once() -> None:
    ledger = Ledger()
    ledger.resync({})
    ledger.left("vpc1")
    assert ledger.compare({}) == []
    assert ledger.made_way(["vpc1", "vpc2"]) == [RowsObserved(gateway="vpc1", reason="drift", before=())]
    assert ledger.made_way(["vpc1"]) == []
    ledger.left("vpc1")
    ledger.wrote("vpc1", NbRows())
    assert ledger.made_way(["vpc1"]) == []


def test_routes_of_others_are_told_when_they_change_and_all_of_them_anew() -> None:
    ledger = Ledger()
    one, other = RoutesObserved(router="a", prefixes=("10.0.0.0/8",)), RoutesObserved(router="b", prefixes=("::/0",))
    assert ledger.routes({"b": other, "a": one}, anew=True) == [one, other]
    assert ledger.resync({}) == [RowsListed(routers=("a", "b"))]
    assert ledger.routes({"b": other, "a": one}, anew=False) == []
    assert ledger.routes({"b": other}, anew=True) == [RoutesObserved(router="a"), other]
    assert ledger.routes({}, anew=False) == [RoutesObserved(router="b")]


def test_damage_is_counted_by_table() -> None:
    moved = msgspec.structs.replace(SORTED, nexthops=("z",))
    group = NbRows(router="r", policies=(SORTED,), port_groups=("g",))

    def told(before: NbRows, *after: NbRows) -> dict[tuple[str, str], int]:
        return dict(damage(RowsObserved(gateway="a/a", reason="drift", before=(before,), after=after)))

    assert told(group) == {("Logical_Router_Policy", "gone"): 1, ("Port_Group", "gone"): 1}
    assert told(group, msgspec.structs.replace(group, policies=(moved,))) == {("Logical_Router_Policy", "changed"): 1}
    twice = msgspec.structs.replace(group, policies=(SORTED, SORTED))
    assert told(group, twice) == {("Logical_Router_Policy", "changed"): 1}
    assert told(group, group) == {}
