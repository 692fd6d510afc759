"""Nodes that fail, come back, come new, are drained and are taken away: kubelets, and Kubernetes' own controllers."""

import json
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from support.clients import await_running, client_pod, inside
from support.lab import Lab, eventually
from support.vpcs import egress, fetch, subnet

NODE, OTHER, ADDED = "kube-ovn-worker2", "kube-ovn-worker", "kube-ovn-worker3"
GATEWAY, MOVING = "survivor", "moving"
CLIENT, DOOMED, ASKER = "nodes-client", "nodes-doomed", "nodes-asker"
UNREACHABLE = "node.kubernetes.io/unreachable"
# Slow enough that a busy machine does not take a living pod for a dead one.
BFD = {"enabled": True, "minRX": 300, "minTX": 300}
OWN_TAINT = {"key": "example.com/own", "value": "x", "effect": "PreferNoSchedule"}
NOTICED_S = 30  # the control plane gives a silent node 8 s


def on_node(name: str, node: str) -> dict[str, Any]:
    pod = client_pod(name, subnet="nodes-dual")
    pod["spec"]["nodeSelector"] = {"kubernetes.io/hostname": node}
    return pod


def only_on(*nodes: str) -> list[dict[str, Any]]:
    return [{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": list(nodes)}]}]


@pytest.fixture(scope="module", autouse=True)
def pods(lab: Lab) -> Iterator[None]:
    """A gateway with a pod on NODE, two clients there, and one elsewhere; NODE has a taint of somebody else."""
    lab.apply(subnet("nodes-dual", "Dual", "10.52.0.0/24,fd00:52::/64"))
    port = {"enabled": True, "ip": "10.255.255.255,fdff::1"}
    lab.kubectl("patch", "vpc", "ovn-cluster", "--type=merge", "-p", json.dumps({"spec": {"bfdPort": port}}))
    policies = [{"snat": True, "subnets": ["nodes-dual"]}]
    spec = {"replicas": 2, "externalSubnet": "macvlan1", "bfd": BFD, "policies": policies}
    lab.apply(egress(GATEWAY, **spec, nodeSelector=only_on(NODE, OTHER)))
    lab.apply(on_node(CLIENT, NODE), on_node(DOOMED, NODE), on_node(ASKER, OTHER))
    taint = f"{OWN_TAINT['key']}={OWN_TAINT['value']}:{OWN_TAINT['effect']}"
    lab.kubectl("taint", "node", NODE, taint, "--overwrite")
    await_running(lab, *(f"default/{name}" for name in (CLIENT, DOOMED, ASKER)))
    lab.ready(GATEWAY, 2)
    yield
    lab.call("node", "restore", NODE)
    lab.kubectl("taint", "node", NODE, f"{OWN_TAINT['key']}-")
    lab.kubectl("delete", "veg", GATEWAY, "--timeout=60s")
    lab.kubectl("delete", "pod", CLIENT, ASKER)
    lab.kubectl("patch", "vpc", "ovn-cluster", "--type=merge", "-p", '{"spec": {"bfdPort": null}}')
    lab.kubectl("delete", "subnet", "nodes-dual")


def node_state(lab: Lab, name: str) -> tuple[str, list[tuple[str, str]]]:
    """The status of its Ready, and its taints."""
    node = lab.get("node", name)
    (ready,) = [item["status"] for item in node["status"]["conditions"] if item["type"] == "Ready"]
    return ready, sorted((item["key"], item["effect"]) for item in node["spec"].get("taints", []))


def pods_of(lab: Lab, name: str) -> dict[str, Any]:
    """The pods of a node that are to stay, by name: who they are, how often restarted, and with what network."""
    items = lab.get("pod", f"--field-selector=spec.nodeName={name}")["items"]
    return {
        item["metadata"]["name"]: {
            "uid": item["metadata"]["uid"],
            "restarts": [container["restartCount"] for container in item["status"]["containerStatuses"]],
            "network": network(lab, item["metadata"]["name"]),
        }
        for item in items
        if item["metadata"]["name"] != DOOMED
    }


def network(lab: Lab, pod: str) -> list[str]:
    """Addresses and routes of both families. In which order they are listed differs from time to time."""
    return sorted(
        line.strip()
        for words in (["-br", "addr"], ["-4", "route"], ["-6", "route"])
        for line in run_inside(lab, pod, "ip", *words).splitlines()
    )


def run_inside(lab: Lab, pod: str, *words: str) -> str:
    return subprocess.run(inside(lab, f"default/{pod}", *words), capture_output=True, text=True, check=True).stdout


def ready_pods(lab: Lab, node: str) -> set[str]:
    items = lab.get("pod", f"--field-selector=spec.nodeName={node}")["items"]
    pairs = {(item["metadata"]["name"], c["type"], c["status"]) for item in items for c in item["status"]["conditions"]}
    return {name for name, kind, status in pairs if (kind, status) == ("Ready", "True")}


def hops(lab: Lab) -> set[str]:
    """The nexthops of everything the gateways steer."""
    return {hop for found in lab.policies(29100).values() for hop in found}


def hears(lab: Lab, node: str) -> bool:
    """Whether the node answers on the node network."""
    (address,) = [
        item["address"] for item in lab.get("node", node)["status"]["addresses"] if item["type"] == "InternalIP"
    ]
    words = ["nsenter", f"--net=/run/netns/{lab.name}", "ping", "-c", "1", "-W", "1", address]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


def test_a_node_that_fails_is_cut_off_and_comes_back_as_it_was(lab: Lab) -> None:
    before = pods_of(lab, NODE)
    (gateway_pod,) = [pod for pod in lab.gateway_pods(GATEWAY) if pod["spec"]["nodeName"] == NODE]
    own = (OWN_TAINT["key"], OWN_TAINT["effect"])
    assert hears(lab, NODE)
    began = time.monotonic()
    lab.call("node", "fail", NODE)
    print(f"node fail took {time.monotonic() - began:.2f} s")
    assert not hears(lab, NODE)
    eventually(lambda: gateway_pod["status"]["podIP"] not in hops(lab), 10, "its gateway pod serves nobody any more")
    eventually(lambda: fetch(lab, ASKER), 10, "the other gateway pod serves")

    gone = ("Unknown", sorted([own, (UNREACHABLE, "NoExecute"), (UNREACHABLE, "NoSchedule")]))
    eventually(lambda: node_state(lab, NODE) == gone, NOTICED_S, "the cluster knows that the node is unreachable")
    eventually(lambda: ready_pods(lab, NODE) == set(), 10, "its pods are not ready")
    assert not lab.gateway(GATEWAY)["status"]["ready"]

    lab.kubectl("delete", "pod", DOOMED, "--wait=false", "--grace-period=1")
    lab.call("node", "fail", NODE)  # again: nothing changes
    assert lab.exists("pod", DOOMED), "nobody is there who could end it"
    assert node_state(lab, NODE) == gone

    lab.call("node", "restore", NODE)
    eventually(lambda: node_state(lab, NODE) == ("True", [own]), NOTICED_S, "the node is back")
    eventually(lambda: ready_pods(lab, NODE) == set(before), 30, "its pods are ready, but the deleted one")
    lab.ready(GATEWAY, 2)
    assert pods_of(lab, NODE) == before
    eventually(lambda: not lab.exists("pod", DOOMED), 30, "the deleted pod is gone")
    assert fetch(lab, CLIENT) in lab.gateway(GATEWAY)["status"]["externalIPs"]


def test_a_gateway_pod_of_a_dead_node_is_evicted_and_another_node_gets_one(lab: Lab) -> None:
    """By the taint that the node lifecycle controller sets, after the time that the gateway tolerates it."""
    patience = {"key": UNREACHABLE, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 3}
    policies = [{"snat": True, "ipBlocks": ["10.52.0.200/32"]}]
    spec = {"replicas": 1, "externalSubnet": "macvlan1", "policies": policies, "tolerations": [patience]}
    lab.apply(egress(MOVING, **spec, nodeSelector=only_on(NODE)))
    try:
        lab.ready(MOVING, 1)
        (first,) = lab.gateway_pods(MOVING)
        lab.kubectl("patch", "veg", MOVING, "--type=merge", "-p", json.dumps({"spec": {"nodeSelector": None}}))
        lab.call("node", "fail", first["spec"]["nodeName"])
        eventually(lambda: lab.gateway_pods(MOVING)[0]["metadata"]["name"] != first["metadata"]["name"], 60, "evicted")
        lab.ready(MOVING, 1)
        (second,) = lab.gateway_pods(MOVING)
        assert second["spec"]["nodeName"] != first["spec"]["nodeName"]
    finally:
        lab.call("node", "restore", NODE)
        lab.kubectl("delete", "veg", MOVING, "--timeout=60s")
    lab.ready(GATEWAY, 2)


def test_a_node_that_is_added_runs_pods_and_can_be_drained_and_removed(lab: Lab) -> None:
    name = "nodes-added"
    lab.call("node", "add", ADDED, timeout_s=120)
    try:
        lab.apply(on_node(name, ADDED))
        await_running(lab, f"default/{name}")
        assert lab.get("pod", name)["status"]["hostIP"] == "172.18.0.5"
        eventually(lambda: fetch(lab, name) in lab.gateway(GATEWAY)["status"]["externalIPs"], 10, "it gets out")
        lab.kubectl("drain", ADDED, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=60s")
        assert not lab.exists("pod", name)
    finally:
        lab.kubectl("delete", "pod", name, "--ignore-not-found")
        lab.call("node", "remove", ADDED, timeout_s=120)
    eventually(lambda: ADDED not in lab.call("sbctl", "list", "Chassis"), 20, "its chassis goes with it")
    assert not lab.exists("node", ADDED)
