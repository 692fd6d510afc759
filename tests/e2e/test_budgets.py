"""The PodDisruptionBudget of a gateway: a drain takes one of its pods after the other, and never waits for ever."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support.lab import Lab, eventually
from support.vpcs import egress, subnet

NODE, OTHER = "kube-ovn-worker2", "kube-ovn-worker"
PAIR, SINGLE = "budget-pair", "budget-single"
SUBNETS = {PAIR: ("budget-pair", "10.56.0.0/24"), SINGLE: ("budget-single", "10.57.0.0/24")}
DRAIN = ("drain", NODE, "--ignore-daemonsets", "--delete-emptydir-data", "--pod-selector=app=vpc-egress-gateway")


@pytest.fixture(scope="module", autouse=True)
def gateways(lab: Lab) -> Iterator[None]:
    """A gateway of two pods and one of one pod, all on NODE; OTHER may take them from there."""
    where = [{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE, OTHER]}]}]
    lab.kubectl("cordon", OTHER)
    for (name, (network, cidr)), replicas in zip(SUBNETS.items(), (2, 1), strict=True):
        lab.apply(subnet(network, "IPv4", cidr))
        policies = [{"snat": True, "subnets": [network]}]
        lab.apply(egress(name, replicas=replicas, externalSubnet="macvlan1", policies=policies, nodeSelector=where))
    lab.ready(PAIR, 2)
    lab.ready(SINGLE, 1)
    lab.kubectl("uncordon", OTHER)
    yield
    lab.kubectl("uncordon", NODE, OTHER)
    lab.kubectl("delete", "veg", *SUBNETS, "--timeout=90s")
    lab.kubectl("delete", "subnet", *(network for network, _ in SUBNETS.values()))


def budget(lab: Lab, name: str) -> Any:
    return lab.get("pdb", name)


def counted(lab: Lab, name: str) -> bool:
    """Whether it is known that one pod may go."""
    return bool(budget(lab, name)["status"].get("disruptionsAllowed") == 1)


def nodes_of(lab: Lab, name: str) -> list[str]:
    return [pod["spec"]["nodeName"] for pod in lab.gateway_pods(name) if "nodeName" in pod["spec"]]


def are_ready(lab: Lab, name: str) -> int:
    """How many pods of the gateway serve and are to stay."""
    conditions = [item for pod in lab.gateway_pods(name) for item in pod["status"].get("conditions", [])]
    return [item["status"] for item in conditions if item["type"] == "Ready"].count("True")


def test_it_is_put_right_after_an_edit_and_after_a_deletion(lab: Lab) -> None:
    wide = json.dumps({"spec": {"maxUnavailable": 2}})
    lab.kubectl("patch", "pdb", PAIR, "--type=merge", "-p", wide)
    eventually(lambda: budget(lab, PAIR)["spec"]["maxUnavailable"] == 1, 20, "the edit is undone")
    before = budget(lab, PAIR)["metadata"]["uid"]
    lab.kubectl("delete", "pdb", PAIR)
    eventually(lambda: lab.exists("pdb", PAIR) and budget(lab, PAIR)["metadata"]["uid"] != before, 20, "it is back")


def test_a_drain_takes_one_pod_of_a_gateway_after_the_other(lab: Lab) -> None:
    assert nodes_of(lab, PAIR) == [NODE, NODE]
    assert nodes_of(lab, SINGLE) == [NODE]
    eventually(lambda: counted(lab, PAIR) and counted(lab, SINGLE), 20, "the budgets have been counted")
    fewest = 2
    with lab.background("kubectl", *DRAIN, "--timeout=180s") as draining:
        while draining.process.poll() is None:
            fewest = min(fewest, are_ready(lab, PAIR))
        said = draining.output()
    assert draining.process.returncode == 0, said
    assert "Cannot evict pod as it would violate the pod's disruption budget" in said
    assert fewest == 1
    lab.ready(PAIR, 2)
    lab.ready(SINGLE, 1)
    assert nodes_of(lab, PAIR) == [OTHER, OTHER]
    assert nodes_of(lab, SINGLE) == [OTHER]
