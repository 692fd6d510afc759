"""Gateway pods that fail: the others take over within a second, and when none is left nothing leaves another way.

The client pings every 10 ms, and a witness on the external link writes down under which address each ping arrives.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import traffic
from support import bfd
from support.clients import await_running, client_pod
from support.kills import LinkDown
from support.lab import Lab, eventually
from support.vpcs import egress, subnet, vpc

NAME = "failing"
CLIENT = "failing-client"
SERVER = "172.17.0.1"
FLOW = traffic.Flow("client", "4")
DARK_S = 60.0  # for how long all gateways are down
WITHIN_S = 1.0
# The time in which a session is found to be down and everybody told: packets may still arrive at a gateway until then.
SETTLED_S = 2.0
PLACES = {
    "policies": ("ovn-cluster", "failing-default", "10.48.0.0/24"),
    "static routes": ("failing", "failing-custom", "192.168.48.0/24"),
}


@pytest.fixture(params=PLACES, scope="module")
def pods(lab: Lab, request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """The pods of a gateway of two, in either kind of VPC, with a client."""
    router, network, cidr = PLACES[request.param]
    custom = router != "ovn-cluster"
    lab.apply(*([vpc(router)] if custom else []), subnet(network, "IPv4", cidr, vpc=router))
    fast = {"enabled": True, "minRX": 100, "minTX": 100}
    sources = [{"snat": True, "subnets": [network]}]
    with bfd.port(lab, router, "10.255.255.255"):
        spec = {"vpc": router, "internalSubnet": network, "externalSubnet": "macvlan1", "bfd": fast}
        lab.apply(egress(NAME, replicas=2, policies=sources, **spec), client_pod(CLIENT, subnet=network))
        await_running(lab, f"default/{CLIENT}")
        lab.ready(NAME, 2)
        yield [pod["metadata"]["name"] for pod in lab.gateway_pods(NAME)]
        lab.kubectl("delete", "veg", NAME, "--timeout=90s")
    lab.kubectl("delete", "pod", CLIENT)
    lab.kubectl("delete", "subnet", network)
    if custom:
        lab.kubectl("delete", "vpc", router)


@contextmanager
def down(*kills: LinkDown) -> Iterator[None]:
    try:
        for kill in kills:
            kill.do()
        yield
    finally:
        for kill in kills:
            kill.undo()


def external(lab: Lab) -> set[str]:
    return set(lab.gateway(NAME)["status"]["externalIPs"])


def serving(lab: Lab, pods: list[str], seen: traffic.Traffic) -> str:
    """The pod by which the client leaves now."""
    key = "k8s.v1.cni.cncf.io/network-status"
    networks = {pod: lab.get("pod", pod)["metadata"]["annotations"][key] for pod in pods}

    def found() -> str:
        seen.look()
        return next((pod for pod, text in networks.items() if f'"{seen.sources[FLOW]}"' in text), "")

    return eventually(found, 10, "the client leaves by a gateway pod")


def test_the_other_takes_over_within_a_second(lab: Lab, pods: list[str], tmp_path: Path) -> None:
    with traffic.running(lab.name, {"client": f"default/{CLIENT}"}, tmp_path, (SERVER,)) as seen:
        victim = serving(lab, pods, seen)
        first = seen.sources[FLOW]
        began = time.time()
        with down(LinkDown(lab, victim)):
            time.sleep(3)  # a packet that is lost is known as lost only later
            seen.look()
            outage_s, _ = seen.outage(FLOW, began, time.time() - 0.2)
            print(f"out for {outage_s * 1000:.0f} ms")
            assert seen.sources[FLOW] != first
            assert seen.sources[FLOW] in external(lab)
            assert outage_s < WITHIN_S
        lab.ready(NAME, 2)
    assert_told(lab, victim, outage_s * 1000)


def assert_told(lab: Lab, victim: str, outage_ms: float) -> None:
    """The documented query lists the failover: which pod, why, and for how long traffic was out at most."""

    def told() -> list[str]:
        text = lab.call("psql", "-At", "-v", f"gateway=default/{NAME}", "-f", "docs/sql/failovers.sql")
        (line,) = [line.split("|") for line in text.splitlines() if f"|{victim}|" in line]
        assert line[-1], "it is back"
        return line

    line = eventually(told, 30, "the failover is in the log")
    _, gateway, address, pod, node, cause, detect_ms, written_ms, flows_ms, at_most_ms, _ = line
    print(line)
    assert (gateway, pod, detect_ms) == (f"default/{NAME}", victim, "300")
    assert address == lab.get("pod", victim)["status"]["podIP"]
    assert node == lab.get("pod", victim)["spec"]["nodeName"]
    assert cause == "the pod heard OVN no longer either: link or node"
    assert float(written_ms or 0) <= float(flows_ms)
    assert outage_ms < float(at_most_ms)


def test_with_no_gateway_up_nothing_leaves(lab: Lab, pods: list[str], tmp_path: Path) -> None:
    with traffic.running(lab.name, {"client": f"default/{CLIENT}"}, tmp_path, (SERVER,)) as seen:
        serving(lab, pods, seen)
        began = time.time()
        with down(*(LinkDown(lab, pod) for pod in pods)):
            time.sleep(SETTLED_S + DARK_S)
            ended = time.time()
        seen.look()
        dark = [source for at, source in seen.arrivals if began + SETTLED_S <= at <= ended]
        assert dark == []
        # Before that, too, nothing left but by a gateway.
        assert {source for _, source in seen.arrivals} <= external(lab)
        assert not lab.gateway(NAME)["status"]["ready"]

        def answered() -> bool:
            seen.look()
            return seen.answered[FLOW][-1] > ended

        eventually(answered, 30, "traffic is back")
        print(f"back after {seen.answered[FLOW][-1] - ended:.1f} s")
        lab.ready(NAME, 2)
        seen.look()
        assert {source for _, source in seen.arrivals} <= external(lab)
