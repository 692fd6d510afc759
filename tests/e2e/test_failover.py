"""Gateway pods that fail: the others take over within a second.

When none is left, or none is heard, all of them keep the traffic: nothing of it leaves another way.

The client pings every 10 ms, and a witness on the external link writes down under which address each ping arrives.
"""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path

import pytest
import traffic
from support import bfd
from support.clients import await_running, client_pod
from support.kills import Deaf, Frozen, Kill, LinkDown
from support.lab import Lab, conditions, eventually
from support.northbound import table
from support.snapshot import OWNER
from support.vpcs import egress, subnet, vpc

pytestmark = pytest.mark.timed

SERVER = "172.17.0.1"
DARK_S = 60.0  # for how long all gateways are down
WITHIN_S = 1.0
# The time in which a session is found to be down and everybody told: packets may still arrive at a gateway until then.
SETTLED_S = 2.0
# Kind of rows -> VPC, subnet, and its CIDR. The gateway has the name of the subnet.
PLACES = {
    "policies": ("ovn-cluster", "failing-default", "10.48.0.0/24"),
    "static routes": ("failing", "failing-custom", "192.168.48.0/24"),
}
_POLICY, _ROUTE, CLUSTER_PRIORITY = "Logical_Router_Policy", "Logical_Router_Static_Route", 29100
GATEWAYS = {kind: network for kind, (_, network, _) in PLACES.items()}
Pods = dict[str, list[str]]


@pytest.fixture(scope="module")
def pods(lab: Lab) -> Iterator[Pods]:
    """Gateway -> its two pods, in either kind of VPC, each with a client."""
    fast = {"enabled": True, "minRX": 100, "minTX": 100}
    lab.apply(vpc("failing"))
    with bfd.port(lab, "ovn-cluster", "10.255.255.255"), bfd.port(lab, "failing", "10.255.255.255"):
        for router, network, cidr in PLACES.values():
            spec = {"vpc": router, "internalSubnet": network, "externalSubnet": "macvlan1", "bfd": fast}
            sources = [{"snat": True, "subnets": [network]}]
            lab.apply(subnet(network, "IPv4", cidr, vpc=router))
            lab.apply(
                egress(network, replicas=2, policies=sources, **spec), client_pod(client(network), subnet=network)
            )
        await_running(lab, *(f"default/{client(name)}" for name in GATEWAYS.values()))
        for name in GATEWAYS.values():
            lab.ready(name, 2)
        yield {name: [pod["metadata"]["name"] for pod in lab.gateway_pods(name)] for name in GATEWAYS.values()}
        lab.kubectl("delete", "veg", *GATEWAYS.values(), "--timeout=90s")
    lab.kubectl("delete", "pod", *map(client, GATEWAYS.values()))
    lab.kubectl("delete", "subnet", *GATEWAYS.values())
    lab.kubectl("delete", "vpc", "failing")


def client(gateway: str) -> str:
    return f"{gateway}-client"


def flow(gateway: str) -> traffic.Flow:
    return traffic.Flow(gateway, "4")


def pings(lab: Lab, directory: Path, *gateways: str) -> AbstractContextManager[traffic.Traffic]:
    clients = {gateway: f"default/{client(gateway)}" for gateway in gateways}
    return traffic.running(lab.name, clients, directory, (SERVER,))


@contextmanager
def down(*kills: Kill) -> Iterator[None]:
    try:
        for kill in kills:
            kill.do()
        yield
    finally:
        for kill in kills:
            kill.undo()


def external(lab: Lab, *gateways: str) -> set[str]:
    return {ip for gateway in gateways for ip in lab.gateway(gateway)["status"]["externalIPs"]}


def serving(lab: Lab, pods: list[str], gateway: str, seen: traffic.Traffic) -> str:
    """The pod by which the client of a gateway leaves now."""
    key = "k8s.v1.cni.cncf.io/network-status"
    networks = {pod: lab.get("pod", pod)["metadata"]["annotations"][key] for pod in pods}

    def found() -> str:
        seen.look()
        return next((pod for pod, text in networks.items() if f'"{seen.sources[flow(gateway)]}"' in text), "")

    return eventually(found, 10, "the client leaves by a gateway pod")


@pytest.mark.parametrize("way", [LinkDown, Deaf])
@pytest.mark.parametrize("gateway", GATEWAYS.values(), ids=GATEWAYS)
def test_the_other_takes_over_within_a_second(
    lab: Lab, pods: Pods, gateway: str, way: type[Kill], tmp_path: Path
) -> None:
    fail_over(lab, pods, gateway, way, tmp_path)
    lab.ready(gateway, 2)


@pytest.mark.parametrize("gateway", GATEWAYS.values(), ids=GATEWAYS)
def test_so_it_does_while_the_spec_cannot_be_acted_on(lab: Lab, pods: Pods, gateway: str, tmp_path: Path) -> None:
    lab.kubectl("patch", "veg", gateway, "--type=merge", "-p", '{"spec":{"externalIPPool":"absent"}}')
    text = 'spec.externalIPPool: IPPool "absent" does not exist'
    eventually(lambda: text in conditions(lab.gateway(gateway))["Ready"], 20, "it is said")
    fail_over(lab, pods, gateway, LinkDown, tmp_path)
    lab.kubectl("patch", "veg", gateway, "--type=merge", "-p", '{"spec":{"externalIPPool":null}}')
    lab.ready(gateway, 2)


def fail_over(lab: Lab, pods: Pods, gateway: str, way: type[Kill], directory: Path) -> None:
    """The pod that serves the client fails: the other one has its traffic within a second, and the log tells it."""
    with pings(lab, directory, gateway) as seen:
        victim = serving(lab, pods[gateway], gateway, seen)
        first = seen.sources[flow(gateway)]
        began = time.time()
        with down(way(lab, victim)):
            time.sleep(3)  # a packet that is lost is known as lost only later
            seen.look()
            outage_s, _ = seen.outage(flow(gateway), began, time.time() - 0.2)
            print(f"out for {outage_s * 1000:.0f} ms")
            assert seen.sources[flow(gateway)] != first
            assert seen.sources[flow(gateway)] in external(lab, gateway)
            assert outage_s < WITHIN_S
    assert_told(lab, gateway, victim, outage_s * 1000, began)


def assert_told(lab: Lab, name: str, victim: str, outage_ms: float, since: float) -> None:
    """The documented query lists the failover: which pod, why, and for how long traffic was out at most."""

    def told() -> list[str]:
        text = lab.call("psql", "-At", "-v", f"gateway=default/{name}", "-f", "docs/sql/failovers.sql")
        lines = [line.split("|") for line in text.splitlines() if f"|{victim}|" in line]
        lines = [line for line in lines if datetime.fromisoformat(f"{line[0]}+00:00").timestamp() > since]
        assert len(lines) == 1
        assert lines[0][-1], "it is back"
        return lines[0]

    line = eventually(told, 30, "the failover is in the log")
    _, gateway, address, pod, node, cause, detect_ms, written_ms, flows_ms, at_most_ms, _ = line
    print(line)
    assert (gateway, pod, detect_ms) == (f"default/{name}", victim, "300")
    assert address == lab.get("pod", victim)["status"]["podIP"]
    assert node == lab.get("pod", victim)["spec"]["nodeName"]
    assert cause == "the pod heard OVN no longer either: link or node"
    assert float(written_ms) > 0, "the planner takes it out in either kind of VPC"
    if name == GATEWAYS["policies"]:  # of a static route OVN has taken it out by itself, before or after
        assert float(written_ms) <= float(flows_ms)
    assert outage_ms < float(at_most_ms)


def test_k11_with_no_gateway_up_nothing_leaks_and_the_first_that_wakes_serves(
    lab: Lab, pods: Pods, tmp_path: Path
) -> None:
    """In both kinds of VPC at once. All pods keep the traffic, since it may be the observer that died."""
    kills = {gateway: [LinkDown(lab, pod) for pod in pods[gateway]] for gateway in pods}
    with pings(lab, tmp_path, *pods) as seen:
        for gateway in pods:
            serving(lab, pods[gateway], gateway, seen)
        began = time.time()
        with down(*(kill for each in kills.values() for kill in each)):
            time.sleep(SETTLED_S + DARK_S)
            for gateway in pods:
                assert_panics(lab, gateway)
            ended = time.time()
            seen.look()
            dark = [source for at, source in seen.arrivals if began + SETTLED_S <= at <= ended]
            assert dark == []
            # Before that, too, nothing left but by a gateway.
            assert {source for _, source in seen.arrivals} <= external(lab, *pods)
            for gateway, (first, _) in kills.items():
                wakes_first(lab, gateway, first, seen)
        for gateway in pods:
            lab.ready(gateway, 2)
        seen.look()
        assert {source for _, source in seen.arrivals} <= external(lab, *pods)


@pytest.mark.parametrize("gateway", GATEWAYS.values(), ids=GATEWAYS)
def test_k11_traffic_goes_on_when_all_speakers_stand_still(lab: Lab, pods: Pods, gateway: str, tmp_path: Path) -> None:
    """Nobody died: the pods forward, and only their ends of the sessions are silent."""
    kills = [Frozen(lab, pod) for pod in pods[gateway]]
    with pings(lab, tmp_path, gateway) as seen:
        serving(lab, pods[gateway], gateway, seen)
        began = time.time()
        with down(*kills):
            eventually(lambda: assert_panics(lab, gateway), 30, "all sessions are known to be down")
            time.sleep(3)  # a packet that is lost is known as lost only later
            seen.look()
            outage_s, _ = seen.outage(flow(gateway), began, time.time() - 0.2)
            print(f"out for {outage_s * 1000:.0f} ms")
            # OVN takes static routes out by itself, before the planner has heard of it: decision 0015.
            assert outage_s < WITHIN_S
            wakes_first(lab, gateway, kills[0], seen)
            assert {source for _, source in seen.arrivals} <= external(lab, gateway)
    lab.ready(gateway, 2)


def assert_panics(lab: Lab, gateway: str) -> bool:
    """The status says it, and rows send traffic to both pods by no session."""
    ready = next(item for item in lab.gateway(gateway)["status"]["conditions"] if item["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "PanicMode"), ready
    assert "panic mode: traffic goes to all 2 gateway pods that exist" in ready["message"]
    assert nexthops(lab, gateway) == dict.fromkeys(lab.gateway(gateway)["status"]["internalIPs"], False)
    return True


def wakes_first(lab: Lab, gateway: str, first: Kill, seen: traffic.Traffic) -> None:
    """The first pod that is heard again serves alone, at once."""
    ip = lab.get("pod", first.pod)["status"]["podIP"]
    began = time.time()
    first.undo()
    eventually(lambda: bfd.sessions(lab, f"default/{gateway}")[ip] == "up", 30, f"{first.pod} is heard")
    woke = time.time()
    eventually(lambda: nexthops(lab, gateway) == {ip: True}, 2, f"{first.pod} serves alone")
    print(f"{gateway}: heard after {woke - began:.1f} s, serves alone {time.time() - woke:.1f} s later")

    def answered() -> bool:
        seen.look()
        return seen.answered[flow(gateway)][-1] > woke + 1

    eventually(answered, 10, "traffic is back")
    assert "PanicMode" not in str(lab.gateway(gateway)["status"]["conditions"])


def nexthops(lab: Lab, gateway: str) -> dict[str, bool]:
    """Where rows send the traffic of the gateway's sources -> whether they refer to its session."""
    condition = f'external_ids:"{OWNER}"="default/{gateway}"'
    sessions = {row["_uuid"]: row["dst_ip"] for row in table(lab, "BFD", "_uuid", "dst_ip", condition=condition)}
    rows = table(lab, _POLICY, "priority", "nexthops", "bfd_sessions", condition=condition)
    found = [(row["nexthops"], row["bfd_sessions"]) for row in rows if row["priority"] == CLUSTER_PRIORITY]
    rows = table(lab, _ROUTE, "route_table", "nexthop", "bfd", condition=condition)
    found += [(row["nexthop"], row["bfd"]) for row in rows if not row["route_table"]]
    pairs = [(one if isinstance(one, list) else [one] for one in pair) for pair in found]
    return {ip: ip in [sessions[uuid] for uuid in bfds] for ips, bfds in pairs for ip in ips}
