"""The least that must be written, checked by carrying it out on a model of the table."""

from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as replace_route
from unit.ovn_writer.test_rows import POLICY, ROUTE, SORTED, group, policies, row

from veg_contracts.intent import BfdSession, NbRows, RoutePolicy
from veg_contracts.names import OWNER_KEY, owner_ids
from veg_ovn_writer.differ import AmbiguousRowsError, Delete, Detach, Insert, Operation, Update, diff
from veg_ovn_writer.rows import observed, wanted
from veg_ovn_writer.tables import BFD, PORT_GROUP, TABLES
from veg_ovn_writer.tables.base import FoundRow

GATEWAY = "default/gateway1"
TABLE = next(table for table in TABLES if table.name == "Logical_Router_Policy")


def carry_out(operations: list[Operation], rows: list[FoundRow]) -> list[FoundRow]:
    """What the database does with them."""
    table = {one.uuid: one for one in rows}
    for operation in operations:
        match operation:
            case Insert(_, router, columns):
                uuid = UUID(int=max((one.int for one in table), default=0) + 1)
                table[uuid] = FoundRow(uuid, columns, (router,))
            case Update(_, uuid, columns):
                table[uuid] = replace(table[uuid], columns={**table[uuid].columns, **columns})
            case Detach(_, uuid, routers):
                table[uuid] = replace(table[uuid], routers=tuple(set(table[uuid].routers) - set(routers)))
    return [one for one in table.values() if one.routers]


def steps(rows: NbRows, *found: FoundRow) -> list[Operation]:
    return diff(GATEWAY, rows, {"Logical_Router_Policy": found})


routers = st.sets(st.sampled_from("abr"), min_size=1).map(lambda names: tuple(sorted(names)))
tables = st.lists(st.tuples(policies, routers), max_size=8).map(
    lambda rows: [row(number, *names, value=TABLE.canonical(value)) for number, (value, names) in enumerate(rows)]
)


@given(st.lists(policies, max_size=8, unique_by=TABLE.identity), tables)
def test_what_was_found_becomes_what_is_wanted_and_then_nothing_is_left_to_do(
    values: list[RoutePolicy], found: list[FoundRow]
) -> None:
    rows = NbRows(router="r", policies=tuple(values))
    operations = steps(rows, *found)
    after = carry_out(operations, found)
    assert observed({"Logical_Router_Policy": tuple(after)}) == wanted(rows)
    assert steps(rows, *after) == []
    kinds = [isinstance(operation, Detach) for operation in operations]
    assert kinds == sorted(kinds), "removals come last"


@given(st.lists(policies, max_size=8, unique_by=TABLE.identity), tables, st.randoms())
def test_the_order_of_what_was_found_does_not_matter(
    values: list[RoutePolicy], found: list[FoundRow], random: object
) -> None:
    rows = NbRows(router="r", policies=tuple(values))
    shuffled = list(found)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert steps(rows, *shuffled) == steps(rows, *found)


def test_only_changed_columns_are_written() -> None:
    rows = NbRows(router="r", policies=(POLICY,))
    old = replace(row(1, "r"), columns={**row(1, "r").columns, "nexthops": ("a",)})
    assert steps(rows, old) == [Update(TABLE, old.uuid, {"nexthops": ("a", "b")})]


def test_keys_of_others_beside_ours_stay() -> None:
    rows = NbRows(router="r", policies=(POLICY,))
    assert steps(rows, row(1, "r", external_ids={**owner_ids(GATEWAY, "4"), "theirs": "x"})) == []
    stripped = row(1, "r", external_ids={OWNER_KEY: GATEWAY, "af": "4", "theirs": "x"})
    expected = {"external_ids": {**owner_ids(GATEWAY, "4"), "theirs": "x"}}
    assert steps(rows, stripped) == [Update(TABLE, stripped.uuid, expected)]


def test_of_two_copies_the_right_one_stays() -> None:
    wrong, right = row(1, "r", nexthops=("z",)), row(2, "r")
    assert steps(NbRows(router="r", policies=(POLICY,)), wrong, right) == [Detach(TABLE, wrong.uuid, ("r",))]


def test_a_row_on_a_second_router_leaves_only_that_one() -> None:
    rows = NbRows(router="r", policies=(POLICY,))
    assert steps(rows, row(1, "other", "r")) == [Detach(TABLE, UUID(int=1), ("other",))]


def test_two_rows_of_one_identity_are_named() -> None:
    other = RoutePolicy(family="4", priority=29100, match=SORTED.match, action="drop")
    with pytest.raises(AmbiguousRowsError, match="29100"):
        steps(NbRows(router="r", policies=(POLICY, other)))
    assert len(steps(NbRows(router="r", policies=(POLICY, SORTED)))) == 1


def test_a_group_comes_stays_and_goes() -> None:
    rows = NbRows(router="r", port_groups=("a", "b"))
    operations = diff(GATEWAY, rows, {"Port_Group": (group(1, "b"), group(2, "c"))})
    assert operations == [
        Insert(PORT_GROUP, "r", PORT_GROUP.to_columns(GATEWAY, "a")),
        Delete(PORT_GROUP, UUID(int=2)),
    ]


def test_what_is_new_comes_before_what_goes_whatever_its_table() -> None:
    rows = NbRows(router="r", static_routes=(ROUTE,))
    found = {"Logical_Router_Policy": (row(1, "r"),), "Port_Group": (group(2, "g"),)}
    assert [type(operation) for operation in diff(GATEWAY, rows, found)] == [Insert, Detach, Delete]


def test_sessions_come_before_what_refers_to_them_and_timers_change_in_place() -> None:
    session = BfdSession(family="4", logical_port="p", dst_ip="10.0.0.2", min_rx=1000, min_tx=1000, detect_mult=3)
    rows = NbRows(router="r", static_routes=(replace_route(ROUTE, bfd="10.0.0.2"),), sessions=(session,))
    operations = diff(GATEWAY, rows, {})
    assert [operation.table.name for operation in operations] == ["BFD", "Logical_Router_Static_Route"]
    found = {"BFD": (FoundRow(UUID(int=1), {**BFD.to_columns(GATEWAY, session), "min_rx": (100,)}, ()),)}
    assert Update(BFD, UUID(int=1), {"min_rx": (1000,)}) in diff(GATEWAY, rows, found)
    assert diff(GATEWAY, NbRows(), found) == [Delete(BFD, UUID(int=1))]
