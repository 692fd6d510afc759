"""The document's first example, step by step as the document goes: created, looked at, used, scaled, edited, deleted.

The tests of this module stand on each other, in this order.
"""

import re
import shlex
import time
from collections.abc import Iterator

import pytest
from support.clients import CLIENT_IMAGE
from support.lab import Lab, eventually, example, gateway_manifest
from support.traffic import unbroken_ping
from support.vpcs import fetch

SERVER = "172.17.0.1"
CLIENTS = 64


@pytest.fixture(scope="module", autouse=True)
def gateway1(lab: Lab, client: str) -> Iterator[None]:  # noqa: ARG001  # the client comes first, as a workload would
    lab.apply(example("gateway1.yaml"))
    lab.ready("gateway1", 1)
    yield
    lab.kubectl("delete", "veg", "gateway1", "--ignore-not-found")
    lab.kubectl("delete", "deployment", "clients", "--ignore-not-found")


def columns(text: str) -> list[dict[str, str]]:
    """A kubectl table as rows, by the header's columns."""
    header, *lines = text.splitlines()
    starts = [match.start() for match in re.finditer(r"(?<!\S)\S+(?: \S+)*", header)]
    bounds = list(zip(starts, [*starts[1:], None], strict=True))
    names = [header[begin:end].strip() for begin, end in bounds]
    return [dict(zip(names, (line[begin:end].strip() for begin, end in bounds), strict=True)) for line in lines]


def test_get_veg_shows_the_documents_columns(lab: Lab) -> None:
    (row,) = columns(lab.kubectl("get", "veg", "gateway1"))
    row.pop("AGE")
    assert row == {
        "NAME": "gateway1",
        "VPC": "ovn-cluster",
        "REPLICAS": "1",
        "BFD ENABLED": "false",
        "EXTERNAL SUBNET": "macvlan1",
        "PHASE": "Completed",
        "READY": "true",
    }


def test_get_veg_wide_shows_addresses_and_node(lab: Lab) -> None:
    (pod,) = lab.gateway_pods("gateway1")
    (row,) = columns(lab.kubectl("get", "veg", "gateway1", "-o", "wide"))
    assert row["INTERNAL IPS"] == f'["{pod["status"]["podIP"]}"]'
    assert re.fullmatch(r'\["172\.17\.0\.\d+"\]', row["EXTERNAL IPS"])
    assert row["WORKING NODES"] == f'["{pod["spec"]["nodeName"]}"]'


def test_the_workload_is_found_by_the_documents_label(lab: Lab) -> None:
    label = "ovn.kubernetes.io/vpc-egress-gateway=gateway1"
    (deployment,) = columns(lab.kubectl("get", "deployment", "-l", label))
    assert (deployment["NAME"], deployment["READY"], deployment["UP-TO-DATE"], deployment["AVAILABLE"]) == (
        "gateway1",
        "1/1",
        "1",
        "1",
    )
    (pod,) = columns(lab.kubectl("get", "pod", "-l", label, "-o", "wide"))
    assert (pod["READY"], pod["STATUS"], pod["RESTARTS"]) == ("1/1", "Running", "0")


def test_describe_explains(lab: Lab) -> None:
    text = lab.kubectl("describe", "veg", "gateway1")
    assert re.search(r"Type:\s+Ready", text)
    assert re.search(r"Normal\s+ReconcileSuccess\s.*1 pod serves", text)
    assert re.search(r"Normal\s+Processing\s.*waits for", text)


def test_inside_the_pod_it_looks_as_in_the_document(lab: Lab) -> None:
    (pod,) = lab.gateway_pods("gateway1")
    name, internal = pod["metadata"]["name"], pod["status"]["podIP"]
    external = lab.gateway("gateway1")["status"]["externalIPs"][0]

    shown = lab.exec(name, "ip", "address", "show", container="gateway")
    assert f"inet {external}/16 brd 172.17.255.255 scope global net1" in shown
    assert f"inet {internal}/16 brd 10.16.255.255 scope global eth0" in shown
    routes = [line.strip() for line in lab.exec(name, "ip", "route", "show", container="gateway").splitlines()]
    assert sorted(routes) == sorted(
        [
            "default via 172.17.0.1 dev net1",
            f"10.16.0.0/16 dev eth0 proto kernel scope link src {internal}",
            f"172.17.0.0/16 dev net1 proto kernel scope link src {external}",
        ]
    )
    assert lab.exec(name, "iptables", "-t", "nat", "-S", container="gateway").splitlines() == [
        "-P PREROUTING ACCEPT",
        "-P INPUT ACCEPT",
        "-P OUTPUT ACCEPT",
        "-P POSTROUTING ACCEPT",
        "-A POSTROUTING -s 10.16.0.0/16 -j MASQUERADE --random-fully",
    ]


def test_the_gateway_container_has_no_more_rights_than_it_needs(lab: Lab) -> None:
    (pod,) = lab.gateway_pods("gateway1")
    status = lab.exec(pod["metadata"]["name"], "cat", "/proc/self/status", container="gateway")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Uid"].split()[0] == "65534"
    net_admin_and_net_raw = (1 << 12) | (1 << 13)
    assert int(fields["CapBnd"], 16) == net_admin_and_net_raw


def test_the_policies_in_ovn_are_the_documents(lab: Lab) -> None:
    """And those that Kube-OVN has for one more Subnet of the VPC, the management network of gateways of other VPCs."""
    (pod,) = lab.gateway_pods("gateway1")
    found = [line.split() for line in lab.nbctl("lr-policy-list", "ovn-cluster").splitlines()[1:]]
    assert sorted(found) == sorted(
        line.split()
        for line in f"""
31000 ip4.dst == 10.16.0.0/16 allow
31000 ip4.dst == 100.64.0.0/16 allow
30000 ip4.dst == 172.18.0.2 reroute 100.64.0.3
30000 ip4.dst == 172.18.0.3 reroute 100.64.0.2
30000 ip4.dst == 172.18.0.4 reroute 100.64.0.4
29100 ip4.src == 10.16.0.0/16 reroute {pod["status"]["podIP"]}
29000 ip4.src == $ovn.default.kube.ovn.control.plane_ip4 reroute 100.64.0.2
29000 ip4.src == $ovn.default.kube.ovn.worker2_ip4 reroute 100.64.0.4
29000 ip4.src == $ovn.default.kube.ovn.worker_ip4 reroute 100.64.0.3
31000 ip4.dst == 10.250.0.0/16 allow
29000 ip4.src == $veg.mgmt.kube.ovn.control.plane_ip4 reroute 100.64.0.2
29000 ip4.src == $veg.mgmt.kube.ovn.worker2_ip4 reroute 100.64.0.4
29000 ip4.src == $veg.mgmt.kube.ovn.worker_ip4 reroute 100.64.0.3
""".strip().splitlines()
    )


def test_the_server_sees_the_gateways_external_address(lab: Lab, client: str) -> None:
    assert fetch(lab, client) == lab.gateway("gateway1")["status"]["externalIPs"][0]


def test_a_capture_shows_the_documents_four_lines(lab: Lab, client: str) -> None:
    (pod,) = lab.gateway_pods("gateway1")
    external = lab.gateway("gateway1")["status"]["externalIPs"][0]
    source = lab.get("pod", client)["status"]["podIP"]
    words = ["tcpdump", "-l", "-i", "any", "-nn", "-c", "4", "icmp", "and", "host", SERVER]
    # In a shell, as the document types it.
    shell = ["bash", "-c", f"{shlex.join(words)}; :"]
    with lab.background("exec", pod["metadata"]["name"], "-c", "gateway", "--", *shell) as capture:
        assert capture.process.stdout is not None
        while "listening on any" not in capture.process.stdout.readline():
            assert capture.process.poll() is None, "tcpdump ended"
        lab.exec(client, "ping", "-c", "1", "-W", "3", SERVER)
        text = capture.output()
    pattern = r"(eth0|net1)\s+(In|Out)\s+IP (\S+) > (\S+): ICMP echo (request|reply)"
    assert re.findall(pattern, text) == [
        ("eth0", "In", source, SERVER, "request"),
        ("net1", "Out", external, SERVER, "request"),
        ("net1", "In", SERVER, external, "reply"),
        ("eth0", "Out", SERVER, source, "reply"),
    ]


def test_scaling_to_two_loses_no_ping(lab: Lab, client: str) -> None:
    with unbroken_ping(lab, f"default/{client}", at_least=300):
        lab.kubectl("scale", "veg", "gateway1", "--replicas=2")
        found = lab.ready("gateway1", 2)
        time.sleep(2)
    policies = lab.policies(29100)
    assert policies == {"ip4.src == 10.16.0.0/16": sorted(found["status"]["internalIPs"])}


def test_both_gateways_carry_traffic_of_64_clients(lab: Lab) -> None:
    labels = {"app": "clients"}
    container = {"name": "client", "image": CLIENT_IMAGE, "command": ["sleep", "infinity"]}
    lab.apply(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "clients", "namespace": "default"},
            "spec": {
                "replicas": CLIENTS,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
        }
    )

    def ready() -> bool:
        status = lab.get("deployment", "clients")["status"]
        return bool(status.get("readyReplicas", 0) == CLIENTS)

    eventually(ready, 120, "64 clients are ready")
    names = [item["metadata"]["name"] for item in lab.get("pod", "-l", "app=clients")["items"]]
    seen = [fetch(lab, name) for name in names]
    external = lab.gateway("gateway1")["status"]["externalIPs"]
    assert set(seen) == set(external)
    assert min(seen.count(address) for address in external) >= CLIENTS // 8


def test_editing_policies_restarts_no_gateway_pod(lab: Lab) -> None:
    before = {pod["metadata"]["uid"] for pod in lab.gateway_pods("gateway1")}
    edited = gateway_manifest("gateway1", replicas=2)
    edited["spec"]["policies"][0]["ipBlocks"] = ["10.99.0.0/24"]
    lab.apply(edited)

    nexthops = sorted(lab.gateway("gateway1")["status"]["internalIPs"])
    wanted = {"ip4.src == 10.16.0.0/16": nexthops, "ip4.src == 10.99.0.0/24": nexthops}
    eventually(lambda: lab.policies(29100) == wanted, 20, "both policies are in OVN")
    pods = lab.gateway_pods("gateway1")
    assert {pod["metadata"]["uid"] for pod in pods} == before
    for pod in pods:
        name = pod["metadata"]["name"]
        rules = lab.exec(name, "iptables", "-t", "nat", "-S", "POSTROUTING", container="gateway").splitlines()
        assert "-A POSTROUTING -s 10.99.0.0/24 -j MASQUERADE --random-fully" in rules
        assert "10.99.0.0/24 via 10.16.0.1 dev eth0" in lab.exec(name, "ip", "route", container="gateway")
        assert all(status["restartCount"] == 0 for status in pod["status"]["containerStatuses"])
    lab.ready("gateway1", 2)


def test_deleting_leaves_nothing_but_history(lab: Lab) -> None:
    lab.kubectl("delete", "veg", "gateway1", "--timeout=60s")

    assert not lab.exists("veg", "gateway1")
    assert lab.owned_rows("default/gateway1") == ""
    assert lab.policies(29100) == {}
    assert not lab.exists("deployment", "gateway1")
    assert not lab.exists("pod", "-l", "ovn.kubernetes.io/vpc-egress-gateway=gateway1")
    assert "gateway1" not in lab.call("nats", "kv")
    history = lab.sql("SELECT count(*) AS events FROM event WHERE data->>'gateway' = 'default/gateway1'")
    assert history[0]["events"] > 10
