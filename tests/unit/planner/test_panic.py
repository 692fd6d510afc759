"""Panic mode (docs/decisions/0015): no session is up any more, so the observer is doubted, and all pods go on."""

from collections.abc import Callable
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from support.sessions import BFD, Policies, StaticRoutes
from support.simulation import GATEWAY, pod

from veg_contracts import names
from veg_contracts.commands import RecordKubeEvent
from veg_contracts.events import ConfigApplied
from veg_contracts.intent import RoutePolicy

KINDS = pytest.mark.parametrize("made", [Policies, StaticRoutes])
Made = Callable[..., Policies]
BOTH = (0, 1)
FLAPS = ("up", "down", "up", "down", "up", "down")


def awake(made: Made, **spec: Any) -> Policies:
    gateway = made(**spec)
    for ip in gateway.ips:
        gateway.session(ip, "up")
    return gateway


# What the sessions of pods 0 and 1 do, in this order; which pods have traffic then, and to whose sessions rows refer.
HISTORIES: dict[str, tuple[list[tuple[int, str]], tuple[int, ...], tuple[int, ...]]] = {
    "none was ever up": ([(0, "down"), (1, "init")], (), ()),
    "one is up": ([(0, "up"), (1, "down")], (0,), (0,)),
    "all went down": ([(0, "up"), (1, "up"), (0, "down"), (1, "down")], BOTH, ()),
    "the only one that was up went down": ([(0, "up"), (0, "down")], BOTH, ()),
    "all are in init": ([(0, "up"), (1, "up"), (0, "init"), (1, "init")], BOTH, ()),
    "all said that they end": ([(0, "up"), (1, "up"), (0, "admin_down"), (1, "admin_down")], BOTH, ()),
    "the first that wakes serves": ([(0, "up"), (1, "up"), (0, "down"), (1, "down"), (1, "up")], (1,), (1,)),
    "all are awake": ([(0, "up"), (0, "down"), (0, "up"), (1, "up")], BOTH, BOTH),
    "down, one up, down": ([(0, "up"), (1, "up"), (0, "down"), (1, "down"), (1, "up"), (1, "down")], BOTH, ()),
    "one that flaps is better than none": ([(0, status) for status in (*FLAPS, "up")], (0,), (0,)),
    "flapping counts nothing in panic": ([(0, status) for status in FLAPS], BOTH, ()),
}


@KINDS
@pytest.mark.parametrize(("history", "nexthops", "watched"), HISTORIES.values(), ids=HISTORIES)
def test_k11_traffic_goes_on(
    made: Made, history: list[tuple[int, str]], nexthops: tuple[int, ...], watched: tuple[int, ...]
) -> None:
    gateway = made()
    for index, status in history:
        gateway.session(gateway.ips[index], status)
    assert gateway.nexthops == [gateway.ips[index] for index in nexthops]
    assert gateway.watched == [gateway.ips[index] for index in watched]
    others = [gateway.ips[index] for index in BOTH if index not in watched or made is Policies]
    assert gateway.anchors == others, "every session goes on, so that the first that wakes is seen"


@KINDS
def test_k11_the_drop_stays_as_it_is_and_lets_the_nexthops_pass(made: Made) -> None:
    gateway = awake(made)

    def drops() -> list[RoutePolicy]:
        return [policy for policy in gateway.rows.policies if policy.priority == names.PRIORITY_DROP]

    before = drops()
    for ip in gateway.ips:
        gateway.session(ip, "down")
        assert drops() == before
    if made is StaticRoutes:
        assert f"reg0 != {{{', '.join(gateway.ips)}}}" in before[0].match
    gateway.session(gateway.ips[0], "up")
    assert drops() == before


@KINDS
def test_k11_the_status_says_so_and_a_kubernetes_event_warns(made: Made) -> None:
    gateway = awake(made)
    for ip in gateway.ips:
        gateway.session(ip, "down")
    status = gateway.simulation.status(gateway.key)
    (ready,) = [condition for condition in status.conditions if condition.type == "Ready"]
    assert (status.ready, ready.status, ready.reason) == (False, "False", "PanicMode")
    source = "10.16.0.0/16" if made is Policies else "192.168.0.0/24"
    assert ready.message.startswith(
        f"All 2 BFD sessions with pods that take source {source} are down: "
        "panic mode: traffic goes to all 2 gateway pods that exist; "
    )
    warning = gateway.simulation.commands(RecordKubeEvent)[-1]
    assert isinstance(warning, RecordKubeEvent)
    assert (warning.type, warning.reason, warning.message) == ("Warning", "PanicMode", ready.message)
    gateway.session(gateway.ips[0], "up")
    assert "panic" not in gateway.simulation.message(key=gateway.key)
    assert f"the BFD session with pod {gateway.key}-1" in gateway.simulation.message(key=gateway.key)


def test_k11_it_is_said_of_one_pod_and_of_many_sources_in_one_sentence() -> None:
    blocks = [f"10.{number}.0.0/16" for number in range(20, 28)]
    gateway = Policies(policies=[{"snat": True, "ipBlocks": blocks}])
    gateway.simulation.see(pod(1, phase="Pending"))
    gateway.session(gateway.ips[0], "up", "down")
    named = ", ".join(f"source {block}" for block in blocks[:5])
    assert gateway.simulation.message().startswith(
        f"The only BFD session with a pod that takes {named} and 3 more is down: "
        "panic mode: traffic goes to the only gateway pod that exists; "
    )


def test_k11_pods_on_their_way_out_have_it_only_where_there_is_no_other() -> None:
    gateway = awake(Policies)
    simulation, (one, two) = gateway.simulation, gateway.ips
    simulation.see(pod(0, deleting=True))
    simulation.answer_all()
    gateway.session(one, "")
    gateway.session(two, "down")
    assert gateway.nexthops == [two]
    simulation.see(pod(1, deleting=True))
    simulation.answer_all()
    assert gateway.nexthops == [one, two]
    simulation.lose(pod(0))
    simulation.lose(pod(1))
    simulation.answer_all()
    assert [policy.action for policy in gateway.rows.policies] == ["drop"]


def test_k11_a_successor_whose_session_was_never_up_is_a_pod_that_exists() -> None:
    gateway = awake(Policies)
    simulation, (one, two) = gateway.simulation, gateway.ips
    for index in BOTH:
        simulation.see(pod(index, deleting=True))
    simulation.see(pod(2))
    simulation.answer_all()
    simulation.happen_config(GATEWAY, pod(2))
    for ip in (one, two):
        gateway.session(ip, "down")
    assert gateway.nexthops == ["10.16.0.14"]
    for index in BOTH:
        simulation.lose(pod(index))
    simulation.answer_all()
    assert gateway.nexthops == [], "of those there are none was ever up: they start"
    gateway.session("10.16.0.14", "up")
    assert (gateway.nexthops, gateway.watched) == (["10.16.0.14"], ["10.16.0.14"])


def test_k11_no_replicas_are_no_panic() -> None:
    gateway = awake(Policies)
    gateway.simulation.create(replicas=0, bfd=BFD, generation=2)
    for ip in gateway.ips:
        gateway.session(ip, "down")
    assert [policy.action for policy in gateway.rows.policies] == ["drop"]


def test_k11_each_family_and_selected_pods_by_themselves() -> None:
    selectors = [{"podSelector": {"matchLabels": {"app": "web"}}}]
    gateway = awake(Policies, selectors=selectors)
    gateway.session(gateway.ips[0], "down")
    gateway.session(gateway.ips[1], "down")
    found = {policy.priority: policy for policy in gateway.rows.policies}
    for priority in (names.PRIORITY_CLUSTER, names.PRIORITY_SELECTOR):
        assert (found[priority].nexthops, found[priority].bfd_sessions) == (gateway.ips, ())
    assert "source 10.16.0.0/16, IPv4 of selected pods" in gateway.simulation.message()


def test_k11_local_rows_are_there_for_steady_pods_only() -> None:
    gateway = awake(Policies, trafficPolicy="Local")
    for ip in gateway.ips:
        gateway.session(ip, "down")
    assert {policy.priority for policy in gateway.rows.policies} == {names.PRIORITY_CLUSTER, names.PRIORITY_DROP}
    gateway.session(gateway.ips[1], "up")
    local = [policy.nexthops for policy in gateway.rows.policies if policy.priority == names.PRIORITY_LOCAL]
    assert local == [(gateway.ips[1],)]


def test_k11_a_pod_whose_agent_takes_nothing_is_none_that_exists() -> None:
    gateway = awake(Policies)
    config = gateway.simulation.config[GATEWAY]
    assert config is not None
    for ip in gateway.ips:
        gateway.session(ip, "down")
    gateway.simulation.happen(
        ConfigApplied(
            gateway=GATEWAY,
            gateway_uid=config.gateway_uid,
            pod="gateway1-0",
            pod_uid="uid-Pod-default/gateway1-0",
            generation=config.generation,
            sources=(),
        )
    )
    gateway.simulation.answer_all()
    assert gateway.nexthops == [gateway.ips[1]]


def test_k11_it_is_said_while_the_spec_cannot_be_acted_on() -> None:
    gateway = awake(Policies)
    gateway.simulation.create(replicas=11, bfd=BFD, generation=2)
    gateway.simulation.answer_all()
    for ip in gateway.ips:
        gateway.session(ip, "down")
    assert gateway.nexthops == list(gateway.ips)
    message = gateway.simulation.message()
    assert message.startswith("All 2 BFD sessions")
    assert "spec.replicas: 11" in message
    assert "is down;" not in message.partition("panic mode")[2], "what is awaited of the pods is in the report"


@KINDS
def test_k11_panic_is_not_taken_for_traffic_from_before_bfd(made: Made) -> None:
    """Rows of panic mode refer to no session either, and a pod that has never been up would keep them for ever."""
    gateway = made()
    one, two = gateway.ips
    gateway.session(two, "down")
    gateway.session(one, "up", "down")
    assert (gateway.nexthops, gateway.watched) == ([one, two], [])
    gateway.session(two, "init", "down")
    gateway.simulation.restart()
    assert (gateway.nexthops, gateway.watched) == ([one, two], [])
    gateway.session(one, "up")
    assert (gateway.nexthops, gateway.watched) == ([one], [one])


@KINDS
def test_k11_and_traffic_from_before_bfd_is_no_panic(made: Made) -> None:
    gateway = made(bfd={})
    one, two = gateway.ips
    gateway.make({"bfd": BFD})
    gateway.session(one, "down", "up")
    gateway.simulation.restart()
    gateway.session(one, "down")
    assert (gateway.nexthops, gateway.watched) == ([two], [])
    assert "panic" not in gateway.simulation.message(key=gateway.key)


STEP = st.tuples(st.integers(0, 2), st.sampled_from(("down", "init", "admin_down", "up", "leave", "go", "come")))


@hypothesis.given(st.lists(STEP, max_size=30))
def test_k11_whatever_happens_the_best_there_are_serve(changes: list[tuple[int, str]]) -> None:
    """Up and steady ones, else those that are held back, else all that exist if one has been up."""
    gateway, pods = Policies(), {0: "stays", 1: "stays"}
    simulation = gateway.simulation
    for number, (index, change) in enumerate(changes):
        ip, uid = f"10.16.0.{12 + index}", f"uid-{index}-{number}"
        match change:
            case "leave" if index in pods:
                simulation.see(pod(index, deleting=True), uids(simulation.log, index))
                pods[index] = "leaves"
            case "go" if index in pods:
                simulation.lose(pod(index), uids(simulation.log, index))
                del pods[index]
            case "come" if index not in pods:
                simulation.see(pod(index), uid)
                simulation.answer_all()
                simulation.happen_config(GATEWAY, pod(index), uid)
                pods[index] = "stays"
            case "leave" | "go" | "come":
                continue
            case status if ip in {session.dst_ip for session in gateway.rows.sessions}:
                simulation.session(ip, status)
        simulation.answer_all()
        _forget_sessions(gateway)
        assert (gateway.nexthops, gateway.watched) == wanted(gateway, pods), changes[: number + 1]
        conditions = gateway.simulation.status().conditions
        panics = any(condition.reason == "PanicMode" for condition in conditions)
        assert panics == (bool(gateway.nexthops) and not gateway.watched)


def uids(log: list[Any], index: int) -> str:
    """The uid of the newest pod of that number."""
    name = f"gateway1-{index}"
    found = [
        record.envelope.data.uid
        for record in log
        if getattr(getattr(record.envelope.data, "object", None), "name", "") == name
    ]
    return str(found[-1])


def _forget_sessions(gateway: Policies) -> None:
    """OVN says of the sessions whose rows went that they are no more."""
    kept = {session.dst_ip for session in gateway.rows.sessions}
    for ip in (f"10.16.0.{12 + index}" for index in range(3)):
        if ip not in kept and gateway.simulation.world.session(GATEWAY, ip) is not None:
            gateway.session(ip, "")


def wanted(gateway: Policies, pods: dict[int, str]) -> tuple[list[str], list[str]]:
    """The nexthops, and those of them to whose sessions rows refer."""
    world = gateway.simulation.world
    teams = [
        [f"10.16.0.{12 + index}" for index in sorted(pods) if pods[index] == state] for state in ("stays", "leaves")
    ]
    known = {ip: session for team in teams for ip in team if (session := world.session(GATEWAY, ip)) is not None}
    for team in teams:
        up = [ip for ip in team if ip in known and known[ip].status == "up"]
        if up:
            best = [ip for ip in up if not known[ip].held] or up
            return best, best
    if any(session.been_up for session in known.values()):
        return teams[0] or teams[1], []
    return [], []
