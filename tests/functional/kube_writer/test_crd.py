"""The CRD as users meet it: columns, defaults, scale, and what it refuses. And the rights of the two services."""

from typing import Any

import pytest
from functional.control_plane import RefusedError
from functional.kube_writer.conftest import Cluster, Space

STATUS = {
    "replicas": 1,
    "labelSelector": "app=vpc-egress-gateway,ovn.kubernetes.io/vpc-egress-gateway=gateway1",
    "ready": True,
    "phase": "Completed",
    "internalIPs": ["10.16.0.12"],
    "externalIPs": ["172.17.0.11"],
    "workload": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "gateway1", "nodes": ["kube-ovn-worker"]},
    "conditions": [],
}


def columns(text: str) -> list[list[str]]:
    """The table that kubectl prints; two spaces or more separate columns."""
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in text.splitlines()]


def test_kubectl_shows_the_columns_of_the_document(cluster: Cluster, space: Space) -> None:
    space.create_gateway()
    cluster.plane.patch(f"{space.gateways}/gateway1/status", {"status": STATUS})
    header, row = columns(cluster.kubectl("get", "veg", "gateway1", "-n", space.name))
    assert header == ["NAME", "VPC", "REPLICAS", "BFD ENABLED", "EXTERNAL SUBNET", "PHASE", "READY", "AGE"]
    assert row[:-1] == ["gateway1", "ovn-cluster", "1", "false", "macvlan1", "Completed", "true"]
    header, row = columns(cluster.kubectl("get", "vpc-egress-gw", "gateway1", "-n", space.name, "-o", "wide"))
    assert header[6:] == ["READY", "INTERNAL IPS", "EXTERNAL IPS", "WORKING NODES", "AGE"]
    assert row[6:-1] == ["true", '["10.16.0.12"]', '["172.17.0.11"]', '["kube-ovn-worker"]']


def test_kubectl_scales_a_gateway(cluster: Cluster, space: Space) -> None:
    space.create_gateway()
    cluster.plane.patch(f"{space.gateways}/gateway1/status", {"status": STATUS})
    said = cluster.kubectl("scale", "veg", "gateway1", "--replicas=2", "-n", space.name)
    assert said == "vpcegressgateway.kubeovn.io/gateway1 scaled\n"
    assert space.gateway()["spec"]["replicas"] == 2
    scale = cluster.plane.request("GET", f"{space.gateways}/gateway1/scale")
    assert scale["status"] == {"replicas": 1, "selector": STATUS["labelSelector"]}


def test_defaults_are_filled_in(space: Space) -> None:
    space.create_gateway(replicas=None, policies=[{"subnets": ["ovn-default"]}])
    assert space.gateway()["spec"] == {
        "vpc": "ovn-cluster",
        "replicas": 1,
        "externalSubnet": "macvlan1",
        "bfd": {"enabled": False, "minRX": 1000, "minTX": 1000, "multiplier": 3},
        "policies": [{"snat": False, "subnets": ["ovn-default"]}],
        "trafficPolicy": "Cluster",
        "podAntiAffinity": "Preferred",
    }


ADDRESSES = {
    "internalIPs": ["10.16.0.101", "fd00::11", "10.16.0.102,fd00::12"],
    "externalIPs": ["172.17.0.10", "fc00::10,172.17.0.11"],
}
POOLS = {"internalIPPool": "pool1", "externalIPPool": "pool2"}


@pytest.mark.parametrize("fixed", [ADDRESSES, POOLS])
def test_every_field_is_kept(space: Space, fixed: dict[str, Any]) -> None:
    expressions = [{"key": "a", "operator": "In", "values": ["b"]}]
    whole: dict[str, Any] = {
        "vpc": "vpc1",
        "replicas": 2,
        "prefix": "veg-",
        "image": "registry.example/gateway:1",
        "internalSubnet": "subnet1",
        "externalSubnet": "ext1",
        **fixed,
        "bfd": {"enabled": True, "minRX": 500, "minTX": 500, "multiplier": 1},
        "policies": [{"snat": True, "ipBlocks": ["192.168.0.1", "192.168.0.0/24", "fd00::/64"], "subnets": ["s"]}],
        "selectors": [
            {
                "namespaceSelector": {"matchLabels": {"a": "b"}, "matchExpressions": expressions},
                "podSelector": {"matchLabels": {"a": "b"}, "matchExpressions": expressions},
            },
            {},
        ],
        "nodeSelector": [
            {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "n", "operator": "Gt", "values": ["1"]}]},
            {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["kube-ovn-worker"]}]},
        ],
        "trafficPolicy": "Local",
        "podAntiAffinity": "Required",
        "tolerations": [{"key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 3}],
        "resources": {"limits": {"cpu": 1, "memory": "64Mi"}, "requests": {"cpu": "10m"}},
    }
    space.create_gateway(**whole)
    assert space.gateway()["spec"] == whole


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"externalSubnet": None}, "spec.externalSubnet"),
        ({"externalSubnet": ""}, "spec.externalSubnet"),
        ({"replicas": -1}, "spec.replicas"),
        ({"replicas": 11}, "spec.replicas"),
        ({"replicas": "two"}, "spec.replicas"),
        ({"prefix": "No_"}, "spec.prefix"),
        ({"bfd": {"minRX": 0}}, "spec.bfd.minRX"),
        ({"bfd": {"minTX": 3_600_001}}, "spec.bfd.minTX"),
        ({"bfd": {"multiplier": 256}}, "spec.bfd.multiplier"),
        ({"internalIPs": ["10.16.0.1/16"]}, "spec.internalIPs[0]"),
        ({"externalIPs": ["172.17.0.10", "172.17.0.10"]}, "spec.externalIPs[1]"),
        ({"policies": [{"ipBlocks": ["10.16.0.0/33"]}]}, "spec.policies[0].ipBlocks[0]"),
        ({"policies": [{"subnets": [""]}]}, "spec.policies[0].subnets[0]"),
        ({"policies": [{"snat": "yes", "subnets": ["a"]}]}, "spec.policies[0].snat"),
        ({"selectors": [{"podSelector": {"matchLabels": {"a": 1}}}]}, "spec.selectors[0].podSelector.matchLabels"),
        (
            {"selectors": [{"podSelector": {"matchExpressions": [{"key": "a", "operator": "Gt"}]}}]},
            "spec.selectors[0].podSelector.matchExpressions[0].operator",
        ),
        (
            {"nodeSelector": [{"matchFields": [{"key": "metadata.name", "operator": "Exists"}]}]},
            "spec.nodeSelector[0].matchFields[0].operator",
        ),
        ({"trafficPolicy": "Global"}, "spec.trafficPolicy"),
        ({"podAntiAffinity": "No"}, "spec.podAntiAffinity"),
        ({"tolerations": [{"effect": "Sometimes"}]}, "spec.tolerations[0].effect"),
        ({"resources": {"limits": {"cpu": "much"}}}, "spec.resources.limits"),
    ],
)
def test_a_bad_spec_is_refused_and_the_field_is_named(space: Space, spec: dict[str, Any], field: str) -> None:
    with pytest.raises(RefusedError) as refused:
        space.create_gateway(**spec)
    assert refused.value.code == 422
    assert field in str(refused.value)


def test_a_status_without_a_phase_or_conditions_is_refused(cluster: Cluster, space: Space) -> None:
    space.create_gateway()
    with pytest.raises(RefusedError) as refused:
        cluster.plane.patch(f"{space.gateways}/gateway1/status", {"status": {"ready": True}})
    assert "status.conditions" in str(refused.value)


@pytest.mark.parametrize("kind", ["veg", "vpcs.kubeovn.io", "pods", "nodes", "namespaces", "deployments.apps"])
def test_the_watcher_may_read_and_not_write(cluster: Cluster, kind: str) -> None:
    assert can(cluster, "watcher", "list", kind)
    assert can(cluster, "watcher", "watch", kind)
    assert not any(can(cluster, "watcher", verb, kind) for verb in ("create", "patch", "delete"))


def test_the_kube_writer_may_write_its_objects_and_no_other(cluster: Cluster) -> None:
    may = (
        ("patch", "veg"),
        ("patch", "veg/status"),
        ("patch", "vpcs.kubeovn.io/status"),
        ("create", "deployments.apps"),
        ("patch", "deployments.apps"),
        ("delete", "deployments.apps"),
        ("create", "events"),
    )
    may_not = (
        ("create", "veg"),
        ("delete", "veg"),
        ("list", "pods"),
        ("get", "secrets"),
        ("deletecollection", "deployments.apps"),
        ("patch", "nodes"),
        ("patch", "subnets.kubeovn.io"),
        ("patch", "vpcs.kubeovn.io"),
        ("update", "vpcs.kubeovn.io/status"),
        ("delete", "vpcs.kubeovn.io"),
    )
    assert [order for order in may if not can(cluster, "kube-writer", *order)] == []
    assert [order for order in may_not if can(cluster, "kube-writer", *order)] == []


def can(cluster: Cluster, user: str, verb: str, resource: str) -> bool:
    """Ask the authorizer by itself: kubectl warns about kinds that are not installed here."""
    plural, _, subresource = resource.partition("/")
    name, _, group = plural.partition(".")
    wanted = {"verb": verb, "resource": name, "group": group, "subresource": subresource, "namespace": "default"}
    if name == "veg":
        wanted |= {"resource": "vpc-egress-gateways", "group": "kubeovn.io"}
    review = {"spec": {"user": user, "groups": ["system:authenticated"], "resourceAttributes": wanted}}
    answer = cluster.plane.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    return bool(answer["status"]["allowed"])
