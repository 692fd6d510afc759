"""Gateway pods that fail: the others take over within a second, and when none is left nothing leaves another way.

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
from support.kills import Deaf, Kill, LinkDown
from support.lab import Lab, conditions, eventually
from support.vpcs import egress, subnet, vpc

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


def test_with_no_gateway_up_nothing_leaves(lab: Lab, pods: Pods, tmp_path: Path) -> None:
    """In both kinds of VPC at once."""
    with pings(lab, tmp_path, *pods) as seen:
        for gateway in pods:
            serving(lab, pods[gateway], gateway, seen)
        began = time.time()
        with down(*(LinkDown(lab, pod) for gateway in pods for pod in pods[gateway])):
            time.sleep(SETTLED_S + DARK_S)
            assert not any(lab.gateway(gateway)["status"]["ready"] for gateway in pods)
            ended = time.time()
        seen.look()
        dark = [source for at, source in seen.arrivals if began + SETTLED_S <= at <= ended]
        assert dark == []
        # Before that, too, nothing left but by a gateway.
        assert {source for _, source in seen.arrivals} <= external(lab, *pods)

        def answered() -> bool:
            seen.look()
            return all(seen.answered[flow(gateway)][-1] > ended for gateway in pods)

        eventually(answered, 30, "traffic is back")
        for gateway in pods:
            first = next(at for at in seen.answered[flow(gateway)] if at > ended)
            print(f"{gateway}: back after {first - ended:.1f} s")
            lab.ready(gateway, 2)
        seen.look()
        assert {source for _, source in seen.arrivals} <= external(lab, *pods)
