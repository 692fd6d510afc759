from collections.abc import Callable
from typing import Any

from veg_lab.mini_kube_ovn.assign import Assignment, assign
from veg_lab.mini_kube_ovn.ipam import Ipam
from veg_lab.mini_kube_ovn.snapshot import take


def assigned(objects: dict[str, list[Any]], ipam: Ipam | None = None) -> Assignment:
    return assign(take(objects).cluster, ipam or Ipam())


def addresses(assignment: Assignment) -> dict[str, str]:
    return {
        f"{each.pod.name}/{each.provider}": ",".join(map(str, each.lease.addresses)) for each in assignment.interfaces
    }


def test_a_pool_annotation_gives_each_pod_one_of_its_items(
    cluster: Callable[..., Any], pod: Callable[..., Any]
) -> None:
    pods = [
        pod(name, networks="default/eth1", eth1_default__ip_pool="172.17.0.10;172.17.0.11") for name in ("a", "b", "c")
    ]
    result = assigned(cluster(Pod=pods))
    assert addresses(result)["a/eth1.default"] == "172.17.0.10"
    assert addresses(result)["b/eth1.default"] == "172.17.0.11"
    (failure,) = result.failures
    assert failure.pod.name == "c"
    assert "172.17.0.10 of subnet macvlan1 is in use" in failure.message
    # It keeps its primary address while it waits.
    assert "c/ovn" in addresses(result)


def test_a_fixed_address_and_a_dual_stack_pool(
    cluster: Callable[..., Any], pod: Callable[..., Any], subnet: Callable[..., Any]
) -> None:
    dual = subnet("dual", "10.7.0.0/24,fd07::/64")
    pods = [
        pod("fixed", ovn__ip_address="10.16.0.99"),
        pod("pool", ovn__logical_switch="dual", ovn__ip_pool="10.7.0.5,fd07::5;10.7.0.6,fd07::6"),
        pod("one", ovn__logical_switch="dual", ovn__ip_pool="10.7.0.7,fd07::7"),
    ]
    assert addresses(assigned(cluster(Subnet=[dual], Pod=pods))) == {
        "fixed/ovn": "10.16.0.99",
        "pool/ovn": "10.7.0.5,fd07::5",
        "one/ovn": "10.7.0.7,fd07::7",
    }


def test_an_ip_pool_object_is_named_and_reserved(cluster: Callable[..., Any], pod: Callable[..., Any]) -> None:
    pool = {
        "metadata": {"name": "p", "creationTimestamp": ""},
        "spec": {"subnet": "ovn-default", "ips": ["10.16.0.2..10.16.0.3"]},
    }
    pods = [pod("free"), pod("named", ovn__ip_pool="p")]
    assert addresses(assigned(cluster(IPPool=[pool], Pod=pods))) == {"free/ovn": "10.16.0.4", "named/ovn": "10.16.0.2"}


def test_a_pod_without_a_valid_subnet_is_told_so_and_others_go_on(
    cluster: Callable[..., Any], pod: Callable[..., Any]
) -> None:
    pods = [pod("bad", ovn__logical_switch="nowhere"), pod("garbage", ovn__ip_address="x"), pod("good")]
    result = assigned(cluster(Pod=pods))
    assert addresses(result) == {"good/ovn": "10.16.0.2"}
    assert [(f.pod.name, f.message.split(":")[0]) for f in result.failures] == [
        ("bad", "subnet 'nowhere' does not exist or is not valid"),
        ("garbage", "'x' is not an address list"),
    ]


def test_a_pod_of_the_same_name_is_another_pod(cluster: Callable[..., Any], pod: Callable[..., Any]) -> None:
    ipam = Ipam()
    first = pod("a")
    assert addresses(assigned(cluster(Pod=[first]), ipam)) == {"a/ovn": "10.16.0.2"}
    again = pod("a")
    again["metadata"]["uid"] = "other"
    assert addresses(assigned(cluster(Pod=[again]), ipam)) == {"a/ovn": "10.16.0.3"}


def test_nodes_keep_their_join_address_and_new_ones_get_the_next(cluster: Callable[..., Any]) -> None:
    new = {"metadata": {"name": "new", "uid": "n", "creationTimestamp": ""}, "spec": {}, "status": {}}
    nodes = assigned(cluster(Node=[new])).nodes
    assert {name: str(lease.addresses[0]) for name, lease in nodes.items()} == {
        "kube-ovn-worker": "100.64.0.3",
        "new": "100.64.0.4",
    }


def test_host_network_pods_have_no_address(cluster: Callable[..., Any], pod: Callable[..., Any]) -> None:
    host = pod("host")
    host["spec"]["hostNetwork"] = True
    assert assigned(cluster(Pod=[host])).interfaces == ()
