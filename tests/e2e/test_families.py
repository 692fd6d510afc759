"""IPv6 and dual stack, with real packets: a family that both sides have carries traffic, no other is tried."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from support.clients import await_running, client_pod
from support.lab import Lab, eventually
from support.northbound import owns_nothing, policies
from support.vpcs import attachment, egress, fetch, route_list, subnet, vpc

# The external addresses of these networks lie beside those of macvlan1 on the same link.
EXTERNAL_6 = ("IPv6", "fc00:172:17::/64", ["fc00:172:17::1..fc00:172:17::ffff"])
EXTERNAL_46 = (
    "Dual",
    "172.17.0.0/16,fc00:172:17::/64",
    ["172.17.0.0..172.17.127.255", "fc00:172:17::1..fc00:172:17::1:ffff"],
)
SPREAD = [f"six{number}" for number in range(10)]
CLIENTS = {"six": "subnet6", "dual": "subnet46", "inner": "inner46"} | dict.fromkeys(SPREAD, "subnet6")


def external(name: str, protocol: str, cidr: str, excluded: list[str]) -> list[dict[str, Any]]:
    gateway = ",".join({"IPv6": ["fc00:172:17::1"], "Dual": ["172.17.0.1", "fc00:172:17::1"]}[protocol])
    spec = {"provider": f"{name}.default", "gateway": gateway, "excludeIps": excluded}
    return [attachment(name), subnet(f"sub-{name}", protocol, cidr, **spec)]


@pytest.fixture(scope="module", autouse=True)
def networks(lab: Lab) -> Iterator[None]:
    made = [
        vpc("vpc6"),
        subnet("subnet6", "IPv6", "fd00:6::/64", vpc="vpc6"),
        vpc("vpc46"),
        subnet("subnet46", "Dual", "192.168.8.0/24,fd00:8::/64", vpc="vpc46"),
        subnet("inner46", "Dual", "10.46.0.0/24,fd00:46::/64"),
        *external("ext6", *EXTERNAL_6),
        *external("ext46", *EXTERNAL_46),
    ]
    lab.apply(*made, *(client_pod(name, subnet=where) for name, where in CLIENTS.items()))
    await_running(lab, *(f"default/{name}" for name in CLIENTS))
    yield
    lab.kubectl("delete", "pod", *CLIENTS)
    lab.kubectl("delete", "--ignore-not-found", "-f", "-", stdin=yaml.safe_dump_all(made))


@pytest.fixture
def create(lab: Lab) -> Iterator[Any]:
    """Creates the gateway `families` and returns its status once it is ready."""

    def apply(replicas: int, **spec: object) -> Any:
        lab.apply(egress("families", replicas=replicas, **spec))
        return lab.ready("families", replicas)["status"]

    yield apply
    lab.kubectl("delete", "veg", "families", "--timeout=60s")
    assert owns_nothing(lab, "default/families")


def test_ipv6_only(lab: Lab, create: Any) -> None:
    status = create(2, vpc="vpc6", externalSubnet="sub-ext6", policies=[{"snat": True, "subnets": ["subnet6"]}])
    assert sorted(route_list(lab, "vpc6")) == [
        ["fd00:6::/64", nexthop, "src-ip", "ecmp", "ecmp-symmetric-reply"] for nexthop in sorted(status["internalIPs"])
    ]
    seen = {fetch(lab, "six", "6") for _ in range(20)}
    assert len(seen) == 1
    assert seen <= set(status["externalIPs"])
    for pod in lab.gateway_pods("families"):
        rules = lab.exec(pod["metadata"]["name"], "ip6tables", "-t", "nat", "-S", "POSTROUTING", container="gateway")
        assert "-A POSTROUTING -s fd00:6::/64 -j MASQUERADE --random-fully" in rules


def test_k10_ipv6_clients_of_a_custom_vpc_use_all_gateways(lab: Lab, create: Any) -> None:
    """By static routes, which hash by source address. Policies cannot on Kube-OVN's OVN (docs/support-matrix.md)."""
    status = create(2, vpc="vpc6", externalSubnet="sub-ext6", policies=[{"snat": True, "subnets": ["subnet6"]}])
    assert {fetch(lab, name, "6") for name in SPREAD} == set(status["externalIPs"])


def test_dual_stack_on_both_sides(lab: Lab, create: Any) -> None:
    status = create(2, vpc="vpc46", externalSubnet="sub-ext46", policies=[{"snat": True, "subnets": ["subnet46"]}])
    pairs = [text.split(",") for text in status["externalIPs"]]
    assert all(len(pair) == 2 for pair in pairs)
    assert all(len(text.split(",")) == 2 for text in status["internalIPs"])
    assert fetch(lab, "dual", "4") in {v4 for v4, _ in pairs}
    assert fetch(lab, "dual", "6") in {v6 for _, v6 in pairs}
    assert sorted({words[0] for words in route_list(lab, "vpc46")}) == ["192.168.8.0/24", "fd00:8::/64"]


def test_dual_stack_with_an_ipv4_external_network(lab: Lab, create: Any) -> None:
    status = create(1, vpc="vpc46", externalSubnet="macvlan1", policies=[{"snat": True, "subnets": ["subnet46"]}])
    assert fetch(lab, "dual", "4") == status["externalIPs"][0]
    assert fetch(lab, "dual", "6") == ""
    assert {words[0] for words in route_list(lab, "vpc46")} == {"192.168.8.0/24"}


def test_fixed_addresses_of_both_families(lab: Lab, create: Any) -> None:
    inner, outer = "192.168.8.50,fd00:8::50", "172.17.200.1,fc00:172:17::2:1"
    policies = [{"snat": True, "ipBlocks": ["192.168.8.0/24", "fd00:8::/64"]}]
    networks = {"vpc": "vpc46", "externalSubnet": "sub-ext46"}
    status = create(1, **networks, internalIPs=[inner], externalIPs=[outer], policies=policies)
    assert (status["internalIPs"], status["externalIPs"]) == ([inner], [outer])
    assert [fetch(lab, "dual", family) for family in "46"] == outer.split(",")


def test_ipv6_without_snat_and_from_outside_the_internal_subnet(lab: Lab, create: Any) -> None:
    """A source that is no subnet at all: the agent gives it a way back, and no NAT."""
    taken = [{"snat": True, "subnets": ["subnet46"]}, {"ipBlocks": ["fd00:99::5", "fd00:98::77/64"]}]
    create(1, vpc="vpc46", externalSubnet="sub-ext46", policies=taken)
    (pod,) = lab.gateway_pods("families")
    routes = lab.exec(pod["metadata"]["name"], "ip", "-6", "route", container="gateway")
    assert "fd00:98::/64 via fd00:8::1 dev eth0" in routes
    assert "fd00:99::5 via fd00:8::1 dev eth0" in routes
    rules = lab.exec(pod["metadata"]["name"], "ip6tables", "-t", "nat", "-S", container="gateway")
    assert "fd00:98" not in rules


def test_dual_stack_in_the_default_vpc(lab: Lab, create: Any) -> None:
    wanted = [{"snat": True, "subnets": ["inner46"]}]
    status = create(2, internalSubnet="inner46", externalSubnet="sub-ext46", policies=wanted)
    assert sorted(policies(lab, "default/families")) == ["ip4.src == 10.46.0.0/24", "ip6.src == fd00:46::/64"]
    pairs = [text.split(",") for text in status["externalIPs"]]
    eventually(lambda: fetch(lab, "inner", "4") in {v4 for v4, _ in pairs}, 5, "IPv4 leaves")
    eventually(lambda: fetch(lab, "inner", "6") in {v6 for _, v6 in pairs}, 5, "IPv6 leaves")
