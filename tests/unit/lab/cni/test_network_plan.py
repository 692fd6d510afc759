"""From annotations to interfaces, addresses and routes: the pods of the user's document, and what can be wrong."""

import json
from typing import Any

import pytest

from veg_lab.cni.network_plan import (
    Allocation,
    NetworkConfigError,
    NetworkPlan,
    Port,
    Route,
    Waiting,
    allocation,
    attached_networks,
    host_interface,
    plan_network,
    plugins_of,
    port_commands,
    port_name,
    providers,
    route_commands,
)

ETH1 = ("default", "eth1")
MGMT = ("kube-system", "veg-mgmt")


def definition(key: tuple[str, str], config: Any) -> dict[str, Any]:
    text = config if isinstance(config, str) else json.dumps(config)
    return {"metadata": {"namespace": key[0], "name": key[1]}, "spec": {"config": text}}


MACVLAN = {
    "cniVersion": "0.3.0",
    "type": "macvlan",
    "master": "eth1",
    "ipam": {"type": "kube-ovn", "provider": "eth1.default"},
}
OVERLAY = {"cniVersion": "0.3.0", "type": "kube-ovn", "server_socket": "/run/x.sock", "provider": "whatever"}
BRIDGE = ("default", "bridge")
DEFINITIONS = {
    ETH1: definition(ETH1, MACVLAN),
    MGMT: definition(MGMT, OVERLAY),
    BRIDGE: definition(BRIDGE, {"cniVersion": "0.3.0", "type": "bridge", "ipam": {"type": "host-local"}}),
}


def annotations_of(provider: str, address: str, cidr: str, gateway: str, mac: str = "") -> dict[str, str]:
    values = {"allocated": "true", "ip_address": address, "cidr": cidr, "gateway": gateway, "mac_address": mac}
    return {f"{provider}.kubernetes.io/{name}": value for name, value in values.items()}


ETH0 = annotations_of("ovn", "10.16.0.12", "10.16.0.0/16", "10.16.0.1", "36:7c:6b:c7:82:6b")
NET1 = annotations_of("eth1.default", "172.17.0.11", "172.17.0.0/16", "172.17.0.1")
DUAL = annotations_of("ovn", "fd00::c,10.16.0.12", "fd00::/112,10.16.0.0/16", "fd00::1,10.16.0.1", "36:7c:6b:c7:82:6b")
GATEWAY = {
    **ETH0,
    **NET1,
    "k8s.v1.cni.cncf.io/networks": "default/eth1, default/bridge",
    "eth1.default.kubernetes.io/routes": '[{"dst":"0.0.0.0/0","gw":"172.17.0.1"}]',
}

NET2 = "veg-mgmt.kube-system.ovn"
CUSTOM = {
    **GATEWAY,
    **annotations_of(NET2, "10.250.0.5", "10.250.0.0/16", "10.250.0.1", "02:00:00:00:00:05"),
    "k8s.v1.cni.cncf.io/networks": "default/eth1, kube-system/veg-mgmt",
    f"{NET2}.kubernetes.io/routes": '[{"dst":"10.96.42.22","gw":"10.250.0.1"}]',
}


def pod(annotations: dict[str, str]) -> dict[str, Any]:
    return {"metadata": {"name": "gateway1-x", "namespace": "default", "uid": "u-1", "annotations": annotations}}


def planned(annotations: dict[str, str]) -> NetworkPlan:
    plan = plan_network(pod(annotations), DEFINITIONS)
    assert isinstance(plan, NetworkPlan), plan
    return plan


def test_the_gateway_pod_of_the_document_has_no_default_route_on_eth0() -> None:
    plan = planned(GATEWAY)
    assert plan.eth0.addresses == ("10.16.0.12/16",)
    assert [(item.interface, item.network, [p["type"] for p in item.plugins]) for item in plan.attachments] == [
        ("net1", ETH1, ["macvlan"]),
        ("net2", BRIDGE, ["bridge"]),
    ]
    assert plan.routes == ()


def test_an_attachment_of_kube_ovns_own_type_is_a_port_in_ovn() -> None:
    plan = planned(CUSTOM)
    assert [item.interface for item in plan.attachments] == ["net1", "net2"]
    route = Route("10.96.42.22/32", "10.250.0.1")
    net2 = Allocation(("10.250.0.5/16",), ("10.250.0.1",), (route,), "02:00:00:00:00:05")
    assert plan.ports == (Port("eth0", plan.eth0), Port("net2", net2, "veg-mgmt.kube-system.ovn"))
    assert plan.attachments[1].port == plan.ports[1]
    assert port_name("default", "x", plan.ports[0].provider) == "x.default"
    assert port_name("default", "x", plan.ports[1].provider) == "x.default.veg-mgmt.kube-system.ovn"
    _, inside = port_commands("c1", "veg.pod.default.x", plan.ports[1])
    assert inside.splitlines() == ["addr add 10.250.0.5/16 brd + dev net2", "link set net2 up"]
    assert route_commands(plan) == "route replace 10.96.42.22/32 via 10.250.0.1 dev net2\n"


def test_a_port_in_ovn_is_waited_for_and_needs_its_hardware_address() -> None:
    waiting = plan_network(pod({**CUSTOM, f"{NET2}.kubernetes.io/allocated": ""}), DEFINITIONS)
    assert isinstance(waiting, Waiting)
    assert f"{NET2}.kubernetes.io/allocated" in waiting.reason
    with pytest.raises(NetworkConfigError, match=r"veg-mgmt\.kube-system\.ovn\.kubernetes\.io/mac_address is missing"):
        planned({**CUSTOM, f"{NET2}.kubernetes.io/mac_address": ""})


def test_an_ordinary_pod_leaves_by_its_subnet_gateway() -> None:
    assert planned(ETH0).routes == (Route("0.0.0.0/0", "10.16.0.1"),)


def test_a_default_route_elsewhere_replaces_only_that_family() -> None:
    plan = planned({**GATEWAY, **DUAL})
    assert plan.routes == (Route("::/0", "fd00::1"),)


def test_ipv4_comes_first() -> None:
    assert planned(DUAL).eth0.addresses == ("10.16.0.12/16", "fd00::c/112")


def test_further_routes_of_eth0_are_added() -> None:
    routes = '[{"dst":"10.255.255.255/32","gw":"10.16.0.1"},{"dst":"192.168.1.5","gw":"10.16.0.1"}]'
    plan = planned({**ETH0, "ovn.kubernetes.io/routes": routes})
    assert Route("10.255.255.255/32", "10.16.0.1") in plan.routes
    assert Route("192.168.1.5/32", "10.16.0.1") in plan.routes


@pytest.mark.parametrize(
    ("annotations", "reason"),
    [
        ({}, "ovn.kubernetes.io/allocated"),
        ({**ETH0, "k8s.v1.cni.cncf.io/networks": "default/eth1"}, "eth1.default.kubernetes.io/allocated"),
    ],
)
def test_what_is_missing_is_named(annotations: dict[str, str], reason: str) -> None:
    waiting = plan_network(pod(annotations), DEFINITIONS)
    assert isinstance(waiting, Waiting)
    assert reason in waiting.reason


def test_a_pod_without_annotations_waits() -> None:
    assert isinstance(plan_network({"metadata": {"name": "x", "namespace": "y"}}, {}), Waiting)


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


def test_an_attachment_has_addresses_routes_and_a_gateway_of_each_family() -> None:
    found = allocation(pod(GATEWAY), "eth1.default")
    assert isinstance(found, Allocation)
    assert found == Allocation(("172.17.0.11/16",), ("172.17.0.1",), (Route("0.0.0.0/0", "172.17.0.1"),))
    assert found.gateway_of("172.17.0.11/16") == "172.17.0.1"
    assert found.gateway_of("fd00::1/64") is None


def test_networks_default_to_the_namespace_of_the_pod_and_may_name_their_interface() -> None:
    named = pod({"k8s.v1.cni.cncf.io/networks": "eth1,kube-system/veg-mgmt@net9"})
    assert attached_networks(named) == [(ETH1, "net1"), (MGMT, "net9")]


def test_each_plugin_reads_a_name_a_version_and_a_provider() -> None:
    [plugin] = plugins_of(definition(ETH1, {"type": "macvlan", "ipam": {"type": "kube-ovn"}}))
    assert plugin == {
        "type": "macvlan",
        "name": "eth1",
        "cniVersion": "0.3.1",
        "ipam": {"type": "kube-ovn", "provider": "eth1.default"},
    }


def test_the_plugins_of_a_chain_share_name_and_version() -> None:
    chain = {"cniVersion": "1.0.0", "name": "c", "plugins": [{"type": "macvlan"}, {"type": "tuning"}]}
    assert plugins_of(definition(ETH1, chain)) == (
        {"type": "macvlan", "cniVersion": "1.0.0", "name": "c"},
        {"type": "tuning", "cniVersion": "1.0.0", "name": "c"},
    )


def test_only_addresses_from_kube_ovn_have_a_provider() -> None:
    assert [providers(item) for item in planned(GATEWAY).attachments] == [["eth1.default"], []]


@pytest.mark.parametrize("config", ["", "[]", "{}", "nonsense", '{"plugins":[]}', '{"type":"../../bin/sh"}'])
def test_a_definition_that_names_no_plugin_is_refused(config: str) -> None:
    with pytest.raises(NetworkConfigError, match="network a/b"):
        plugins_of(definition(("a", "b"), config))


def test_interface_names_fit_the_kernel_and_differ_per_sandbox() -> None:
    names = {host_interface(f"c{number}", link) for number in range(100) for link in ("eth0", "new")}
    assert len(names) == 200
    assert max(map(len, names)) <= 15


def test_commands_make_eth0_in_one_batch_each() -> None:
    outside, inside = port_commands("c1", "veg.pod.default.x", planned(DUAL).ports[0])
    outer, inner = host_interface("c1", "eth0"), host_interface("c1", "new")
    size = "mtu 1400 txqueuelen 0"
    assert outside.splitlines() == [
        f"link add {outer} {size} type veth peer name {inner} address 36:7c:6b:c7:82:6b {size}",
        f"link set {inner} netns veg.pod.default.x name eth0",
        f"link set {outer} up",
    ]
    assert inside.splitlines() == [
        "addr add 10.16.0.12/16 brd + dev eth0",
        "addr add fd00::c/112 nodad dev eth0",
        "link set eth0 up",
    ]
    assert route_commands(planned(ETH0)) == "route replace 0.0.0.0/0 via 10.16.0.1 dev eth0\n"
