"""How gateway pods reach the bus, and what that takes of the cluster: Services and nodes as pods reach them.

A gateway of each kind: the document's first example, and one of a VPC of its own.
"""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from support.clients import await_running, client_pod, inside
from support.lab import Lab, eventually, example
from support.vpcs import egress, fetch, subnet, vpc

BUS, PORT = "10.96.42.22", "4222"
MANAGEMENT = "10.250.0.0/16"
TENANT = "tenant"  # a client in the other VPC
ASK_WHO = """\
cd /var/run/secrets/kubernetes.io/serviceaccount && curl -s --max-time 5 --cacert ca.crt \
  -H "Authorization: Bearer $(cat token)" -H "Content-Type: application/json" \
  -d '{"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}' \
  https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT/apis/authentication.k8s.io/v1/selfsubjectreviews
"""


@pytest.fixture(scope="module", autouse=True)
def gateways(lab: Lab, client: str) -> Iterator[None]:  # noqa: ARG001  # the client comes first, as a workload would
    lab.apply(vpc("vpcw"), subnet("subnetw", "IPv4", "192.168.90.0/24", vpc="vpcw"))
    policies = [{"snat": True, "subnets": ["subnetw"]}]
    other = egress("way", vpc="vpcw", internalSubnet="subnetw", externalSubnet="macvlan1", policies=policies)
    lab.apply(example("gateway1.yaml"), other, client_pod(TENANT, subnet="subnetw"))
    for name in ("gateway1", "way"):
        lab.ready(name, 1)
    await_running(lab, f"default/{TENANT}")
    yield
    lab.kubectl("delete", "pod", TENANT)
    lab.kubectl("delete", "veg", "gateway1", "way", "--timeout=60s")
    lab.kubectl("delete", "subnet", "subnetw")
    lab.kubectl("delete", "vpc", "vpcw")


def in_gateway(lab: Lab, gateway: str, *words: str) -> str:
    (pod,) = lab.gateway_pods(gateway)
    return lab.exec(pod["metadata"]["name"], *words, container="gateway")


def addresses(lab: Lab, gateway: str) -> dict[str, str]:
    """Link -> its IPv4 address, of all links but the loopback."""
    shown = json.loads(in_gateway(lab, gateway, "ip", "-json", "-4", "address", "show"))
    return {each["ifname"]: each["addr_info"][0]["local"] for each in shown if each["ifname"] != "lo"}


def lines(text: str) -> list[str]:
    return sorted(line.strip() for line in text.splitlines())


def reaches(lab: Lab, pod: str, *words: str) -> bool:
    return subprocess.run(inside(lab, f"default/{pod}", *words), capture_output=True, check=False).returncode == 0


def test_links_and_routes_of_a_gateway_of_the_default_vpc_are_the_references(lab: Lab) -> None:
    found = addresses(lab, "gateway1")
    assert list(found) in (["net1", "eth0"], ["eth0", "net1"])
    assert lines(in_gateway(lab, "gateway1", "ip", "route", "show")) == sorted(
        [
            "default via 172.17.0.1 dev net1",
            f"10.16.0.0/16 dev eth0 proto kernel scope link src {found['eth0']}",
            f"172.17.0.0/16 dev net1 proto kernel scope link src {found['net1']}",
        ]
    )


@pytest.mark.parametrize(
    ("gateway", "interface", "via"), [("gateway1", "eth0", "10.16.0.1"), ("way", "net2", "10.250.0.1")]
)
def test_the_bus_has_a_rule_and_a_table_of_its_own(lab: Lab, gateway: str, interface: str, via: str) -> None:
    assert in_gateway(lab, gateway, "ip", "rule", "show").splitlines()[1:3] == [
        f"118:\tfrom all to {BUS} iif lo lookup 118 proto 118",
        f"119:\tfrom all to {BUS} iif lo unreachable proto 118",
    ]
    shown = in_gateway(lab, gateway, "ip", "route", "show", "table", "118")
    assert lines(shown) == [f"{BUS} via {via} dev {interface} proto 118"]


@pytest.mark.parametrize(("gateway", "interface"), [("gateway1", "eth0"), ("way", "net2")])
def test_the_agent_is_connected_by_it(lab: Lab, gateway: str, interface: str) -> None:
    (pod,) = lab.gateway_pods(gateway)
    words = inside(lab, f"default/{pod['metadata']['name']}", "ss", "-Htn", "state", "established")
    shown = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    pairs = [line.split()[-2:] for line in shown.splitlines()]
    own = addresses(lab, gateway)[interface]
    assert [local.rpartition(":")[0] for local, peer in pairs if peer == f"{BUS}:{PORT}"] == [own]


def test_the_management_interface_of_another_vpcs_gateway_leads_to_the_bus_only(lab: Lab) -> None:
    found = addresses(lab, "way")
    assert set(found) == {"eth0", "net1", "net2"}
    (pod,) = lab.gateway_pods("way")
    annotations = pod["metadata"]["annotations"]
    assert annotations["veg-mgmt.kube-system.ovn.kubernetes.io/ip_address"] == found["net2"]
    status = json.loads(annotations["k8s.v1.cni.cncf.io/network-status"])
    assert [item["ips"] for item in status if item["name"] == "kube-system/veg-mgmt"] == [[found["net2"]]]
    port = f"{pod['metadata']['name']}.default.veg-mgmt.kube-system.ovn"
    assert found["net2"] in lab.nbctl("lsp-get-addresses", port)
    assert lines(in_gateway(lab, "way", "ip", "route", "show")) == sorted(
        [
            "default via 172.17.0.1 dev net1",
            f"192.168.90.0/24 dev eth0 proto kernel scope link src {found['eth0']}",
            f"172.17.0.0/16 dev net1 proto kernel scope link src {found['net1']}",
            f"{MANAGEMENT} dev net2 proto kernel scope link src {found['net2']}",
        ]
    )


def test_what_is_forwarded_does_not_go_to_the_bus(lab: Lab) -> None:
    for gateway, client, interface in (("gateway1", "10.16.200.1", "eth0"), ("way", "192.168.90.200", "eth0")):
        shown = in_gateway(lab, gateway, "ip", "route", "get", BUS, "from", client, "iif", interface)
        assert "via 172.17.0.1 dev net1" in shown
    assert fetch(lab, TENANT) == lab.gateway("way")["status"]["externalIPs"][0]  # its traffic does pass the gateway
    assert not reaches(lab, TENANT, "nc", "-z", "-w", "2", BUS, PORT)


def test_a_client_of_another_vpc_does_not_get_into_the_management_network(lab: Lab) -> None:
    """It asks for the network's gateway, which answers the gateway pod itself."""
    ping = ("ping", "-c", "1", "-W", "2", "10.250.0.1")
    (pod,) = lab.gateway_pods("way")
    assert reaches(lab, pod["metadata"]["name"], *ping)
    before = dropped(lab)
    assert not reaches(lab, TENANT, *ping)
    assert dropped(lab) > before


def dropped(lab: Lab) -> int:
    """Packets that were to be forwarded into net2."""
    rules = in_gateway(lab, "way", "iptables", "-t", "mangle", "-L", "FORWARD", "-v", "-n", "-x").splitlines()
    (rule,) = [words for words in map(str.split, rules) if words[2:3] == ["DROP"] and "net2" in words[6:7]]
    return int(rule[0])


def test_a_pod_reaches_the_api_server_as_its_service_account_though_a_gateway_serves_it(lab: Lab, client: str) -> None:
    assert fetch(lab, client) == lab.gateway("gateway1")["status"]["externalIPs"][0]
    answer = json.loads(lab.exec(client, "sh", "-c", ASK_WHO))
    assert answer["status"]["userInfo"]["username"] == "system:serviceaccount:default:default"


def web(name: str, path: str) -> dict[str, Any]:
    pod = client_pod(name, labels={"app": "web"})
    (container,) = pod["spec"]["containers"]
    container["command"] = ["python3", "-m", "http.server", "8080", "--directory", "/usr/share/misc"]
    container["readinessProbe"] = {"httpGet": {"path": path, "port": 8080}, "periodSeconds": 1}
    return pod


def test_a_service_leads_to_the_pods_that_answer_the_kubelets_http_probe(lab: Lab, client: str) -> None:
    service = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}
    meta = {"name": "web", "namespace": "default"}
    lab.apply(
        {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": service},
        web("well", "/"),
        web("ill", "/none"),
    )
    try:
        await_running(lab, "default/well")
        address = lab.get("service", "web")["spec"]["clusterIP"]
        words = inside(
            lab, f"default/{client}", "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"http://{address}/"
        )
        eventually(
            lambda: subprocess.run(words, capture_output=True, text=True, check=False).stdout == "200", 20, "200"
        )
        backend = f"{lab.get('pod', 'well')['status']['podIP']}:8080"
        assert vips(lab)[f"{address}:80"] == backend  # the other one has failed its probe
    finally:
        lab.kubectl("delete", "service/web", "pod/well", "pod/ill")
    eventually(lambda: f"{address}:80" not in vips(lab), 20, "the vip goes with its Service")


def test_a_switch_with_load_balancers_drops_nothing_that_it_has_not_seen_begin(lab: Lab) -> None:
    """Connection tracking comes with load balancers, and connections move from one gateway to another."""
    assert "ct_lb_mark" in (flows := lab.call("sbctl", "lflow-list", "ovn-default"))
    assert "ct.inv" not in flows


def vips(lab: Lab) -> dict[str, str]:
    words = ("--format=json", "--columns=vips", "find", "Load_Balancer", "name=cluster-tcp-loadbalancer")
    ((_, pairs),) = json.loads(lab.nbctl(*words))["data"][0]
    return dict(pairs)
