"""From annotations to interfaces, addresses and routes: the pods of the user's document, and what can be wrong."""

import json
from typing import Any

import pytest

from veg_lab.node_agent.network_plan import (
    NetworkConfigError,
    NetworkPlan,
    Route,
    Waiting,
    attachments,
    host_interface,
    lowest_free,
    network_config,
    plan_network,
    setup_commands,
)

ETH1 = ("default", "eth1")
MGMT = ("kube-system", "veg-mgmt")
CONFIGS: dict[tuple[str, str], dict[str, Any] | None] = {
    ETH1: {
        "type": "macvlan",
        "master": "eth1",
        "mode": "bridge",
        "ipam": {"type": "kube-ovn", "provider": "eth1.default"},
    },
    MGMT: {"type": "bridge", "bridge": "mgmt0", "ipam": {"type": "host-local", "subnet": "10.250.0.0/16"}},
}
LEASES = {MGMT: "10.250.0.10"}


def annotations_of(provider: str, address: str, cidr: str, gateway: str, mac: str) -> dict[str, str]:
    values = {"allocated": "true", "ip_address": address, "cidr": cidr, "gateway": gateway, "mac_address": mac}
    return {f"{provider}.kubernetes.io/{name}": value for name, value in values.items()}


ETH0 = annotations_of("ovn", "10.16.0.12", "10.16.0.0/16", "10.16.0.1", "36:7c:6b:c7:82:6b")
NET1 = annotations_of("eth1.default", "172.17.0.11", "172.17.0.0/16", "172.17.0.1", "62:d8:71:90:7b:86")
GATEWAY = {
    **ETH0,
    **NET1,
    "k8s.v1.cni.cncf.io/networks": "default/eth1, kube-system/veg-mgmt",
    "eth1.default.kubernetes.io/routes": '[{"dst":"0.0.0.0/0","gw":"172.17.0.1"}]',
}


def pod(annotations: dict[str, str]) -> dict[str, Any]:
    return {"metadata": {"name": "gateway1-x", "namespace": "default", "uid": "u-1", "annotations": annotations}}


def planned(annotations: dict[str, str]) -> NetworkPlan:
    plan = plan_network(pod(annotations), CONFIGS, LEASES)
    assert isinstance(plan, NetworkPlan), plan
    return plan


def test_the_gateway_pod_of_the_document_has_its_default_route_on_net1() -> None:
    plan = planned(GATEWAY)
    assert [(link.name, link.kind, link.addresses) for link in plan.links] == [
        ("net1", "macvlan", ("172.17.0.11/16",)),
        ("eth0", "ovs", ("10.16.0.12/16",)),
        ("net2", "bridge", ("10.250.0.10/16",)),
    ]
    assert plan.routes == (Route("0.0.0.0/0", "172.17.0.1", "net1"),)
    assert plan.addresses == ("10.16.0.12",)


def test_network_status_names_each_network_with_its_interface_and_addresses() -> None:
    status = json.loads(planned(GATEWAY).status)
    assert [(entry["name"], entry["interface"], entry["ips"], entry.get("default")) for entry in status] == [
        ("kube-ovn", "eth0", ["10.16.0.12"], True),
        ("default/eth1", "net1", ["172.17.0.11"], None),
        ("kube-system/veg-mgmt", "net2", ["10.250.0.10"], None),
    ]


def test_an_ordinary_pod_leaves_by_its_subnet_gateway() -> None:
    assert planned(ETH0).routes == (Route("0.0.0.0/0", "10.16.0.1", "eth0"),)


def test_a_default_route_elsewhere_replaces_only_that_family() -> None:
    dual = annotations_of(
        "ovn", "10.16.0.12,fd00::c", "10.16.0.0/16,fd00::/112", "10.16.0.1,fd00::1", "36:7c:6b:c7:82:6b"
    )
    plan = planned({**GATEWAY, **dual})
    assert plan.routes == (Route("0.0.0.0/0", "172.17.0.1", "net1"), Route("::/0", "fd00::1", "eth0"))
    assert plan.addresses == ("10.16.0.12", "fd00::c")
    assert plan.links[1].addresses == ("10.16.0.12/16", "fd00::c/112")


def test_further_routes_of_eth0_are_added() -> None:
    routes = '[{"dst":"10.255.255.255/32","gw":"10.16.0.1"},{"dst":"192.168.1.5","gw":"10.16.0.1"}]'
    plan = planned({**ETH0, "ovn.kubernetes.io/routes": routes})
    assert Route("10.255.255.255/32", "10.16.0.1", "eth0") in plan.routes
    assert Route("192.168.1.5/32", "10.16.0.1", "eth0") in plan.routes


@pytest.mark.parametrize(
    ("annotations", "reason"),
    [
        ({}, "ovn.kubernetes.io/allocated"),
        ({**ETH0, "k8s.v1.cni.cncf.io/networks": "default/eth1"}, "eth1.default.kubernetes.io/allocated"),
        ({**ETH0, "k8s.v1.cni.cncf.io/networks": "other"}, "default/other, which does not exist"),
    ],
)
def test_what_is_missing_is_named(annotations: dict[str, str], reason: str) -> None:
    waiting = plan_network(pod(annotations), CONFIGS, LEASES)
    assert isinstance(waiting, Waiting)
    assert reason in waiting.reason


@pytest.mark.parametrize(
    "routes", ["garbage", "{}x", '[{"dst":"nowhere","gw":"10.16.0.1"}]', '[{"gw":"10.16.0.1"}]', "[1]"]
)
def test_malformed_routes_name_the_annotation(routes: str) -> None:
    with pytest.raises(NetworkConfigError, match=r"ovn\.kubernetes\.io/routes"):
        planned({**ETH0, "ovn.kubernetes.io/routes": routes})


def test_incomplete_annotations_are_named() -> None:
    with pytest.raises(NetworkConfigError, match=r"ovn\.kubernetes\.io/mac_address is missing"):
        planned({**ETH0, "ovn.kubernetes.io/mac_address": ""})


def test_an_address_outside_its_subnets_is_refused() -> None:
    with pytest.raises(NetworkConfigError, match="do not fit"):
        planned({**ETH0, "ovn.kubernetes.io/ip_address": "fd00::c"})


def test_networks_default_to_the_namespace_of_the_pod_and_may_name_an_interface() -> None:
    named = pod({"k8s.v1.cni.cncf.io/networks": "eth1,kube-system/veg-mgmt@net9"})
    assert attachments(named) == [ETH1, MGMT]


def test_network_config_takes_the_first_plugin_of_a_chain() -> None:
    nad = {
        "metadata": {"namespace": "a", "name": "b"},
        "spec": {"config": '{"plugins":[{"type":"macvlan"},{"type":"x"}]}'},
    }
    assert network_config(nad) == {"type": "macvlan"}


@pytest.mark.parametrize("config", ["", "[]", "{}", "nonsense"])
def test_a_definition_that_says_nothing_is_named(config: str) -> None:
    with pytest.raises(NetworkConfigError, match="network a/b"):
        network_config({"metadata": {"namespace": "a", "name": "b"}, "spec": {"config": config}})


def test_leases_start_after_the_addresses_of_the_lab_and_fill_gaps() -> None:
    assert lowest_free("10.250.0.0/16", set()) == "10.250.0.10"
    assert lowest_free("10.250.0.0/16", {"10.250.0.10", "10.250.0.12"}) == "10.250.0.11"
    with pytest.raises(NetworkConfigError, match="no address is left"):
        lowest_free("10.0.0.0/28", {f"10.0.0.{last}" for last in range(10, 15)})


def test_interface_names_fit_the_kernel_and_differ_per_pod() -> None:
    names = {host_interface(f"uid-{number}", link) for number in range(100) for link in ("eth0", "net12")}
    assert len(names) == 200
    assert max(map(len, names)) <= 15


def test_commands_make_everything_in_one_batch_each() -> None:
    outside, inside = setup_commands("veg.pod.default.x", "u-1", planned(GATEWAY))
    port, bridge_end = host_interface("u-1", "eth0"), host_interface("u-1", "net2")
    net1 = "link add net1 link eth1 netns veg.pod.default.x address 62:d8:71:90:7b:86 type macvlan mode bridge"
    assert outside.splitlines()[:2] == ["netns add veg.pod.default.x", net1]
    assert f"link set {port} up" in outside
    assert f"link set {bridge_end} master mgmt0 up" in outside
    assert "addr add 10.16.0.12/16 brd + dev eth0" in inside
    assert inside.splitlines()[-1] == "route replace 0.0.0.0/0 via 172.17.0.1 dev net1"
