"""Where the pods of a gateway are, under which addresses, and as what: each field that says so, on a real scheduler."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.lab import Lab, LabCommandError, conditions, eventually, example, gateway_manifest

SERVER = "172.17.0.1"
WORKER, WORKER2 = "kube-ovn-worker", "kube-ovn-worker2"
SOURCE = [{"snat": True, "ipBlocks": ["10.94.0.0/24"]}]
HOSTNAME = "kubernetes.io/hostname"

Create = Callable[..., Any]


@pytest.fixture
def create(lab: Lab) -> Iterator[Create]:
    """Applies a gateway `placed` with these fields; it is gone when the test is over."""

    def apply(**spec: object) -> None:
        lab.apply(gateway_manifest("placed", **({"policies": SOURCE} | spec)))

    yield apply
    lab.kubectl("delete", "veg", "placed", "--ignore-not-found", "--timeout=60s")
    assert not lab.exists("deployment", "-l", "ovn.kubernetes.io/vpc-egress-gateway=placed")


def nodes(lab: Lab) -> list[str]:
    return sorted(pod["spec"].get("nodeName", "") for pod in lab.gateway_pods("placed"))


def pool(name: str, subnet: str, *ips: str) -> dict[str, Any]:
    spec = {"subnet": subnet, "ips": list(ips)}
    return {"apiVersion": "kubeovn.io/v1", "kind": "IPPool", "metadata": {"name": name}, "spec": spec}


def test_the_documents_external_ips_and_node_selector(lab: Lab, client: str, create: Create) -> None:
    """The example as it stands, under another name: both pods on the one node, with exactly these addresses."""
    manifest = example("gateway1-placed.yaml")
    create(**manifest["spec"])
    status = lab.ready("placed", 2)["status"]
    assert sorted(status["externalIPs"]) == ["172.17.0.10", "172.17.0.11"]
    assert status["workload"]["nodes"] == [WORKER]
    assert nodes(lab) == [WORKER, WORKER]
    for pod in lab.gateway_pods("placed"):
        shown = lab.exec(pod["metadata"]["name"], "ip", "-4", "-o", "address", "show", "net1", container="gateway")
        assert any(f"inet {address}/16" in shown for address in manifest["spec"]["externalIPs"])
    seen = lab.exec(client, "curl", "-s", "--max-time", "5", f"http://{SERVER}/").strip()
    assert seen in manifest["spec"]["externalIPs"]


def test_internal_ips(lab: Lab, create: Create) -> None:
    create(replicas=2, internalIPs=["10.16.200.1", "10.16.200.2", "10.16.200.3"])
    found = set(lab.ready("placed", 2)["status"]["internalIPs"])
    assert len(found) == 2
    assert found < {"10.16.200.1", "10.16.200.2", "10.16.200.3"}


def test_ip_pools(lab: Lab, create: Create) -> None:
    pools = [
        pool("inner", "ovn-default", "10.16.201.1..10.16.201.5"),
        pool("outer", "macvlan1", "172.17.201.0/29"),
    ]
    lab.apply(*pools)
    create(replicas=2, internalIPPool="inner", externalIPPool="outer")
    status = lab.ready("placed", 2)["status"]
    assert all(address.startswith("10.16.201.") for address in status["internalIPs"])
    assert all(address.startswith("172.17.201.") for address in status["externalIPs"])
    lab.kubectl("delete", "veg", "placed", "--timeout=60s")
    lab.kubectl("delete", "ippool", "inner", "outer")


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ([{"matchLabels": {HOSTNAME: WORKER2}}], {WORKER2}),
        ([{"matchExpressions": [{"key": HOSTNAME, "operator": "NotIn", "values": [WORKER, WORKER2]}]}], {"other"}),
        ([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [WORKER2]}]}], {WORKER2}),
        ([{"matchLabels": {HOSTNAME: WORKER}}, {"matchLabels": {HOSTNAME: WORKER2}}], {WORKER, WORKER2}),
    ],
    ids=["labels", "expressions", "fields", "terms are ORed"],
)
def test_node_selector(lab: Lab, create: Create, terms: list[Any], expected: set[str]) -> None:
    create(replicas=2, nodeSelector=terms)
    shown = lab.ready("placed", 2)["status"]["workload"]["nodes"]
    assert set(shown) == {"kube-ovn-control-plane" if name == "other" else name for name in expected}
    assert sorted(set(nodes(lab))) == shown


def test_a_node_that_does_not_exist_is_awaited(lab: Lab, create: Create) -> None:
    create(nodeSelector=[{"matchLabels": {HOSTNAME: "nowhere"}}])

    def said() -> bool:
        text = conditions(lab.gateway("placed")).get("Ready", "")
        assert "waits for pod default/placed-" in text, text
        return "node none" in text

    eventually(said, 30, "the condition says which pod has no node")


def test_tolerations(lab: Lab, create: Create) -> None:
    lab.kubectl("taint", "node", WORKER2, "reserved=gateways:NoSchedule")
    try:
        selector = [{"matchLabels": {HOSTNAME: WORKER2}}]
        create(nodeSelector=selector)
        eventually(lambda: "node none" in conditions(lab.gateway("placed")).get("Ready", ""), 30, "it is not scheduled")
        create(nodeSelector=selector, tolerations=[{"key": "reserved", "operator": "Exists", "effect": "NoSchedule"}])
        assert lab.ready("placed", 1)["status"]["workload"]["nodes"] == [WORKER2]
    finally:
        lab.kubectl("taint", "node", WORKER2, "reserved-")


def test_resources_image_and_prefix(lab: Lab, create: Create) -> None:
    resources = {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "96Mi"}}
    image = "localhost/veg/gw-agent:other"
    create(resources=resources, image=image, prefix="egress-")
    status = lab.ready("placed", 1)["status"]
    assert status["workload"]["name"] == "egress-placed"
    (pod,) = lab.gateway_pods("placed")
    assert pod["metadata"]["name"].startswith("egress-placed-")
    (container,) = pod["spec"]["containers"]
    assert container["resources"] == resources
    assert container["image"] == image


def test_the_prefix_cannot_change(lab: Lab, create: Create) -> None:
    """The API server refuses it; the planner would, too, where an older CRD let it pass."""
    create(prefix="egress-")
    lab.ready("placed", 1)
    with pytest.raises(LabCommandError, match=r"spec\.prefix: Invalid value: .*immutable"):
        create(prefix="other-")
    assert not lab.exists("deployment", "other-placed")
    lab.ready("placed", 1)


def test_anti_affinity_spreads_the_pods(lab: Lab, create: Create) -> None:
    create(replicas=3)
    assert len(lab.ready("placed", 3)["status"]["workload"]["nodes"]) == 3


def test_required_anti_affinity_never_shares_a_node(lab: Lab, create: Create) -> None:
    create(replicas=2, nodeSelector=[{"matchLabels": {HOSTNAME: WORKER}}], podAntiAffinity="Required")
    eventually(lambda: len(lab.gateway_pods("placed")) == 2, 30, "there are two pods")
    eventually(lambda: "node none" in conditions(lab.gateway("placed")).get("Ready", ""), 30, "one has no node")
    assert [node for node in nodes(lab) if node] == [WORKER]
