"""Each invariant catches what it is there for."""

import msgspec
import pytest

from veg_contracts import names
from veg_contracts.intent import BfdRouterPort, BfdSession, NbRows, PodConfig, RoutePolicy, Source, StaticRoute
from veg_planner.invariants import violations
from veg_planner.plan import bfd_relay
from veg_planner.plan.draft import Draft

POLICY = RoutePolicy(
    family="4", priority=29100, match="ip4.src == 10.0.0.0/8", action="reroute", nexthops=("10.0.0.1", "10.0.0.2")
)
ROUTE = StaticRoute(
    family="4", ip_prefix="10.0.0.0/8", nexthop="10.0.0.1", symmetric_reply=True, selection_fields=("ip_src",)
)
GROUP = names.port_group("a/b")


def draft(*policies: RoutePolicy, router: str = "r") -> Draft:
    return Draft(gateway="a/b", gateway_uid="u", nb=NbRows(router=router, policies=policies))


def said_of(*routes: StaticRoute, **rows: object) -> str:
    made = msgspec.structs.replace(NbRows(router="r", static_routes=routes), **rows)
    return "; ".join(violations(Draft(gateway="a/b", gateway_uid="u", nb=made)))


def test_a_good_draft_has_none() -> None:
    assert violations(draft(POLICY)) == ()
    assert violations(Draft(gateway="a/b", gateway_uid="u")) == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"family": "6"}, "not of family 6 alone"),
        ({"nexthops": ("10.0.0.2", "10.0.0.1")}, "not sorted"),
        ({"nexthops": ("10.0.0.1", "10.0.0.1")}, "twice"),
        ({"nexthops": ("fd00::1",)}, "of another family"),
        ({"nexthops": ()}, "with 0 nexthops"),
        ({"action": "drop"}, "action drop with 2 nexthops"),
    ],
)
def test_a_broken_policy_is_named(change: dict[str, object], said: str) -> None:
    assert said in "; ".join(violations(draft(msgspec.structs.replace(POLICY, **change))))


def test_k3_a_group_with_a_next_hop_that_is_not_ours_is_named() -> None:
    made = Draft(gateway="a/b", gateway_uid="u", nb=NbRows(router="r", static_routes=(ROUTE,)))
    assert violations(made, frozenset({"10.0.0.0/9"})) == ()
    said = violations(made, frozenset({ROUTE.ip_prefix}))
    assert said == ("static routes of 10.0.0.0/8 are in one ECMP group with another one's",)


def test_a_relay_is_whole_and_nothing_else_goes_by_a_port() -> None:
    port = BfdRouterPort(name="bfd@vpc1", mac="", networks=("10.255.255.255",), chassis=())
    whole = bfd_relay.attach(NbRows(router="vpc1", bfd_port=port), "vpc1", "vpc1", ("169.254.1.1", "fd37::1"))

    def said(**changes: object) -> str:
        rows = msgspec.structs.replace(whole, **changes)
        return "; ".join(violations(Draft(gateway="vpc1", gateway_uid="u", nb=rows)))

    assert said() == ""
    assert "routes by a port []" in said(static_routes=())
    assert "routes by a port" in said(bfd_port=port)
    assert "policies of priority 31500" in said(policies=whole.policies[:1])
    assert "no row of BFD for the relay bfd-relay@vpc1" in said(sessions=())
    assert "routes by a port" in said_of(msgspec.structs.replace(ROUTE, output_port="vpc1-subnet1"))


def test_rows_need_a_router_and_each_policy_once() -> None:
    assert "without a logical router" in "; ".join(violations(draft(POLICY, router="")))
    assert "there twice" in "; ".join(violations(draft(POLICY, POLICY)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ip_prefix": "10.0.0.1/8"}, "without host bits"),
        ({"ip_prefix": "fd00::/64"}, "not a CIDR of family 4"),
        ({"nexthop": "fd00::1"}, "not an address of family 4"),
        ({"nexthop": "10.0.0.1/8"}, "not an address"),
        ({"policy": ""}, "not by its source"),
        ({"selection_fields": ("ipv6_src",)}, "selection by ipv6_src"),
    ],
)
def test_a_broken_static_route_is_named(change: dict[str, object], said: str) -> None:
    assert said in said_of(msgspec.structs.replace(ROUTE, **change))


def test_static_routes_are_sorted_each_once_and_of_one_kind_for_a_prefix() -> None:
    other = msgspec.structs.replace(ROUTE, nexthop="10.0.0.2")
    assert said_of(ROUTE, other) == ""
    assert "not sorted" in said_of(other, ROUTE)
    assert "there twice" in said_of(ROUTE, ROUTE)
    hit = msgspec.structs.replace(other, symmetric_reply=False, selection_fields=())
    assert "form one ECMP group, and differ" in said_of(ROUTE, hit)
    assert "without a logical router" in said_of(ROUTE, router="")


def test_a_policy_on_an_address_set_has_its_port_group() -> None:
    policy = msgspec.structs.replace(POLICY, match=f"ip4.src == ${GROUP}_ip4")
    assert said_of(policies=(policy,), port_groups=(GROUP,)) == ""
    assert "no port group" in said_of(policies=(policy,))
    foreign = names.port_group("a/other")
    assert "not those of a/b" in said_of(port_groups=(foreign,))
    assert "no port group" in said_of(policies=(policy,), port_groups=(foreign,))


def test_each_session_is_kept_running_by_a_static_route() -> None:
    session = BfdSession(family="4", logical_port="bfd@r", dst_ip="10.0.0.1", min_rx=1, min_tx=1, detect_mult=3)
    watched = msgspec.structs.replace(ROUTE, bfd="10.0.0.1")
    anchor = StaticRoute(
        family="4",
        ip_prefix="10.0.0.1/32",
        nexthop="10.0.0.1",
        policy="dst-ip",
        route_table=names.ANCHOR_TABLE,
        bfd="10.0.0.1",
    )
    assert said_of(watched, sessions=(session,)) == ""
    assert said_of(anchor, sessions=(session,)) == ""
    assert "no static route keeps the BFD session with 10.0.0.1 running" in said_of(ROUTE, sessions=(session,))
    assert "there is no BFD session with 10.0.0.1" in said_of(watched)


def test_config_sources_are_canonical_and_once() -> None:
    sources = (Source(cidr="10.0.0.1/8", snat=True), Source(cidr="10.0.0.1/8", snat=False))
    config = PodConfig(gateway="a/b", gateway_uid="u", generation=1, sources=sources)
    said = "; ".join(violations(Draft(gateway="a/b", gateway_uid="u", config=config)))
    assert "twice" in said
    assert "host bits" in said
