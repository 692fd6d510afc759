"""Three nodes, three chassis: packets between them go through tunnels, and a chassis that dies takes nothing along.

The two gateway pods are on the second and third node, the client is on the third, and the first node's chassis is the
one that runs the BFD sessions. It dies in three ways.
"""

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import traffic
from support import bfd
from support.clients import await_running, client_pod
from support.lab import Lab, eventually
from support.vpcs import egress, subnet, vpc

pytestmark = pytest.mark.timed

ACTIVE, SECOND, THIRD = "kube-ovn-control-plane", "kube-ovn-worker", "kube-ovn-worker2"
SERVER = "172.17.0.1"
# How long a gateway pod may be called down after the chassis that watched it has died.
CALLED_DOWN_S = 25.0
# How long nobody may run the sessions: OVN itself notices a dead switch or node by the tunnels, we a dead controller.
TAKEN_S = 20.0
WITHIN_S = 1.0
# Kind of rows -> VPC, subnet, and its CIDR. The gateway has the name of the subnet.
PLACES = {
    "policies": ("ovn-cluster", "chassis-default", "10.56.0.0/24"),
    "static routes": ("chassis", "chassis-custom", "192.168.56.0/24"),
}
GATEWAYS = {kind: network for kind, (_, network, _) in PLACES.items()}


@pytest.fixture(scope="module", autouse=True)
def pods(lab: Lab) -> Iterator[None]:
    """In either kind of VPC: a gateway with two pods, and a client."""
    fast = {"enabled": True, "minRX": 100, "minTX": 100}
    nodes = [{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [SECOND, THIRD]}]}]
    lab.apply(vpc("chassis"))
    with bfd.port(lab, "ovn-cluster", "10.255.255.255"), bfd.port(lab, "chassis", "10.255.255.255"):
        for router, network, cidr in PLACES.values():
            lab.apply(subnet(network, "IPv4", cidr, vpc=router))
            spec = {"vpc": router, "internalSubnet": network, "externalSubnet": "macvlan1", "bfd": fast}
            sources = [{"snat": True, "subnets": [network]}]
            lab.apply(egress(network, replicas=2, policies=sources, nodeSelector=nodes, **spec))
            lab.apply(client_pod(f"{network}-client", subnet=network, node=THIRD))
        await_running(lab, *(f"default/{network}-client" for network in GATEWAYS.values()))
        for network in GATEWAYS.values():
            lab.ready(network, 2)
        yield
        lab.kubectl("delete", "veg", *GATEWAYS.values(), "--timeout=90s")
    lab.kubectl("delete", "pod", *(f"{network}-client" for network in GATEWAYS.values()))
    lab.kubectl("delete", "subnet", *GATEWAYS.values())
    lab.kubectl("delete", "vpc", "chassis")


def active(lab: Lab, router: str) -> str:
    """The node whose chassis runs the BFD sessions of a router; empty while there is none."""
    words = ["--bare", "--columns=chassis", "find", "Port_Binding", f'logical_port="cr-bfd@{router}"']
    bound = lab.call("sbctl", *words).strip()
    return lab.call("sbctl", "get", "Chassis", bound, "hostname").strip().strip('"') if bound else ""


def runs_elsewhere(lab: Lab, router: str) -> bool:
    return active(lab, router) not in ("", ACTIVE)


def runs_here(lab: Lab, router: str) -> bool:
    return active(lab, router) == ACTIVE


def flow(network: str) -> traffic.Flow:
    return traffic.Flow(network, "4")


def statuses(lab: Lab) -> set[str]:
    return {status for name in GATEWAYS.values() for status in bfd.sessions(lab, f"default/{name}").values()}


def test_each_node_has_a_chassis_and_they_are_members_of_the_group(lab: Lab) -> None:
    for router, _, _ in PLACES.values():
        assert bfd.status(lab, router)["nodes"] == [ACTIVE, SECOND, THIRD]
        assert eventually(partial(active, lab, router), 20, "a chassis runs the sessions") == ACTIVE


@pytest.mark.parametrize("network", GATEWAYS.values(), ids=GATEWAYS)
def test_packets_between_nodes_go_through_a_tunnel(lab: Lab, network: str) -> None:
    """The client's pings, inside of Geneve, on the cable of the client's node."""
    (away,) = [pod for pod in lab.gateway_pods(network) if pod["spec"]["nodeName"] == SECOND]
    source, hop = lab.get("pod", f"{network}-client")["status"]["podIP"], away["status"]["podIP"]
    words = ["nsenter", f"--net=/run/netns/{lab.name}.node.{THIRD}", "timeout", "10"]
    # Not the short packets by which OVN watches the tunnel itself.
    words += [
        "tcpdump",
        "-i",
        "phy",
        "-nn",
        "-l",
        "-c",
        "1",
        "udp dst port 6081 and dst host 172.19.0.2 and greater 140",
    ]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as capture:
        time.sleep(1)
        lab.exec(f"{network}-client", "ping", "-c", "3", "-i", "0.2", "-W", "2", hop)
        said, _ = capture.communicate(timeout=20)
    print(said)
    assert re.search(r"172\.19\.0\.4\.\d+ > 172\.19\.0\.2\.6081: Geneve", said)
    assert f"{source} > {hop}: ICMP echo request" in said


def switch_dies(lab: Lab) -> Callable[[], object]:
    lab.call("kill", f"ovs-vswitchd-{ACTIVE}")
    return lambda: lab.call("start", f"ovs-vswitchd-{ACTIVE}")


def controller_dies(lab: Lab) -> Callable[[], object]:
    lab.call("kill", f"ovn-controller-{ACTIVE}")
    return lambda: lab.call("start", f"ovn-controller-{ACTIVE}")


def node_dies(lab: Lab) -> Callable[[], object]:
    lab.call("node", "fail", ACTIVE)
    return lambda: lab.call("node", "restore", ACTIVE)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("die", [switch_dies, controller_dies, node_dies])
def test_another_chassis_takes_the_sessions_over(
    lab: Lab, die: Callable[[Lab], Callable[[], object]], tmp_path: Path
) -> None:
    clients = {network: f"default/{network}-client" for network in GATEWAYS.values()}
    with traffic.running(lab.name, clients, tmp_path, (SERVER,)) as seen:
        time.sleep(1)
        began = time.time()
        undo = die(lab)
        try:
            for router, _, _ in PLACES.values():
                eventually(partial(runs_elsewhere, lab, router), TAKEN_S, f"{router}: another one")
            taken_s = time.time() - began
            eventually(lambda: statuses(lab) == {"up"}, 30, "all gateway pods are heard")
            heard_s = time.time() - began
            time.sleep(3)  # a packet that is lost is known as lost only later
            seen.look()
            outages = {name: seen.outage(flow(name), began, time.time() - 0.2)[0] for name in GATEWAYS.values()}
        finally:
            undo()
        texts = ", ".join(f"{name} {outage * 1000:.0f} ms" for name, outage in outages.items())
        print(f"{die.__name__}: another chassis after {taken_s:.1f} s, all heard after {heard_s:.1f} s, out: {texts}")
        assert heard_s < CALLED_DOWN_S
        assert max(outages.values()) < WITHIN_S
        for router, _, _ in PLACES.values():
            eventually(partial(runs_here, lab, router), 60, f"{router}: it is back")
    for network in GATEWAYS.values():
        lab.ready(network, 2)
