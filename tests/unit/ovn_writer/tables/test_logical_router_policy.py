"""A policy and its row are the same thing in two forms."""

from hypothesis import given
from unit.ovn_writer.test_rows import policies

from veg_contracts.intent import RoutePolicy
from veg_ovn_writer.tables.logical_router_policy import LogicalRouterPolicy

TABLE = LogicalRouterPolicy()


@given(policies)
def test_there_and_back(value: RoutePolicy) -> None:
    columns = TABLE.to_columns("a/a", value)
    assert TABLE.from_columns(columns) == value
    assert set(columns) == set(TABLE.columns)


@given(policies)
def test_action_and_nexthops_are_no_part_of_its_identity(value: RoutePolicy) -> None:
    other = RoutePolicy(family=value.family, priority=value.priority, match=value.match, action="allow")
    assert TABLE.identity(other) == TABLE.identity(value)
