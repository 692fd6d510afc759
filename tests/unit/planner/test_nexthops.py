"""Which pods traffic goes to by their BFD sessions: the same choice for policies and for static routes."""

from collections.abc import Callable
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from support.custom_vpc import KEY, settle, vpc1
from support.simulation import GATEWAY, Simulation, pod

from veg_contracts import names
from veg_contracts.events import Ticked
from veg_contracts.intent import NbRows, StaticRoute
from veg_contracts.objects import BfdPort, Vpc

BFD = {"enabled": True, "minRX": 100, "minTX": 100}
PORT = BfdPort(enabled=True, ip="10.255.255.255")
FLAPS = ("up", "down", "up", "down", "up", "down", "up")


class Policies:
    """A gateway of the default VPC with two pods, whose sessions are not there yet."""

    key, vpc, ips = GATEWAY, "ovn-cluster", ("10.16.0.12", "10.16.0.13")

    def __init__(self, **spec: Any) -> None:
        self.simulation = Simulation()
        self.simulation.prepare()
        self.make_vpc()
        self.simulation.answer_all()
        self.make({"bfd": BFD} | spec)

    def make_vpc(self) -> None:
        self.simulation.see(Vpc(name=self.vpc, router=self.vpc, default_subnet="ovn-default", bfd_port=PORT))

    def make(self, spec: dict[str, Any]) -> None:
        self.simulation.create(replicas=2, **spec)
        self.simulation.answer_all()
        self.simulation.start_pods(2)
        self.simulation.report_config(2)
        self.simulation.answer_all()

    def session(self, ip: str, *statuses: str) -> None:
        for status in statuses:
            self.simulation.session(ip, status, gateway=self.key, vpc=self.vpc)
        self.simulation.answer_all()

    def tick(self, at: str, *, sessions_only: bool = False) -> None:
        self.simulation.happen(Ticked(at=at, sessions_only=sessions_only))
        self.simulation.answer_all()

    @property
    def rows(self) -> NbRows:
        return self.simulation.rows[self.key]

    @property
    def nexthops(self) -> list[str]:
        policies = [policy for policy in self.rows.policies if policy.priority == names.PRIORITY_CLUSTER]
        return [ip for policy in policies for ip in policy.nexthops]

    @property
    def anchors(self) -> list[str]:
        return [route.nexthop for route in self.rows.static_routes if route.route_table]


class StaticRoutes(Policies):
    """A gateway of a custom VPC with two pods, whose sessions are not there yet."""

    key, vpc, ips = KEY, "vpc1", ("192.168.0.2", "192.168.0.3")

    def make_vpc(self) -> None:
        vpc1(self.simulation, PORT)

    def make(self, spec: dict[str, Any]) -> None:
        settle(self.simulation, **spec)

    @property
    def routes(self) -> list[StaticRoute]:
        return [route for route in self.rows.static_routes if not route.route_table]

    @property
    def nexthops(self) -> list[str]:
        return [route.nexthop for route in self.routes]


KINDS = pytest.mark.parametrize("made", [Policies, StaticRoutes])
Made = Callable[..., Policies]


@KINDS
@pytest.mark.parametrize("other", ["down", "init", "admin_down"])
def test_a_pod_is_a_nexthop_only_while_its_session_is_up(made: Made, other: str) -> None:
    gateway = made()
    one, two = gateway.ips
    assert gateway.nexthops == []
    gateway.session(one, "init", "up")
    assert gateway.nexthops == [one]
    gateway.session(two, "up")
    assert gateway.nexthops == [one, two]
    gateway.session(one, other)
    assert gateway.nexthops == [two]
    gateway.session(one, "up")
    assert gateway.nexthops == [one, two]


def test_a_static_route_that_goes_leaves_an_anchor_and_changes_nothing_else() -> None:
    gateway = StaticRoutes()
    one, two = gateway.ips
    gateway.session(one, "up")
    gateway.session(two, "up")
    before = gateway.rows
    assert {(route.nexthop, route.bfd) for route in gateway.routes} == {(one, one), (two, two)}
    assert gateway.anchors == []
    gateway.session(one, "down")
    assert (gateway.nexthops, gateway.anchors) == ([two], [one])
    assert gateway.rows.sessions == before.sessions
    assert gateway.rows.policies == before.policies, "the drop spares all pods: a failover makes no policy anew"


@KINDS
def test_bfd_on_a_live_gateway_takes_nothing_from_a_pod_that_was_never_up(made: Made) -> None:
    gateway = made(bfd={})
    one, two = gateway.ips
    assert gateway.nexthops == [one, two]
    gateway.make({"bfd": BFD})
    gateway.session(one, "down")
    gateway.session(two, "init")
    assert gateway.nexthops == [one, two]
    gateway.session(one, "up")
    assert gateway.nexthops == [one, two]
    gateway.session(one, "down")
    assert gateway.nexthops == [two]


@KINDS
def test_what_flaps_is_held_back_and_still_watched(made: Made) -> None:
    gateway = made()
    one, two = gateway.ips
    gateway.session(two, "up")
    gateway.session(one, *FLAPS)
    assert gateway.nexthops == [two]
    assert [session.dst_ip for session in gateway.rows.sessions] == [one, two]
    assert one in gateway.anchors
    assert "went down 3 times lately: held back until 2026-01-01T00:00:10" in gateway.simulation.message(key=gateway.key)
    gateway.tick("2026-01-01T00:00:09Z")
    assert gateway.nexthops == [two]
    gateway.tick("2026-01-01T00:00:11Z", sessions_only=True)
    assert gateway.nexthops == [one, two]


@KINDS
def test_what_flaps_serves_while_no_other_is_up(made: Made) -> None:
    gateway = made()
    one, two = gateway.ips
    gateway.session(one, *FLAPS)
    assert gateway.nexthops == [one]
    said = gateway.simulation.message(key=gateway.key)
    assert "held back until 2026-01-01T00:00:10" in said
    assert "goes to pods that are held back: no other BFD session is up" in said
    assert "has no nexthop" not in said
    gateway.session(two, *FLAPS)
    assert gateway.nexthops == [one, two]
    gateway.session(one, "down")
    assert gateway.nexthops == [two]
    gateway.session(two, "down")
    assert gateway.nexthops == []
    assert "no BFD session with a pod that takes it is up: it is dropped" in gateway.simulation.message(key=gateway.key)


def test_one_that_is_not_held_takes_over_from_those_that_are() -> None:
    gateway = Policies()
    one, two = gateway.ips
    gateway.session(one, *FLAPS)
    gateway.session(two, "up")
    assert gateway.nexthops == [two]
    assert "no other BFD session is up" not in gateway.simulation.message()


def test_a_successor_that_flaps_is_still_preferred_to_a_pod_on_its_way_out() -> None:
    gateway = Policies()
    one, two = gateway.ips
    gateway.session(one, "up")
    gateway.session(two, *FLAPS)
    gateway.simulation.see(pod(0, deleting=True))
    gateway.simulation.answer_all()
    assert gateway.nexthops == [two]


def test_local_traffic_does_not_go_to_a_pod_that_is_held_back() -> None:
    gateway = Policies(trafficPolicy="Local")
    one, two = gateway.ips
    gateway.session(two, "up")
    gateway.session(one, *FLAPS)
    local = [policy.nexthops for policy in gateway.rows.policies if policy.priority == names.PRIORITY_LOCAL]
    assert local == [(two,)]


CHANGES = st.lists(st.tuples(st.integers(0, 1), st.sampled_from(("down", "init", "admin_down", "up"))), max_size=25)


@KINDS
@hypothesis.given(CHANGES)
def test_whatever_sessions_do_the_best_that_are_up_serve_and_all_are_watched(
    made: Made, changes: list[tuple[int, str]]
) -> None:
    gateway = made()
    for index, status in changes:
        gateway.session(gateway.ips[index], status)
        sessions = {ip: gateway.simulation.world.session(gateway.key, ip) for ip in gateway.ips}
        up = [ip for ip, session in sessions.items() if session is not None and session.status == "up"]
        steady = [ip for ip in up if not sessions[ip].held]  # type: ignore[union-attr]
        assert gateway.nexthops == (steady or up)
        assert [session.dst_ip for session in gateway.rows.sessions] == list(gateway.ips)
        referred = [route.bfd for route in gateway.rows.static_routes]
        assert sorted(referred) == list(gateway.ips), "each session is kept running, by one route"
