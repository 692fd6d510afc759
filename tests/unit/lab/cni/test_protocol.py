"""What the runtime and the packaged plugins are told, and what is read of what they say."""

import json

import pytest

from veg_lab.cni.network_plan import Allocation, Attachment, NetworkPlan, Route
from veg_lab.cni.protocol import (
    CniError,
    PodIdentity,
    Request,
    error_answer,
    failure_of,
    ipam_result,
    network_result,
    network_status,
    read_request,
)

ETH0 = Allocation(
    ("10.16.0.12/16", "fd00::c/112"),
    ("10.16.0.1", "fd00::1"),
    (Route("10.9.0.0/16", "10.16.0.1"),),
    "36:7c:6b:c7:82:6b",
)
ARGUMENTS = "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=x;K8S_POD_INFRA_CONTAINER_ID=c1;K8S_POD_UID=u-1"
VARIABLES = {
    "CNI_COMMAND": "ADD",
    "CNI_CONTAINERID": "c1",
    "CNI_NETNS": "/var/run/netns/cni-1",
    "CNI_IFNAME": "eth0",
    "CNI_ARGS": ARGUMENTS,
    "CNI_PATH": "/opt/cni/bin",
}


def request(config: dict[str, object]) -> Request:
    return read_request(VARIABLES, json.dumps(config).encode())


def test_the_runtime_says_which_pod_it_is() -> None:
    assert request({"type": "kube-ovn"}).pod == PodIdentity("default", "x", "u-1")


def test_a_runtime_that_names_no_pod_is_told_so() -> None:
    asked = read_request({**VARIABLES, "CNI_ARGS": "IgnoreUnknown=1"}, b"{}")
    with pytest.raises(CniError, match="K8S_POD_NAMESPACE is missing"):
        asked.pod  # noqa: B018


@pytest.mark.parametrize(("container", "body"), [("../x", b"{}"), ("", b"{}"), ("c1", b"[]"), ("c1", b"")])
def test_what_is_no_request_is_refused(container: str, body: bytes) -> None:
    with pytest.raises(CniError) as refused:
        read_request({**VARIABLES, "CNI_CONTAINERID": container}, body)
    assert refused.value.code == 7


def test_one_program_is_the_plugin_of_a_network_and_of_addresses() -> None:
    assert request({"type": "kube-ovn"}).provider is None
    assert (
        request({"type": "macvlan", "ipam": {"type": "kube-ovn", "provider": "eth1.default"}}).provider
        == "eth1.default"
    )
    with pytest.raises(CniError, match=r"network eth1: ipam\.provider is missing"):
        _ = request({"type": "macvlan", "name": "eth1"}).provider


def test_the_addresses_of_eth0_are_the_pods() -> None:
    plan = NetworkPlan(ETH0, (), (Route("0.0.0.0/0", "10.16.0.1"),))
    assert network_result(request({"type": "kube-ovn", "cniVersion": "0.3.1"}), plan, "abc_eth0") == {
        "cniVersion": "0.3.1",
        "interfaces": [
            {"name": "abc_eth0"},
            {"name": "eth0", "mac": "36:7c:6b:c7:82:6b", "sandbox": "/var/run/netns/cni-1"},
        ],
        "ips": [
            {"version": "4", "address": "10.16.0.12/16", "gateway": "10.16.0.1", "interface": 1},
            {"version": "6", "address": "fd00::c/112", "gateway": "fd00::1", "interface": 1},
        ],
        "routes": [{"dst": "0.0.0.0/0", "gw": "10.16.0.1"}],
        "dns": {},
    }


def test_addresses_have_a_version_until_cni_1_0() -> None:
    found = Allocation(("172.17.0.11/16",), (), (Route("0.0.0.0/0", "172.17.0.1"),))
    assert ipam_result("0.3.0", found) == {
        "cniVersion": "0.3.0",
        "ips": [{"version": "4", "address": "172.17.0.11/16"}],
        "routes": [{"dst": "0.0.0.0/0", "gw": "172.17.0.1"}],
        "dns": {},
    }
    assert ipam_result("1.0.0", found)["ips"] == [{"address": "172.17.0.11/16"}]


def test_network_status_shows_what_the_plugins_made() -> None:
    plan = NetworkPlan(ETH0, (Attachment("net1", ("default", "eth1"), ()), Attachment("net2", ("a", "b"), ())), ())
    macvlan = {
        "interfaces": [{"name": "net1", "mac": "62:d8:71:90:7b:86", "sandbox": "/run/netns/x"}],
        "ips": [{"version": "4", "interface": 0, "address": "172.17.0.11/16"}],
    }
    assert json.loads(network_status(plan, [macvlan, {}])) == [
        {
            "name": "kube-ovn",
            "interface": "eth0",
            "ips": ["10.16.0.12", "fd00::c"],
            "mac": "36:7c:6b:c7:82:6b",
            "dns": {},
            "default": True,
        },
        {"name": "default/eth1", "interface": "net1", "ips": ["172.17.0.11"], "mac": "62:d8:71:90:7b:86", "dns": {}},
        {"name": "a/b", "interface": "net2", "ips": [], "mac": "", "dns": {}},
    ]


def test_the_end_of_a_bridges_veth_on_the_node_is_not_the_pods() -> None:
    plan = NetworkPlan(ETH0, (Attachment("net1", ("a", "b"), ()),), ())
    bridge = {
        "interfaces": [
            {"name": "mgmt0", "mac": "aa:aa:aa:aa:aa:aa"},
            {"name": "veth1", "mac": "bb:bb:bb:bb:bb:bb"},
            {"name": "net1", "mac": "cc:cc:cc:cc:cc:cc", "sandbox": "/run/netns/x"},
        ]
    }
    assert json.loads(network_status(plan, [bridge]))[1]["mac"] == "cc:cc:cc:cc:cc:cc"


def test_an_error_says_what_kubelet_is_to_show() -> None:
    assert error_answer(CniError(11, "pod default/x: waits")) == {
        "cniVersion": "0.3.1",
        "code": 11,
        "msg": "pod default/x: waits",
        "details": "",
    }


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ('{"cniVersion":"0.3.0","code":999,"msg":"no master","details":"eth1"}', "no master eth1"),
        ('{"code":100,"msg":"gone"}', "gone"),
        ("panic: x\n", "panic: x"),
        ("[]", "[]"),
        ("", ""),
    ],
)
def test_a_plugins_failure_is_told_in_its_own_words(output: str, said: str) -> None:
    assert failure_of(output) == said
