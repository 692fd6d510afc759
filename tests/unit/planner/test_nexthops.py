"""Which pods traffic goes to by their BFD sessions: the same choice for policies and for static routes."""

from collections.abc import Callable

import hypothesis
import pytest
from hypothesis import strategies as st
from support.sessions import BFD, Policies, StaticRoutes
from support.simulation import pod

from veg_contracts import names

FLAPS = ("up", "down", "up", "down", "up", "down", "up")


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
    assert "went down 3 times lately: held back until 2026-01-01T00:00:10" in gateway.simulation.message(
        key=gateway.key
    )
    gateway.tick("2026-01-01T00:00:09Z")
    assert gateway.nexthops == [two]
    gateway.tick("2026-01-01T00:00:11Z", early=True)
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
    assert gateway.nexthops == [one, two]
    assert "panic mode" in gateway.simulation.message(key=gateway.key)


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
        panic = (
            list(gateway.ips) if any(session is not None and session.been_up for session in sessions.values()) else []
        )
        assert gateway.nexthops == (steady or up or panic)
        assert gateway.watched == (steady or up)
        assert [session.dst_ip for session in gateway.rows.sessions] == list(gateway.ips)
        referred = [route.bfd for route in gateway.rows.static_routes if route.bfd]
        assert sorted(referred) == list(gateway.ips), "each session is kept running, by one route"
