"""One form of a gateway's rows, whatever order they were written or found in."""

from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veg_contracts.intent import BfdRouterPort, BfdSession, NbRows, RoutePolicy, StaticRoute
from veg_contracts.names import OWNER_KEY, owner_ids
from veg_ovn_writer.rows import canonical, fit, is_owner, observed, wanted, with_bfd_port, without_sessions
from veg_ovn_writer.tables import PORT_GROUP, TABLES
from veg_ovn_writer.tables.base import FoundRow

POLICY = RoutePolicy(family="4", priority=29100, match="ip4.src == 10.16.0.0/16", action="reroute", nexthops=("b", "a"))
SORTED = RoutePolicy(family="4", priority=29100, match="ip4.src == 10.16.0.0/16", action="reroute", nexthops=("a", "b"))
policies = st.builds(
    RoutePolicy,
    family=st.sampled_from("46"),
    priority=st.integers(0, 3),
    match=st.sampled_from("xyz"),
    action=st.sampled_from(["drop", "reroute"]),
    nexthops=st.lists(st.sampled_from("abc")).map(tuple),
)


def row(number: int, *routers: str, value: RoutePolicy = SORTED, **columns: object) -> FoundRow:
    found = {
        "priority": value.priority,
        "match": value.match,
        "action": value.action,
        "nexthops": value.nexthops,
        "bfd_sessions": value.bfd_sessions,
        "external_ids": owner_ids("default/gateway1", value.family),
        **columns,
    }
    return FoundRow(UUID(int=number), found, routers)


ROUTE = StaticRoute(family="4", ip_prefix="10.0.0.0/24", nexthop="10.0.0.2", selection_fields=("ip_src",))


def group(number: int, name: str) -> FoundRow:
    return FoundRow(UUID(int=number), PORT_GROUP.to_columns("default/gateway1", name), ())


@given(st.lists(policies), st.randoms())
def test_order_and_repetition_do_not_matter(values: list[RoutePolicy], random: object) -> None:
    shuffled = [*values, *values]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    once = canonical(NbRows(router="r", policies=tuple(values)))
    assert canonical(NbRows(router="r", policies=tuple(shuffled))) == once
    assert canonical(once) == once


def test_what_is_wanted_and_there_is_observed_as_wanted() -> None:
    rows = NbRows(router="r", policies=(POLICY,))
    assert wanted(rows) == (NbRows(router="r", policies=(SORTED,)),)
    assert observed({"Logical_Router_Policy": (row(1, "r"),)}) == wanted(rows)


def test_nothing_is_observed_as_nothing() -> None:
    assert wanted(NbRows()) == wanted(NbRows(router="r")) == observed({}) == ()


def test_copies_and_other_routers_are_seen() -> None:
    rows = (row(1, "a", "b"), row(2, "b"))
    assert observed({"Logical_Router_Policy": rows}) == (
        NbRows(router="a", policies=(SORTED,)),
        NbRows(router="b", policies=(SORTED, SORTED)),
    )


def test_groups_stand_with_the_first_router_and_alone_without_one() -> None:
    found = {"Port_Group": (group(2, "b"), group(1, "a")), "Logical_Router_Policy": (row(3, "y", "x"),)}
    assert observed(found) == (
        NbRows(router="x", policies=(SORTED,), port_groups=("a", "b")),
        NbRows(router="y", policies=(SORTED,)),
    )
    rows = NbRows(router="x", port_groups=("b", "a"))
    assert observed({"Port_Group": found["Port_Group"]}) == wanted(rows) == (NbRows(port_groups=("a", "b")),)


def test_an_older_schema_holds_what_it_can() -> None:
    rows = NbRows(router="r", policies=(POLICY,), static_routes=(ROUTE,), port_groups=("g",))
    assert fit(rows, {table.name: frozenset() for table in TABLES}) == rows
    fitted = fit(rows, {"Logical_Router_Static_Route": frozenset({"selection_fields"})})
    assert [value.selection_fields for value in fitted.static_routes] == [()]
    assert (fitted.policies, fitted.port_groups) == (rows.policies, rows.port_groups)


def test_a_row_without_family_is_seen_as_it_is() -> None:
    (rows,) = observed({"Logical_Router_Policy": (row(1, "r", external_ids={OWNER_KEY: "a/b"}),)})
    assert rows.policies[0].family == ""


@pytest.mark.parametrize("name", ["default/gateway1", "a/b", "a-1/b.c-2", f"{'n' * 63}/{'g' * 253}"])
def test_a_gateway_is_namespace_and_name(name: str) -> None:
    assert is_owner(name)


@pytest.mark.parametrize("name", ["vpc1", "ovn-cluster"])
def test_a_vpc_is_a_name(name: str) -> None:
    assert is_owner(name)


@pytest.mark.parametrize(
    "name", ["", "x y", "/", "a/", "/b", "a/b/c", "A/b", "a b/c", "a/b\n", "a/*", "a/>", "-a/b", "a.b/c"]
)
def test_nothing_else_is(name: str) -> None:
    assert not is_owner(name)


def test_a_bfd_port_stands_with_what_hangs_on_its_router_and_first_where_it_hangs_on_none() -> None:
    port = BfdRouterPort(name="bfd@b", mac="", networks=(), chassis=())
    a, b = NbRows(router="a", policies=(SORTED,)), NbRows(router="b", policies=(SORTED,))
    assert with_bfd_port((a, b), "b", port) == (a, NbRows(router="b", policies=(SORTED,), bfd_port=port))
    assert with_bfd_port((a, b), "", port) == (NbRows(router="a", policies=(SORTED,), bfd_port=port), b)
    assert with_bfd_port((a,), "b", port) == (a, NbRows(router="b", bfd_port=port))
    assert with_bfd_port((), "", port) == (NbRows(bfd_port=port),)


def test_sessions_of_a_port_are_left_out_with_what_refers_to_them() -> None:
    def session(port: str, peer: str) -> BfdSession:
        return BfdSession(family="4", logical_port=port, dst_ip=peer, min_rx=1, min_tx=1, detect_mult=3)

    policy = msgspec.structs.replace(SORTED, bfd_sessions=("a", "b"))
    routes = tuple(msgspec.structs.replace(ROUTE, nexthop=peer, bfd=peer) for peer in ("a", "b"))
    rows = NbRows(
        router="r", policies=(policy,), static_routes=routes, sessions=(session("gone", "a"), session("here", "b"))
    )
    left = without_sessions(rows, {"gone"})
    assert left.sessions == (session("here", "b"),)
    assert (left.policies[0].nexthops, left.policies[0].bfd_sessions) == (("a", "b"), ("b",))
    assert [(route.nexthop, route.bfd) for route in left.static_routes] == [("a", ""), ("b", "b")]
    assert without_sessions(rows, {"other"}) is rows
