from collections.abc import Callable
from typing import Any

from veg_lab.mini_kube_ovn.assign import assign
from veg_lab.mini_kube_ovn.desired import Northbound, northbound
from veg_lab.mini_kube_ovn.ipam import Ipam
from veg_lab.mini_kube_ovn.snapshot import take


def wanted(objects: dict[str, list[Any]]) -> Northbound:
    snapshot = take(objects)
    return northbound(snapshot.cluster, snapshot.vpcs, assign(snapshot.cluster, Ipam()))


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
