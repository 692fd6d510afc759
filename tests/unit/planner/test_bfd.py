"""BFD: the Vpc's port, who joins and leaves by its session, what is dropped, and who may stop."""

from typing import Any

import msgspec
import pytest
from support.custom_vpc import KEY, created2
from support.simulation import GATEWAY, Simulation, client, pod

from veg_contracts import names
from veg_contracts.commands import EnsureVpcStatus
from veg_contracts.intent import BfdRouterPort, BfdSession, NbRows, PodBfd, RoutePolicy, VpcBfdStatus
from veg_contracts.objects import BfdPort, Node, Vpc

PEER = "10.255.255.255"
ONE, TWO = "10.16.0.12", "10.16.0.13"
NODES = ("n1", "n2", "n3", "n4")


def vpc(name: str = "ovn-cluster", **port: Any) -> Vpc:
    made = BfdPort(enabled=True, ip=PEER)
    return Vpc(name=name, router=name, default_subnet="ovn-default", bfd_port=msgspec.structs.replace(made, **port))


def node(name: str, **changes: Any) -> Node:
    return msgspec.structs.replace(Node(name=name, ready=True, chassis=f"chassis-{name}"), **changes)


def watched(**spec: Any) -> Simulation:
    """A Vpc with a BFD port, and a gateway of two pods whose sessions are down."""
    simulation = Simulation()
    simulation.prepare()
    for name in NODES:
        simulation.see(node(name))
    simulation.see(vpc())
    simulation.answer_all()
    simulation.create(**{"replicas": 2, "bfd": {"enabled": True, "minRX": 100, "minTX": 200}} | spec)
    simulation.answer_all()
    simulation.start_pods(2)
    simulation.report_config(2)
    simulation.answer_all()
    for ip in (ONE, TWO):
        simulation.session(ip, "down")
    simulation.answer_all()
    return simulation


def up(**spec: Any) -> Simulation:
    simulation = watched(**spec)
    for ip in (ONE, TWO):
        simulation.session(ip, "up")
    simulation.answer_all()
    simulation.report_config(2)
    simulation.answer_all()
    return simulation


def nexthops(simulation: Simulation, priority: int = names.PRIORITY_CLUSTER) -> list[tuple[str, ...]]:
    return [policy.nexthops for policy in simulation.rows[GATEWAY].policies if policy.priority == priority]


def test_the_port_of_a_vpc_has_three_nodes_and_its_status_comes_when_it_is_there() -> None:
    simulation = Simulation()
    simulation.prepare()
    for name in NODES:
        simulation.see(node(name))
    simulation.see(vpc())
    assert simulation.commands(EnsureVpcStatus) == []
    simulation.answer_all()
    port = simulation.rows["ovn-cluster"].bfd_port
    mac = names.bfd_port_mac("ovn-cluster")
    chassis = ("chassis-n1", "chassis-n2", "chassis-n3")
    assert port == BfdRouterPort(name="bfd@ovn-cluster", mac=mac, networks=(PEER,), chassis=chassis)
    (command,) = simulation.commands(EnsureVpcStatus)
    assert isinstance(command, EnsureVpcStatus)
    assert command.bfd_port == VpcBfdStatus(name="bfd@ovn-cluster", ip=PEER, nodes=("n1", "n2", "n3"))


def test_nodes_of_the_port_stay_and_those_that_are_not_ready_are_replaced() -> None:
    simulation = watched()
    simulation.see(node("a0"))
    assert simulation.intent("ovn-cluster").vpc_status.nodes == ("n1", "n2", "n3")  # type: ignore[union-attr]
    simulation.see(node("n2", ready=False))
    simulation.answer_all()
    assert simulation.intent("ovn-cluster").vpc_status.nodes == ("n1", "n3", "a0")  # type: ignore[union-attr]
    assert simulation.rows["ovn-cluster"].bfd_port.chassis == ("chassis-n1", "chassis-n3", "chassis-a0")  # type: ignore[union-attr]


def test_a_node_selector_takes_all_that_match_and_follows_their_labels() -> None:
    simulation = watched()
    simulation.see(node("n4", labels={"egress": "yes"}))
    simulation.see(vpc(node_selector={"matchLabels": {"egress": "yes"}}))
    simulation.answer_all()
    assert simulation.rows["ovn-cluster"].bfd_port.chassis == ("chassis-n4",)  # type: ignore[union-attr]
    simulation.see(node("n4"))
    simulation.answer_all()
    assert simulation.rows["ovn-cluster"].bfd_port.chassis == ()  # type: ignore[union-attr]


def test_a_gateway_is_not_ready_while_no_node_runs_the_port() -> None:
    simulation = up()
    assert simulation.status().ready
    for name in NODES:
        simulation.see(node(name, ready=False))
    simulation.answer_all()
    assert "no node runs BFD port bfd@ovn-cluster: nobody watches the pods" in simulation.message()
    assert nexthops(simulation) == [(ONE, TWO)], "what was last known stays"
    simulation.see(node("n4"))
    simulation.answer_all()
    assert simulation.status().ready


@pytest.mark.parametrize("ip", ["", "10.0.0.0/24", "nonsense", "10.0.0.1,10.0.0.2"])
def test_a_bad_address_of_the_port_is_named_and_nothing_is_made(ip: str) -> None:
    simulation = Simulation()
    simulation.prepare()
    simulation.see(vpc(ip=ip))
    simulation.answer_all()
    assert "ovn-cluster" not in simulation.rows


@pytest.mark.parametrize("selector", [{"matchLabels": "garbage"}, {"matchLabels": []}, {"matchExpressions": [{}]}])
def test_a_bad_node_selector_takes_no_node(selector: Any) -> None:
    simulation = Simulation()
    simulation.prepare()
    simulation.see(node("n1"))
    simulation.see(vpc(node_selector=selector))
    simulation.answer_all()
    assert "ovn-cluster" not in simulation.rows


@pytest.mark.parametrize("change", [{}, {"status_ip": "10.9.9.9"}, {"status_name": "x", "status_ip": PEER}])
def test_a_status_that_somebody_changes_is_written_again_once(change: dict[str, Any]) -> None:
    simulation = up()
    before = len(simulation.commands(EnsureVpcStatus))
    wanted = simulation.intent("ovn-cluster").vpc_status
    simulation.see(vpc(**change))
    simulation.answer_all()
    again = simulation.commands(EnsureVpcStatus)[before:]
    assert [getattr(command, "bfd_port", None) for command in again] == [wanted]


def test_a_status_in_another_order_is_left_alone() -> None:
    simulation = up()
    simulation.see(vpc(ip=f"fdff::ff,{PEER}"))
    simulation.answer_all()
    before = len(simulation.commands(EnsureVpcStatus))
    simulation.see(vpc(ip=f"fdff::ff,{PEER}", status_name="bfd@ovn-cluster", status_ip=f"fdff::ff,{PEER}"))
    simulation.answer_all()
    assert len(simulation.commands(EnsureVpcStatus)) == before


def test_a_port_that_is_switched_off_goes_with_its_status() -> None:
    simulation = up()
    simulation.see(vpc(enabled=False, status_name="bfd@ovn-cluster", status_ip=PEER))
    simulation.answer_all()
    assert simulation.rows["ovn-cluster"] == NbRows()
    command = simulation.commands(EnsureVpcStatus)[-1]
    assert isinstance(command, EnsureVpcStatus)
    assert command.bfd_port == VpcBfdStatus()


def test_a_pod_joins_when_its_session_is_up_and_leaves_when_it_is_down() -> None:
    simulation = watched()
    assert nexthops(simulation) == []
    assert not simulation.status().ready
    assert f"the BFD session with pod default/gateway1-0 ({ONE}) is down" in simulation.message()
    simulation.session(ONE, "up")
    simulation.answer_all()
    assert nexthops(simulation) == [(ONE,)]
    simulation.session(TWO, "up")
    simulation.answer_all()
    assert nexthops(simulation) == [(ONE, TWO)]
    assert simulation.status().ready
    simulation.session(ONE, "down")
    simulation.answer_all()
    assert nexthops(simulation) == [(TWO,)]
    assert not simulation.status().ready


def test_sessions_mirror_the_timers_and_are_kept_running_by_anchors() -> None:
    simulation = up()
    rows = simulation.rows[GATEWAY]
    assert rows.sessions == tuple(
        BfdSession(family="4", logical_port="bfd@ovn-cluster", dst_ip=ip, min_rx=200, min_tx=100, detect_mult=3)
        for ip in (ONE, TWO)
    )
    assert [(route.route_table, route.ip_prefix, route.nexthop, route.bfd) for route in rows.static_routes] == [
        ("veg-bfd", f"{ip}/32", ip, ip) for ip in (ONE, TWO)
    ]
    config = simulation.config[GATEWAY]
    assert config is not None
    assert config.bfd == PodBfd(min_rx=100, min_tx=200, multiplier=3, peers=(PEER,))
    assert [(route.destination, route.gateway) for route in config.routes] == [(f"{PEER}/32", "10.16.0.1")]


def test_below_the_policies_what_no_pod_takes_is_dropped() -> None:
    simulation = watched()
    drop = RoutePolicy(family="4", priority=29090, match="ip4.src == 10.16.0.0/16", action="drop")
    assert simulation.rows[GATEWAY].policies == (drop,), "none has ever been up: the gateway starts"
    assert "no BFD session with a pod that takes it is up: it is dropped" in simulation.message()
    simulation.session(ONE, "up")
    simulation.answer_all()
    assert drop in simulation.rows[GATEWAY].policies
    for index in (0, 1):
        simulation.lose(pod(index))
    simulation.answer_all()
    assert simulation.rows[GATEWAY].policies == (drop,)


def test_no_replicas_drop_with_bfd_and_that_is_ready() -> None:
    simulation = up(replicas=0)
    assert [policy.action for policy in simulation.rows[GATEWAY].policies] == ["drop"]


def test_without_a_port_the_gateway_works_unwatched_and_says_what_it_waits_for() -> None:
    simulation = Simulation()
    simulation.prepare()
    simulation.create(bfd={"enabled": True})
    simulation.answer_all()
    simulation.start_pods(1)
    simulation.report_config(1)
    simulation.answer_all()
    assert nexthops(simulation) == [(ONE,)]
    assert 'Vpc "ovn-cluster" has no BFD port' in simulation.message()


def test_bfd_on_a_live_gateway_takes_nothing_from_a_pod_that_has_no_speaker_yet() -> None:
    simulation = Simulation()
    simulation.prepare()
    simulation.see(node("n1"))
    simulation.see(vpc())
    simulation.create()
    simulation.answer_all()
    simulation.start_pods(1)
    simulation.report_config(1)
    simulation.answer_all()
    simulation.create(bfd={"enabled": True}, generation=2)
    simulation.answer_all()
    simulation.session(ONE, "down")
    simulation.answer_all()
    assert nexthops(simulation) == [(ONE,)]
    simulation.session(ONE, "up")
    simulation.answer_all()
    (policy,) = [policy for policy in simulation.rows[GATEWAY].policies if policy.action == "reroute"]
    assert policy.bfd_sessions == (ONE,)
    simulation.session(ONE, "down")
    simulation.answer_all()
    (policy,) = [policy for policy in simulation.rows[GATEWAY].policies if policy.action == "reroute"]
    assert (policy.nexthops, policy.bfd_sessions) == ((ONE,), ()), "panic mode: there is no other"


def test_a_policy_has_spare_rows_while_it_has_several_nexthops() -> None:
    simulation = up()

    def spares() -> list[bool]:
        return [policy.spares for policy in simulation.rows[GATEWAY].policies if policy.action == "reroute"]

    assert (nexthops(simulation), spares()) == ([(ONE, TWO)], [True])
    simulation.session(ONE, "down")
    simulation.answer_all()
    assert (nexthops(simulation), spares()) == ([(TWO,)], [False])


def test_a_deleted_pod_may_stop_when_the_chassis_have_no_flows_to_it() -> None:
    simulation = up()
    simulation.see(pod(0, deleting=True))
    config = simulation.config[GATEWAY]
    assert config is not None
    (rows,) = [outgoing for outgoing in simulation.pending if outgoing.part == "nb"]
    assert rows.data.rows.nexthops == {TWO}  # type: ignore[union-attr]
    simulation.answer(rows, programmed=False)
    simulation.pending.remove(rows)
    assert simulation.intent().config.released == ()  # type: ignore[union-attr]
    simulation.programmed(rows.data, rows.id)  # type: ignore[arg-type]
    assert simulation.intent().config.released == ("default/gateway1-0",)  # type: ignore[union-attr]
    simulation.lose(pod(0))
    assert simulation.intent().config.released == ()  # type: ignore[union-attr]


def test_the_last_pod_keeps_its_traffic_until_its_successor_has_joined() -> None:
    simulation = up()
    simulation.see(pod(0, deleting=True))
    simulation.answer_all()
    simulation.see(pod(1, deleting=True))
    simulation.answer_all()
    assert nexthops(simulation) == [(ONE, TWO)]
    successor = pod(2)
    simulation.see(successor)
    simulation.answer_all()
    simulation.happen_config(GATEWAY, successor)
    simulation.session("10.16.0.14", "down")
    simulation.answer_all()
    assert nexthops(simulation) == [(ONE, TWO)]
    simulation.session("10.16.0.14", "up")
    simulation.answer_all()
    assert nexthops(simulation) == [("10.16.0.14",)]
    assert simulation.intent().config.released == ("default/gateway1-0", "default/gateway1-1")  # type: ignore[union-attr]


def test_local_traffic_has_a_port_group_and_a_policy_for_each_node_with_a_pod() -> None:
    simulation = up(trafficPolicy="Local")
    simulation.see(client("a", node="node0"))
    simulation.see(client("b", node="node1"))
    simulation.see(client("c", node="elsewhere"))
    simulation.answer_all()
    groups = [names.node_port_group(GATEWAY, f"node{index}") for index in (0, 1)]
    assert [simulation.members[group] for group in groups] == [{"a.default"}, {"b.default"}]
    local = {policy.match: policy.nexthops for policy in simulation.rows[GATEWAY].policies if policy.priority == 29150}
    assert local == {
        f"ip4.src == ${group}_ip4 && ip4.src == 10.16.0.0/16": (ip,)
        for group, ip in zip(groups, (ONE, TWO), strict=True)
    }
    simulation.session(ONE, "down")
    simulation.answer_all()
    assert nexthops(simulation, 29150) == [(TWO,)]
    simulation.lose(client("b", node="node1"))
    simulation.answer_all()
    assert simulation.members[groups[1]] == set()
    simulation.create(replicas=2, bfd={"enabled": True}, generation=2)
    simulation.answer_all()
    assert simulation.rows[GATEWAY].port_groups == ()


def test_custom_vpcs_drop_what_their_routes_do_not_take() -> None:
    simulation = created2(port=BfdPort(enabled=True, ip=PEER), bfd={"enabled": True})
    (drop,) = simulation.rows[KEY].policies
    assert drop.action == "drop"
    assert drop.match == (
        "ip4.src == 192.168.0.0/24 && ip4.dst != {192.168.0.0/24, 192.168.1.0/24} && reg0 != {192.168.0.2, 192.168.0.3}"
    )


def test_probes_by_exec_are_rare_once_the_pod_is_ready() -> None:
    """Each costs 25 ms of CPU (bench/results/exec-probes.md): at most 1 % of a core for the containers of a pod."""
    simulation = watched()
    workload = simulation.intent().workload
    assert workload is not None
    containers = {item["name"]: item for item in workload.manifest["spec"]["template"]["spec"]["containers"]}
    probes = [
        container[kind]
        for container in containers.values()
        for kind in ("readinessProbe", "livenessProbe")
        if kind in container
    ]
    assert len(probes) == len(containers) == 2
    assert sum(0.025 / probe["periodSeconds"] for probe in probes) <= 0.01
    start = containers["gateway"]["startupProbe"]
    assert start["exec"] == containers["gateway"]["readinessProbe"]["exec"], "ready as soon as it says so"
    assert start["periodSeconds"] <= 2
    assert start["periodSeconds"] * start["failureThreshold"] >= 3600, "a bus that is away restarts no pod"
