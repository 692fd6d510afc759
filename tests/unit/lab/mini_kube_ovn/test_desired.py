from collections.abc import Callable
from typing import Any

import pytest

from veg_lab.mini_kube_ovn.assign import assign
from veg_lab.mini_kube_ovn.behaviours import BEHAVIOURS, named
from veg_lab.mini_kube_ovn.desired import Northbound, northbound
from veg_lab.mini_kube_ovn.ipam import Ipam
from veg_lab.mini_kube_ovn.names import VENDOR
from veg_lab.mini_kube_ovn.snapshot import take
from veg_lab.mini_kube_ovn.vpcs import Policy


def wanted(objects: dict[str, list[Any]], version: str = "reference") -> Northbound:
    snapshot = take(objects)
    return northbound(snapshot, assign(snapshot.cluster, Ipam()), {"kube-ovn-worker": "chassis-1"}, named(version))


def test_the_default_vpc_has_the_policies_of_the_document(cluster: Callable[..., Any]) -> None:
    router = next(r for r in wanted(cluster()).routers if r.name == "ovn-cluster")
    lines = {(p.priority, p.match, p.action, p.nexthops) for p in router.policies}
    assert lines == {
        (31000, "ip4.dst == 10.16.0.0/16", "allow", ()),
        (31000, "ip4.dst == 100.64.0.0/16", "allow", ()),
        (30000, "ip4.dst == 172.18.0.2", "reroute", ("100.64.0.3",)),
        (29000, "ip4.src == $ovn.default.kube.ovn.worker_ip4", "reroute", ("100.64.0.3",)),
    }
    assert [(r.prefix, r.nexthop) for r in router.routes] == [("0.0.0.0/0", "100.64.0.1")]


def test_a_pod_has_a_port_and_is_in_the_groups_of_its_node(
    cluster: Callable[..., Any], pod: Callable[..., Any]
) -> None:
    desired = wanted(cluster(Pod=[pod("client"), pod("pending", node="")]))
    switch = next(s for s in desired.switches if s.name == "ovn-default")
    ports = {port.name: port for port in switch.ports}
    assert ports["client.default"].addresses[0].endswith(" 10.16.0.2")
    assert dict(ports["client.default"].external_ids) == {
        "vendor": "kube-ovn",
        "pod": "default/client",
        "ls": "ovn-default",
    }
    groups = {group.name: group.ports for group in desired.port_groups}
    assert groups == {"node.kube.ovn.worker": {"client.default"}, "ovn.default.kube.ovn.worker": {"client.default"}}


def test_a_custom_vpc_has_a_router_of_its_own_and_no_policies(
    cluster: Callable[..., Any], subnet: Callable[..., Any], vpc: Callable[..., Any]
) -> None:
    more = subnet("subnet1", "192.168.0.0/24,fd00::/64", vpc="vpc1")
    desired = wanted(cluster(Vpc=[vpc("vpc1")], Subnet=[more]))
    router = next(r for r in desired.routers if r.name == "vpc1")
    assert [(p.name, p.networks) for p in router.ports] == [("vpc1-subnet1", ("192.168.0.1/24", "fd00::1/64"))]
    assert (router.routes, router.policies) == ((), ())
    switch = next(s for s in desired.switches if s.name == "subnet1")
    assert dict(switch.ports[0].options) == {"router-port": "vpc1-subnet1"}


def test_external_subnets_and_subnets_of_unknown_vpcs_have_no_rows(
    cluster: Callable[..., Any], subnet: Callable[..., Any]
) -> None:
    desired = wanted(cluster(Subnet=[subnet("lost", "10.9.0.0/24", vpc="nowhere")]))
    assert {switch.name for switch in desired.switches} == {"ovn-default", "join"}


@pytest.mark.parametrize(
    ("version", "found"),
    [
        ("reference", []),
        ("1.13", []),
        ("1.14", [("192.168.0.0/24", "192.168.0.1", "src-ip", {}), ("fd00::/64", "fd00::1", "src-ip", {})]),
        ("1.17", [("192.168.0.0/24", "192.168.0.1", "src-ip", VENDOR), ("fd00::/64", "fd00::1", "src-ip", VENDOR)]),
    ],
)
def test_k3_newer_versions_route_each_subnet_of_a_custom_vpc_to_its_own_gateway(
    cluster: Callable[..., Any], subnet: Callable[..., Any], vpc: Callable[..., Any], version: str, found: list[Any]
) -> None:
    more = subnet("subnet1", "192.168.0.0/24,fd00::/64", vpc="vpc1")
    desired = wanted(cluster(Vpc=[vpc("vpc1")], Subnet=[more]), version)
    router = next(r for r in desired.routers if r.name == "vpc1")
    assert [(r.prefix, r.nexthop, r.policy, r.external_ids) for r in router.routes] == found


def test_routes_and_policies_of_a_vpc_are_written(cluster: Callable[..., Any], vpc: Callable[..., Any]) -> None:
    default = {"policy": "policyDst", "cidr": "0.0.0.0/0", "nextHopIP": "192.168.0.254"}
    allowed = {"priority": 10, "match": "ip4.src == 192.168.0.9", "action": "reroute", "nextHopIP": "192.168.0.254"}
    desired = wanted(cluster(Vpc=[vpc("vpc1", staticRoutes=[default], policyRoutes=[allowed])]), "1.13")
    router = next(r for r in desired.routers if r.name == "vpc1")
    assert [route.key for route in router.routes] == [("", "dst-ip", "0.0.0.0/0", "192.168.0.254")]
    assert router.policies == (Policy(10, "ip4.src == 192.168.0.9", "reroute", ("192.168.0.254",)),)


def test_the_bfd_port_of_a_vpc_is_made_by_the_versions_that_have_it(
    cluster: Callable[..., Any], vpc: Callable[..., Any]
) -> None:
    objects = cluster(Vpc=[vpc("vpc1", bfdPort={"enabled": True, "ip": "10.255.255.255, fd01::1"})])
    ports = {name: next(r for r in wanted(objects, name).routers if r.name == "vpc1").bfd_port for name in BEHAVIOURS}
    assert [name for name, port in ports.items() if port] == ["1.14", "1.17"]
    port = ports["1.17"]
    assert port is not None
    assert (port.name, port.networks) == ("bfd@vpc1", ("10.255.255.255", "fd01::1"))
    assert (port.chassis, port.nodes) == (("chassis-1",), ("kube-ovn-worker",))


def test_an_attachment_in_ovn_has_a_port_of_its_own_in_its_subnet(
    cluster: Callable[..., Any], pod: Callable[..., Any], subnet: Callable[..., Any]
) -> None:
    config = '{"type": "kube-ovn", "provider": "mgmt.default.ovn"}'
    definition = {"metadata": {"name": "mgmt", "namespace": "default"}, "spec": {"config": config}}
    more = subnet("mgmt", "10.250.0.0/16", provider="mgmt.default.ovn")
    objects = cluster(
        Subnet=[more], NetworkAttachmentDefinition=[definition], Pod=[pod("gateway1", networks="default/mgmt")]
    )
    desired = wanted(objects)
    ports = {switch.name: {port.name: port for port in switch.ports} for switch in desired.switches}
    made = ports["mgmt"]["gateway1.default.mgmt.default.ovn"]
    assert made.addresses[0].endswith(" 10.250.0.2")
    assert "gateway1.default" in ports["ovn-default"]
    groups = {group.name: group.ports for group in desired.port_groups}
    assert groups["mgmt.kube.ovn.worker"] == {"gateway1.default.mgmt.default.ovn"}
    router = next(router for router in desired.routers if router.name == "ovn-cluster")
    assert (31000, "ip4.dst == 10.250.0.0/16") in {(policy.priority, policy.match) for policy in router.policies}


def test_only_switches_of_the_default_vpc_have_load_balancers(
    cluster: Callable[..., Any], subnet: Callable[..., Any], vpc: Callable[..., Any]
) -> None:
    more = [subnet("subnet1", "192.168.0.0/24", vpc="vpc1"), subnet("mgmt", "10.250.0.0/16", provider="a.b.ovn")]
    desired = wanted(cluster(Vpc=[vpc("vpc1")], Subnet=more))
    names = tuple(balancer.name for balancer in desired.load_balancers)
    assert {switch.name: switch.load_balancers for switch in desired.switches} == {
        "ovn-default": names,
        "mgmt": names,
        "join": (),
        "subnet1": (),
    }
