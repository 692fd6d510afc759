"""Src-ip routes of somebody else on the router of a gateway: no group is shared, and the status says why (CASES K3)."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.custom_vpc import KEY, created2
from support.simulation import SETTINGS, Simulation, gateway

from veg_contracts.events import PlannerConfigured, RoutesObserved, RowsListed
from veg_contracts.intent import NbRows
from veg_contracts.objects import BfdPort
from veg_planner.plan.strangers import Strangers
from veg_planner.state import StrangeRoutes

SUBNET1, SUBNET2 = "192.168.0.0/24", "192.168.1.0/24"
PORT = BfdPort(enabled=True, ip="10.255.255.255", status_name="bfd@vpc1", status_ip="10.255.255.255")


def see_routes(simulation: Simulation, *prefixes: str, left_out: int = 0) -> None:
    """What a Kube-OVN >= 1.14 has on that router."""
    simulation.happen(RoutesObserved(router="vpc1", prefixes=prefixes, left_out=left_out))
    simulation.answer_all()


def configure(simulation: Simulation, **settings: Any) -> None:
    simulation.happen(PlannerConfigured(settings=msgspec.structs.replace(SETTINGS, **settings)))
    simulation.answer_all()


def forms(rows: NbRows, cidr: str = SUBNET1) -> tuple[bool, bool]:
    """Whether a source goes by routes, and whether by a policy."""
    routes = any(route.ip_prefix == cidr and route.symmetric_reply for route in rows.static_routes)
    match = f"ip4.src == {cidr} "
    return routes, any(item.action == "reroute" and f"{item.match} ".startswith(match) for item in rows.policies)


@pytest.mark.parametrize(
    ("setting", "theirs", "expected"),
    [
        ("auto", (), (True, False)),
        ("auto", (SUBNET1,), (False, True)),
        ("auto", (SUBNET2,), (True, False)),
        ("auto", ("192.168.0.0/16",), (False, True)),
        ("auto", ("192.168.0.128/25",), (True, True)),
        ("policy", (), (False, True)),
        ("policy", (SUBNET1,), (False, True)),
        ("static-route", (), (True, False)),
        ("static-route", (SUBNET1,), (False, False)),
        ("static-route", ("192.168.0.0/16",), (True, False)),
    ],
)
def test_k3_the_form_of_a_source(setting: str, theirs: tuple[str, ...], expected: tuple[bool, bool]) -> None:
    simulation = created2()
    configure(simulation, custom_vpc_routing=setting)
    see_routes(simulation, *theirs)
    assert forms(simulation.rows[KEY]) == expected
    shared = {route.ip_prefix for route in simulation.rows[KEY].static_routes} & set(theirs)
    assert not shared


def test_k3_it_goes_over_in_one_command_and_back_when_they_go() -> None:
    simulation = created2()
    before, sent = simulation.rows[KEY], len(simulation.sent)
    see_routes(simulation, SUBNET1)
    rows = [outgoing.data for outgoing in simulation.sent[sent:] if hasattr(outgoing.data, "rows")]
    assert len(rows) == 1
    status = simulation.status(KEY)
    assert status.ready
    reason = f"source {SUBNET1} goes by policies: router vpc1 has a src-ip route for it that is not ours"
    assert simulation.message("Ready", KEY) == f"2 pods serve; {reason}"
    see_routes(simulation)
    assert simulation.rows[KEY] == before
    assert simulation.message("Ready", KEY) == "2 pods serve"


def test_k3_a_forced_route_is_refused_with_what_to_do() -> None:
    simulation = created2()
    configure(simulation, custom_vpc_routing="static-route")
    see_routes(simulation, SUBNET1)
    assert simulation.rows[KEY].static_routes == ()
    message = simulation.message("Ready", KEY)
    assert not simulation.status(KEY).ready
    for text in (SUBNET1, "router vpc1", "VEG_CUSTOM_VPC_ROUTING"):
        assert text in message


def test_k3_a_forced_route_that_is_refused_leaks_nothing_with_bfd() -> None:
    simulation = created2(PORT, bfd={"enabled": True})
    for ip in ("192.168.0.2", "192.168.0.3"):
        simulation.session(ip, "up", gateway=KEY, vpc="vpc1")
    simulation.answer_all()
    configure(simulation, custom_vpc_routing="static-route")
    see_routes(simulation, SUBNET1)
    rows = simulation.rows[KEY]
    assert [(item.action, "reg0" in item.match) for item in rows.policies] == [("drop", False)]
    assert {route.route_table for route in rows.static_routes} == {"veg-bfd"}


def test_k3_no_helper_route_where_theirs_is_a_hit() -> None:
    simulation = created2(selectors=[{}])
    assert SUBNET2 in {route.ip_prefix for route in simulation.rows[KEY].static_routes}
    see_routes(simulation, SUBNET2)
    assert {route.ip_prefix for route in simulation.rows[KEY].static_routes} == {SUBNET1}
    see_routes(simulation, SUBNET1, SUBNET2)
    assert simulation.rows[KEY].static_routes == ()


def test_k3_where_not_all_can_be_told_policies_are_safe() -> None:
    simulation = created2()
    see_routes(simulation, "10.0.0.0/24", left_out=1)
    assert forms(simulation.rows[KEY]) == (False, True)


def test_k3_a_start_of_the_writer_that_names_no_router_takes_them_back() -> None:
    simulation = created2()
    see_routes(simulation, SUBNET1)
    simulation.happen(RowsListed(gateways=(KEY,), routers=("vpc1",)))
    simulation.answer_all()
    assert forms(simulation.rows[KEY]) == (False, True)
    simulation.restart()
    simulation.happen(RowsListed(gateways=(KEY,)))
    simulation.answer_all()
    assert forms(simulation.rows[KEY]) == (True, False)


def test_k3_other_routers_and_garbage_change_nothing() -> None:
    simulation = created2()
    before = simulation.rows[KEY]
    simulation.happen(RoutesObserved(router="vpc2", prefixes=(SUBNET1,)))
    see_routes(simulation, "192.168.0.1/24", "nonsense")
    assert simulation.rows[KEY] == before
    simulation.see(gateway(name="late", spec={"externalSubnet": "macvlan1"}))


NETWORKS = st.one_of(
    st.builds(
        lambda bits, length: ip_network((bits << 24, length), strict=False), st.integers(0, 255), st.integers(0, 32)
    ),
    st.builds(
        lambda bits, length: ip_network((bits << 26, length), strict=False), st.integers(0, 63), st.integers(0, 8)
    ),
    st.builds(
        lambda bits, length: ip_network((bits << 120, length), strict=False), st.integers(0, 255), st.integers(0, 128)
    ),
)


@given(st.sets(NETWORKS, max_size=8), NETWORKS)
def test_how_a_source_lies_to_them(theirs: set[IPv4Network | IPv6Network], source: IPv4Network | IPv6Network) -> None:
    strangers = Strangers("r", StrangeRoutes(prefixes=tuple(sorted(map(str, theirs)))))
    same = [network for network in theirs if network.version == source.version]
    covered = any(source.subnet_of(network) for network in same)  # type: ignore[arg-type]  # they are of one family
    assert strangers.have(str(source)) == (source in theirs)
    assert strangers.cover(str(source)) == covered
    if not covered:
        assert strangers.lie_inside(str(source)) == any(network.subnet_of(source) for network in same)  # type: ignore[arg-type]  # as above
