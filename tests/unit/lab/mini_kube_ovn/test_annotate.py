from collections.abc import Callable
from typing import Any

from veg_lab.mini_kube_ovn.annotate import patches
from veg_lab.mini_kube_ovn.assign import assign
from veg_lab.mini_kube_ovn.behaviours import named
from veg_lab.mini_kube_ovn.changes import Patch
from veg_lab.mini_kube_ovn.ipam import Ipam
from veg_lab.mini_kube_ovn.snapshot import take

NOW = "2024-06-01T00:00:00Z"
CHASSIS = {"kube-ovn-worker": "chassis-1"}


def writes(objects: dict[str, list[Any]], ipam: Ipam | None = None, version: str = "reference") -> list[Patch]:
    ipam = ipam or Ipam()
    snapshot = take(objects)
    return patches((snapshot, assign(snapshot.cluster, ipam), ipam), CHASSIS, named(version), NOW)


def merge(target: dict[str, Any], patch: dict[str, Any]) -> None:
    for key, value in patch.items():
        if isinstance(value, dict) and isinstance(target.get(key), dict):
            merge(target[key], value)
        elif value is None:
            target.pop(key, None)
        else:
            target[key] = value


def settle(objects: dict[str, list[Any]], ipam: Ipam | None = None) -> list[Patch]:
    found = writes(objects, ipam)
    for patch in found:
        merge(next(o for o in objects[patch.kind] if o["metadata"]["name"] == patch.name), patch.body)
    return found


def test_k5_an_attachment_gets_an_address_and_no_mac_address(
    cluster: Callable[..., Any], pod: Callable[..., Any]
) -> None:
    objects = cluster(Pod=[pod("gw", networks="default/eth1,kube-system/other")])
    written = next(p for p in writes(objects) if p.kind == "Pod").body["metadata"]
    assert written["annotations"].pop("ovn.kubernetes.io/mac_address")
    assert written == {
        "uid": "uid-gw",
        "annotations": {
            "ovn.kubernetes.io/allocated": "true",
            "ovn.kubernetes.io/ip_address": "10.16.0.2",
            "ovn.kubernetes.io/cidr": "10.16.0.0/16",
            "ovn.kubernetes.io/gateway": "10.16.0.1",
            "ovn.kubernetes.io/logical_switch": "ovn-default",
            "ovn.kubernetes.io/logical_router": "ovn-cluster",
            "ovn.kubernetes.io/pod_nic_type": "veth-pair",
            "eth1.default.kubernetes.io/allocated": "true",
            "eth1.default.kubernetes.io/ip_address": "172.17.0.11",
            "eth1.default.kubernetes.io/cidr": "172.17.0.0/16",
            "eth1.default.kubernetes.io/gateway": "172.17.0.1",
            "eth1.default.kubernetes.io/logical_switch": "macvlan1",
        },
    }


def test_a_second_pass_writes_nothing(cluster: Callable[..., Any], pod: Callable[..., Any]) -> None:
    objects = cluster(Pod=[pod("gw", networks="default/eth1")])
    ipam = Ipam()
    assert settle(objects, ipam)
    assert writes(objects, ipam) == []
    # Nor does a new process, which knows only what is written.
    assert writes(objects) == []


def test_a_node_is_told_its_port_and_its_chassis(cluster: Callable[..., Any]) -> None:
    node = next(p for p in writes(cluster()) if p.kind == "Node")
    assert node.body["metadata"]["annotations"]["ovn.kubernetes.io/port_name"] == "node-kube-ovn-worker"
    assert node.body["metadata"]["annotations"]["ovn.kubernetes.io/chassis"] == "chassis-1"


def test_a_subnet_gets_defaults_counts_and_conditions(cluster: Callable[..., Any]) -> None:
    objects = cluster()
    settle(objects)
    external = next(o for o in objects["Subnet"] if o["metadata"]["name"] == "macvlan1")
    assert external["spec"]["gateway"] == "172.17.0.1"
    assert external["spec"]["protocol"] == "IPv4"
    # 65,536 without network and broadcast address and .1 to .10: .0 is the network address itself.
    assert external["status"]["v4availableIPs"] == 65536 - 2 - 10
    assert [(c["type"], c["status"]) for c in external["status"]["conditions"]] == [
        ("Validated", "True"),
        ("Ready", "True"),
    ]


def test_a_bad_subnet_says_why_and_recovers(cluster: Callable[..., Any], subnet: Callable[..., Any]) -> None:
    bad = subnet("lost", "10.9.0.0/24", vpc="nowhere")
    objects = cluster(Subnet=[bad])
    settle(objects)
    (condition,) = bad["status"]["conditions"]
    assert (condition["type"], condition["status"], condition["message"]) == (
        "Validated",
        "False",
        "spec.vpc 'nowhere' does not exist",
    )
    bad["spec"]["vpc"] = "ovn-cluster"
    settle(objects)
    assert {c["type"]: c["status"] for c in bad["status"]["conditions"]} == {"Validated": "True", "Ready": "True"}


def test_an_overlap_in_one_vpc_is_refused_and_in_two_is_fine(
    cluster: Callable[..., Any], subnet: Callable[..., Any], vpc: Callable[..., Any]
) -> None:
    same, other = subnet("same", "10.16.5.0/24"), subnet("other", "10.16.5.0/24", vpc="vpc1")
    objects = cluster(Vpc=[vpc("vpc1")], Subnet=[same, other])
    settle(objects)
    assert "overlaps 10.16.0.0/16 of subnet ovn-default" in same["status"]["conditions"][0]["message"]
    assert other["status"]["conditions"][0]["status"] == "True"


def test_a_vpc_tells_its_router_and_default_subnet(
    cluster: Callable[..., Any], subnet: Callable[..., Any], vpc: Callable[..., Any]
) -> None:
    custom = vpc("vpc1")
    objects = cluster(
        Vpc=[custom], Subnet=[subnet("b", "10.1.0.0/24", vpc="vpc1"), subnet("a", "10.2.0.0/24", vpc="vpc1")]
    )
    settle(objects)
    assert custom["status"] == {
        "router": "vpc1",
        "standby": True,
        "default": False,
        "defaultLogicalSwitch": "b",
        "subnets": ["a", "b"],
    }
    assert objects["Vpc"][0]["status"]["defaultLogicalSwitch"] == "ovn-default"


def test_a_vpc_tells_its_bfd_port_in_the_same_write_as_the_rest(
    cluster: Callable[..., Any], vpc: Callable[..., Any]
) -> None:
    objects = cluster(Vpc=[vpc("vpc1", bfdPort={"enabled": True, "ip": "10.255.255.255"})])
    (written,) = (p for p in writes(objects, version="1.17") if (p.kind, p.name) == ("Vpc", "vpc1"))
    wanted = {"name": "bfd@vpc1", "ip": "10.255.255.255", "nodes": ["kube-ovn-worker"]}
    assert (written.body["status"]["bfdPort"], written.body["status"]["router"]) == (wanted, "vpc1")
    (written,) = (p for p in writes(objects, version="reference") if (p.kind, p.name) == ("Vpc", "vpc1"))
    assert "bfdPort" not in written.body["status"]
