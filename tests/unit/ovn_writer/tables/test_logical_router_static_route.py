"""The row is as the document shows it, and reads back as what was asked for."""

import pytest

from veg_contracts.intent import StaticRoute
from veg_contracts.names import route_owner_ids
from veg_ovn_writer.tables.logical_router_static_route import LogicalRouterStaticRoute

TABLE = LogicalRouterStaticRoute()
ROUTE = StaticRoute(
    family="4",
    ip_prefix="192.168.0.0/24",
    nexthop="192.168.0.2",
    symmetric_reply=True,
    selection_fields=("ip_src",),
)
PLAIN = StaticRoute(family="6", ip_prefix="fd00::/64", nexthop="fd00::1")


def test_the_documents_row() -> None:
    assert TABLE.to_columns("default/gateway1", ROUTE) == {
        "route_table": "",
        "ip_prefix": "192.168.0.0/24",
        "nexthop": "192.168.0.2",
        "policy": ("src-ip",),
        "options": {"ecmp_symmetric_reply": "true"},
        "selection_fields": ("ip_src",),
        "bfd": (),
        "output_port": (),
        "external_ids": route_owner_ids("default/gateway1", "4"),
    }


def test_no_option_is_written_that_is_not_asked_for() -> None:
    columns = TABLE.to_columns("default/gateway1", PLAIN)
    assert (columns["options"], columns["selection_fields"]) == ({}, ())


@pytest.mark.parametrize("route", [ROUTE, PLAIN, StaticRoute(family="4", ip_prefix="a", nexthop="b", policy="")])
def test_a_row_reads_back_as_what_it_was_made_of(route: StaticRoute) -> None:
    assert TABLE.from_columns(TABLE.to_columns("default/gateway1", route)) == route


def test_an_older_schema_holds_all_but_the_selection_fields() -> None:
    assert TABLE.without(ROUTE, frozenset({"selection_fields"})).selection_fields == ()
    assert TABLE.without(ROUTE, frozenset()) == ROUTE
