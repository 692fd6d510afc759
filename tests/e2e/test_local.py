"""trafficPolicy Local: pods leave by the gateway on their own node, while it is there."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import traffic
from support import bfd
from support.clients import await_running, client_pod
from support.kills import LinkDown
from support.lab import Lab, eventually
from support.vpcs import egress, fetch, subnet, vpc

NAME = "local"
NODES = ("kube-ovn-worker", "kube-ovn-worker2")
CONNECTIONS = 200
WITHIN_S = 1.0

pytestmark = pytest.mark.timed
PLACES = {
    "default": ("ovn-cluster", "local-default", "10.49.0.0/24"),
    "custom": ("local", "local-custom", "192.168.50.0/24"),
}


@pytest.fixture(params=PLACES)
def gateways(lab: Lab, request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """Node -> the gateway pod there; a client `on-<node>` is on each."""
    router, network, cidr = PLACES[request.param]
    custom = router != "ovn-cluster"
    lab.apply(*([vpc(router)] if custom else []), subnet(network, "IPv4", cidr, vpc=router))
    clients = [f"on-{node}" for node in NODES]
    spec = {
        "vpc": router,
        "replicas": 2,
        "internalSubnet": network,
        "externalSubnet": "macvlan1",
        "trafficPolicy": "Local",
        "bfd": {"enabled": True, "minRX": 100, "minTX": 100},
        "nodeSelector": [{"matchLabels": {"kubernetes.io/hostname": node}} for node in NODES],
        "policies": [{"snat": True, "subnets": [network]}],
    }
    with bfd.port(lab, router, "10.255.255.255"):
        lab.apply(egress(NAME, **spec))
        lab.apply(*(client_pod(f"on-{node}", subnet=network, node=node) for node in NODES))
        await_running(lab, *(f"default/{client}" for client in clients))
        lab.ready(NAME, 2)
        yield {pod["spec"]["nodeName"]: pod["metadata"]["name"] for pod in lab.gateway_pods(NAME)}
        lab.kubectl("delete", "veg", NAME, "--timeout=90s")
    lab.kubectl("delete", "pod", *clients)
    lab.kubectl("delete", "subnet", network)
    if custom:
        lab.kubectl("delete", "vpc", router)


def external(lab: Lab) -> dict[str, str]:
    """Node -> the external address of the gateway pod there."""
    status, found = lab.gateway(NAME)["status"], {}
    for pod in lab.gateway_pods(NAME):
        place = status["internalIPs"].index(pod["status"]["podIP"])
        found[pod["spec"]["nodeName"]] = status["externalIPs"][place]
    return found


def source(seen: traffic.Traffic, flow: traffic.Flow) -> str:
    """The address outside of the flow's last packet."""
    seen.look()
    return seen.sources.get(flow, "")


def test_pods_leave_by_their_own_node_and_by_another_when_it_fails(
    lab: Lab, gateways: dict[str, str], tmp_path: Path
) -> None:
    assert set(gateways) == set(NODES)
    outside = external(lab)
    here, there = NODES
    for node in NODES:
        assert [fetch(lab, f"on-{node}") for _ in range(CONNECTIONS)] == [outside[node]] * CONNECTIONS
    kill = LinkDown(lab, gateways[here])
    try:
        with traffic.running(lab.name, {"here": f"default/on-{here}"}, tmp_path, (traffic.SERVERS[0],)) as seen:
            flow = traffic.Flow("here", "4")
            eventually(lambda: source(seen, flow) == outside[here], 10, "its own gateway is used")
            began = time.time()
            kill.do()
            time.sleep(3)  # a packet that is lost is known as lost only later
            ended = time.time()
        seen.look()
        outage_s, _ = seen.outage(flow, began, ended - 0.2)
        print(f"out for {outage_s * 1000:.0f} ms")
        assert seen.sources[flow] == outside[there]
        assert outage_s < WITHIN_S
        assert {fetch(lab, f"on-{here}") for _ in range(20)} == {outside[there]}
        assert {fetch(lab, f"on-{there}") for _ in range(20)} == {outside[there]}
    finally:
        kill.undo()
    eventually(lambda: fetch(lab, f"on-{here}") == outside[here], 30, "its own one is back")
    assert {fetch(lab, f"on-{here}") for _ in range(20)} == {outside[here]}
    lab.ready(NAME, 2)
