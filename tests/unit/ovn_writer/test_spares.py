"""Nexthops that change one after the other: what a packet under way may still need stays as it was."""

from collections.abc import Sequence
from uuid import UUID

from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace
from unit.ovn_writer.test_differ import carry_out, steps
from unit.ovn_writer.test_rows import row

from veg_contracts.intent import NbRows, RoutePolicy
from veg_contracts.names import PRIORITY_SPARE
from veg_ovn_writer.rows import observed, wanted
from veg_ovn_writer.tables.base import FoundRow

nexthops = st.sets(st.sampled_from("abcd"), min_size=1).map(lambda chosen: tuple(sorted(chosen)))


def policy(*hops: str) -> RoutePolicy:
    """Of a gateway with BFD."""
    return RoutePolicy(
        family="4",
        priority=29100,
        match="ip4.src == x",
        action="reroute",
        nexthops=hops,
        bfd_sessions=hops,
        spares=len(hops) > 1,
    )


def unwatched(*hops: str) -> RoutePolicy:
    """Of the same one, with BFD turned off."""
    return replace(policy(*hops), bfd_sessions=(), spares=False)


def wanted_rows(value: RoutePolicy) -> NbRows:
    return NbRows(router="r", policies=(value,))


def change(value: RoutePolicy, found: list[FoundRow]) -> list[FoundRow]:
    """The rows after `value` was asked for; they are all that it asks for."""
    after = carry_out(steps(wanted_rows(value), *found), found)
    assert observed({"Logical_Router_Policy": tuple(after)}) == wanted(wanted_rows(value))
    assert steps(wanted_rows(value), *after) == []
    return after


def live(rows: Sequence[FoundRow]) -> FoundRow:
    (found,) = [one for one in rows if one.columns["priority"] == 29100]
    assert all(one.columns["priority"] == PRIORITY_SPARE for one in rows if one is not found)
    return found


def groups(rows: Sequence[FoundRow]) -> set[object]:
    """The rows that northd makes a group of, and numbers."""
    return {one.uuid for one in rows if len(one.columns["nexthops"]) > 1}


@given(st.lists(nexthops, min_size=2, max_size=8))
def test_what_was_hashed_before_a_change_finds_its_group_and_its_members_after_it(
    changes: list[tuple[str, ...]],
) -> None:
    rows: list[FoundRow] = []
    numbered: set[object] = set()
    for hops in changes:
        before, rows = rows, change(policy(*hops), rows)
        assert live(rows).columns["nexthops"] == hops
        if before:
            assert_kept(live(before), rows)
        if numbered:
            assert groups(rows) == numbered, "no row that northd numbers comes or goes"
        numbered = groups(rows)
        assert len(numbered) in (0, 2)


def assert_kept(old: FoundRow, rows: Sequence[FoundRow]) -> None:
    """Packets that were hashed by this row still arrive."""
    if len(old.columns["nexthops"]) > 1:
        (still,) = [one for one in rows if one.uuid == old.uuid]
        assert still.columns["nexthops"] == old.columns["nexthops"]


def test_a_row_whose_nexthops_stay_is_the_live_one_still() -> None:
    rows = change(policy("a", "b"), [])
    after = change(replace(policy("a", "b"), bfd_sessions=("a",)), rows)
    assert live(after).uuid == live(rows).uuid
    assert live(after).columns["bfd_sessions"] == ("a",)


def test_one_that_has_no_spare_rows_yet_gets_them_with_its_next_command() -> None:
    rows = change(policy("a", "b"), [row(1, "r", value=replace(policy("a", "b"), spares=False))])
    assert live(rows).uuid.int == 1
    assert len(rows) == 3


def test_spare_rows_go_with_their_policy_and_when_they_are_not_wanted_any_more() -> None:
    rows = change(policy("a", "b", "c"), [])
    assert [one.uuid for one in change(unwatched("a", "b", "c"), rows)] == [live(rows).uuid]
    assert carry_out(steps(NbRows(), *rows), rows) == []


@given(nexthops.filter(lambda hops: len(hops) > 1), nexthops, st.sets(st.integers(0, 2), min_size=1))
@example(("a", "b"), ("a",), {1, 2})
def test_what_somebody_else_removed_is_seen_and_made_again(
    first: tuple[str, ...], then: tuple[str, ...], gone: set[int]
) -> None:
    complete = change(policy(*first), [])
    rows = [one for number, one in enumerate(complete) if number not in gone]
    assert observed({"Logical_Router_Policy": tuple(rows)}) != wanted(wanted_rows(policy(*first)))
    after = change(policy(*then), rows)
    if live(complete) in rows:
        assert_kept(live(complete), after)


@given(nexthops.filter(lambda hops: len(hops) > 1), nexthops, st.integers(1, 2))
def test_what_somebody_copied_goes_and_not_what_packets_are_under_way_by(
    first: tuple[str, ...], then: tuple[str, ...], which: int
) -> None:
    complete = change(policy(*first), [])
    copy = FoundRow(UUID(int=7), complete[which].columns, ("r",))
    after = change(policy(*then), [*complete, copy])
    assert_kept(live(complete), after)


def test_what_is_spare_when_bfd_is_turned_off_at_one_nexthop_goes_when_there_are_several_again() -> None:
    rows = change(policy("a"), change(policy("a", "b"), []))
    rows = change(unwatched("a"), rows)
    assert [len(one.columns["nexthops"]) for one in rows if one is not live(rows)] == [2, 2]
    rows = change(unwatched("a", "c"), rows)
    assert len(rows) == 1


@given(nexthops.filter(lambda hops: len(hops) > 1), nexthops, st.integers(0, 2), st.integers(0, 2))
def test_whatever_priority_somebody_gave_the_rows(
    first: tuple[str, ...], then: tuple[str, ...], which: int, other: int
) -> None:
    rows = change(policy(*first), [])
    for number, priority in ((which, 29100), (other, 29101)):
        rows[number] = replace_priority(rows[number], priority)
    change(policy(*then), rows)


def replace_priority(one: FoundRow, priority: int) -> FoundRow:
    return FoundRow(one.uuid, {**one.columns, "priority": priority}, one.routers)
