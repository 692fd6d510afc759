"""A custom VPC, step by step: the document's `vpc1` and `gateway2` without BFD, used, edited, moved and deleted.

The tests of this module stand on each other, in this order.
"""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.clients import await_running, client_pod, inside
from support.foreseen import blockers, findings, preflight
from support.lab import EXAMPLES, Lab, eventually
from support.northbound import owns_nothing
from support.vpcs import egress, fetch, route_list, subnet, vpc

from veg_lab.services import MANAGEMENT_NETWORK

EXAMPLE = EXAMPLES / "gateway2.yaml"
SPREAD = [f"spread-{number}" for number in range(16)]
OUTSIDE = "172.17.0.1"


def example(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


def gateway2(**spec: object) -> dict[str, Any]:
    manifest: dict[str, Any] = example(EXAMPLE)[-1]
    manifest["spec"] |= spec
    return manifest


@pytest.fixture(scope="module", autouse=True)
def networks(lab: Lab) -> Iterator[None]:
    """The example, a second subnet of its VPC, and clients in both."""
    lab.apply(*example(EXAMPLE), subnet("subnet2", "IPv4", "192.168.1.0/24", vpc="vpc1"))
    clients = [client_pod("one", subnet="subnet1"), client_pod("two", subnet="subnet2")]
    lab.apply(*clients, *(client_pod(name, subnet="subnet1") for name in SPREAD))
    await_running(lab, "default/one", "default/two", *(f"default/{name}" for name in SPREAD))
    lab.ready("gateway2", 2)
    yield
    lab.kubectl("delete", "pod", "one", "two", *SPREAD)
    lab.kubectl("delete", "veg", "gateway2", "--ignore-not-found", "--timeout=60s")
    lab.kubectl("delete", "subnet", "subnet1", "subnet2")
    lab.kubectl("delete", "vpc", "vpc1")


def external(lab: Lab) -> list[str]:
    found: list[str] = lab.gateway("gateway2")["status"]["externalIPs"]
    return found


def test_the_route_list_is_the_documents(lab: Lab) -> None:
    first, second = sorted(lab.gateway("gateway2")["status"]["internalIPs"])
    assert sorted(route_list(lab, "vpc1")) == [
        ["192.168.0.0/24", first, "src-ip", "ecmp", "ecmp-symmetric-reply"],
        ["192.168.0.0/24", second, "src-ip", "ecmp", "ecmp-symmetric-reply"],
    ]


def test_preflight_foresees_nothing_that_stops_it(lab: Lab) -> None:
    """The cluster of the reference: no Kube-OVN of any version is seen, and nobody else has a route or a gateway."""
    found = preflight(lab, "--vpc", "vpc1", VEG_MANAGEMENT_NETWORK=MANAGEMENT_NETWORK)
    assert blockers(found) == set()
    assert (found["settings"]["VEG_API_GROUP"], found["settings"]["VEG_BFD_RELAY"]) == ("kubeovn.io", "auto")
    assert findings(found, "kube-ovn.version", "unknown")
    assert not findings(found, "ovn.src-ip")


def test_the_server_sees_a_gateways_external_address(lab: Lab) -> None:
    assert fetch(lab, "one") in external(lab)


def test_the_connections_of_one_client_leave_by_one_gateway(lab: Lab) -> None:
    assert len({fetch(lab, "one") for _ in range(20)}) == 1


def test_several_clients_use_all_gateways(lab: Lab) -> None:
    assert {fetch(lab, name) for name in SPREAD} == set(external(lab))


def ping(lab: Lab, pod: str, *words: str) -> str:
    command = inside(lab, f"default/{pod}", "ping", "-c", "3", "-i", "0.2", "-W", "1", *words)
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def test_traffic_between_two_subnets_stays_inside(lab: Lab) -> None:
    """With a TTL of 2 it gets through one router and no gateway; the answer has lost one hop, too."""
    address = lab.get("pod", "two")["status"]["podIP"]
    shown = ping(lab, "one", "-t", "2", address)
    assert "3 received" in shown, shown
    assert set(re.findall(r"ttl=(\d+)", shown)) == {"63"}


def test_a_subnet_that_no_policy_names_does_not_leave(lab: Lab) -> None:
    assert fetch(lab, "two") == ""


def test_the_agents_reach_the_bus_over_the_management_network_only(lab: Lab) -> None:
    for pod in lab.gateway_pods("gateway2"):
        name = pod["metadata"]["name"]
        words = inside(lab, f"default/{name}", "ss", "-Htn", "state", "established")
        shown = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        pairs = [line.split()[-2:] for line in shown.splitlines()]
        bus = [local for local, peer in pairs if peer.endswith(":4222")]
        assert bus
        assert all(local.startswith("10.250.") for local in bus), shown
        through_vpc = inside(lab, f"default/{name}", "ping", "-c", "1", "-W", "1", "-I", "eth0", "10.250.0.1")
        assert subprocess.run(through_vpc, capture_output=True, check=False).returncode != 0


def test_a_second_source_is_taken_live(lab: Lab) -> None:
    before = {pod["metadata"]["uid"] for pod in lab.gateway_pods("gateway2")}
    lab.apply(gateway2(policies=[{"snat": True, "ipBlocks": ["192.168.0.0/24"], "subnets": ["subnet2"]}]))
    lab.ready("gateway2", 2)
    eventually(lambda: fetch(lab, "two") in external(lab), 10, "subnet2 leaves under a gateway's address")
    assert {pod["metadata"]["uid"] for pod in lab.gateway_pods("gateway2")} == before
    for pod in lab.gateway_pods("gateway2"):
        routes = lab.exec(pod["metadata"]["name"], "ip", "route", container="gateway")
        assert "192.168.1.0/24 via 192.168.0.1 dev eth0" in routes


@pytest.fixture
def way_back(lab: Lab) -> Iterator[None]:
    """The host outside knows that subnet2 is behind a gateway: without SNAT its answers have to find the way."""
    words = ["nsenter", f"--net=/run/netns/{lab.name}.ext", "ip", "route"]
    subprocess.run([*words, "replace", "192.168.1.0/24", "via", external(lab)[0]], check=True)
    yield
    subprocess.run([*words, "del", "192.168.1.0/24"], check=True)


@pytest.mark.usefixtures("way_back")
def test_without_snat_the_server_sees_the_pod_itself(lab: Lab) -> None:
    policies = [{"snat": True, "ipBlocks": ["192.168.0.0/24"]}, {"snat": False, "subnets": ["subnet2"]}]
    lab.apply(gateway2(policies=policies))
    lab.ready("gateway2", 2)
    address = lab.get("pod", "two")["status"]["podIP"]
    eventually(lambda: fetch(lab, "two") == address, 10, "the pod's own address is seen")
    assert fetch(lab, "one") in external(lab)


def test_deleting_leaves_no_route(lab: Lab) -> None:
    lab.kubectl("delete", "veg", "gateway2", "--timeout=60s")
    assert owns_nothing(lab, "default/gateway2")
    assert route_list(lab, "vpc1") == []
    assert not lab.exists("pod", "-l", "ovn.kubernetes.io/vpc-egress-gateway=gateway2")
    assert fetch(lab, "one") == ""


def test_moving_to_another_vpc_leaves_nothing_on_the_old_router(lab: Lab) -> None:
    lab.apply(
        vpc("vpc2"), subnet("subnet3", "IPv4", "192.168.2.0/24", vpc="vpc2"), client_pod("three", subnet="subnet3")
    )
    moving = {"externalSubnet": "macvlan1", "replicas": 1}
    lab.apply(egress("moving", vpc="vpc1", policies=[{"snat": True, "subnets": ["subnet1"]}], **moving))
    lab.ready("moving", 1)
    eventually(lambda: fetch(lab, "one"), 10, "it serves the one VPC")
    await_running(lab, "default/three")

    lab.apply(egress("moving", vpc="vpc2", policies=[{"snat": True, "subnets": ["subnet3"]}], **moving))
    lab.ready("moving", 1)
    (address,) = lab.gateway("moving")["status"]["externalIPs"]
    eventually(lambda: fetch(lab, "three") == address, 10, "it serves the other VPC")
    assert route_list(lab, "vpc1") == []
    assert [words[0] for words in route_list(lab, "vpc2")] == ["192.168.2.0/24"]
    lab.kubectl("delete", "veg", "moving", "--timeout=60s")
    lab.kubectl("delete", "pod", "three")


def test_a_vpc_that_goes_first_does_not_block_deletion(lab: Lab) -> None:
    lab.apply(
        egress("orphan", vpc="vpc2", externalSubnet="macvlan1", policies=[{"snat": True, "subnets": ["subnet3"]}])
    )
    lab.ready("orphan", 1)
    lab.kubectl("delete", "vpc", "vpc2")
    eventually(lambda: "vpc2" not in lab.nbctl("lr-list"), 10, "the router is gone")
    lab.kubectl("delete", "veg", "orphan", "--timeout=60s")
    assert owns_nothing(lab, "default/orphan")
    assert not lab.exists("deployment", "orphan")
    lab.kubectl("delete", "subnet", "subnet3")
