import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veg_contracts.base import encode
from veg_contracts.objects import (
    PROJECTIONS,
    AnyProjection,
    Attachment,
    BfdPort,
    Deployment,
    DisruptionBudget,
    EgressGateway,
    IPPool,
    Namespace,
    NetworkAttachment,
    Node,
    Pod,
    Subnet,
    Vpc,
)
from veg_watcher.project import PROJECTORS


def made(kind: str, metadata: dict[str, Any], **rest: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **rest}


STATUS = [
    {"name": "kube-ovn", "interface": "eth0", "ips": ["10.16.0.12"], "default": True},
    {"name": "default/eth1", "interface": "net1", "ips": ["172.17.0.11"], "mac": "9e:00:00:00:00:01"},
]

GATEWAY_POD = made(
    "Pod",
    {
        "name": "gateway1-0",
        "namespace": "default",
        "labels": {"app": "vpc-egress-gateway"},
        "annotations": {
            "ovn.kubernetes.io/allocated": "true",
            "ovn.kubernetes.io/logical_router": "ovn-cluster",
            "ovn.kubernetes.io/logical_switch": "ovn-default",
            "k8s.v1.cni.cncf.io/network-status": json.dumps(STATUS),
        },
    },
    spec={"nodeName": "kube-ovn-worker"},
    status={
        "phase": "Running",
        "podIP": "10.16.0.12",
        "podIPs": [{"ip": "10.16.0.12"}, {"ip": "fd00::c"}],
        "conditions": [{"type": "Ready", "status": "True", "lastProbeTime": None}],
    },
)


def test_egress_gateway() -> None:
    raw = made(
        "VpcEgressGateway",
        {
            "name": "gateway1",
            "namespace": "default",
            "generation": 3,
            "creationTimestamp": "2025-01-01T00:00:00Z",
            "finalizers": ["vpc-egress-gateway.io/finalizer"],
            "managedFields": [
                {"manager": "kubectl"},
                {"manager": "kubectl", "subresource": "status"},
                {"manager": "vpc-egress-gateway", "subresource": "status", "time": "2025-01-01T00:00:00Z"},
            ],
        },
        spec={"replicas": 1, "externalSubnet": "eth1"},
        status={"phase": "Pending"},
    )
    assert PROJECTORS["VpcEgressGateway"](raw) == EgressGateway(
        name="gateway1",
        namespace="default",
        generation=3,
        created_at="2025-01-01T00:00:00Z",
        finalizers=("vpc-egress-gateway.io/finalizer",),
        spec={"replicas": 1, "externalSubnet": "eth1"},
    )


def test_k4_whoever_else_writes_the_status_is_named_once_and_without_times() -> None:
    def seen(at: str) -> EgressGateway:
        written = [
            {"manager": manager, "subresource": "status", "time": at}
            for manager in ("other", "kube-ovn-controller", "kube-ovn-controller", "vpc-egress-gateway", "kubectl-edit")
        ]
        raw = made("VpcEgressGateway", {"name": "a", "managedFields": [*written, {"manager": "helm"}, "odd", None]})
        found = PROJECTORS["VpcEgressGateway"](raw)
        assert isinstance(found, EgressGateway)
        return found

    assert seen("1").status_managers == ("kube-ovn-controller", "other")
    assert not seen("1").conflict
    raw = made("VpcEgressGateway", {"name": "a"}) | {"status": {"conditions": [{"type": "Conflict", "status": "True"}]}}
    assert PROJECTORS["VpcEgressGateway"](raw).conflict  # type: ignore[union-attr]
    assert seen("1") == seen("2")


@pytest.mark.parametrize(
    ("managers", "foreign"),
    [
        ([], False),
        ([("kube-ovn-controller", ""), ("kube-controller-manager", "status")], True),
        ([("kube-ovn-controller", ""), ("vpc-egress-gateway", "")], False),
        ([("kube-controller-manager", "status")], False),
    ],
)
def test_k4_a_deployment_of_which_we_wrote_nothing_is_foreign(managers: list[tuple[str, str]], foreign: bool) -> None:
    written = [{"manager": manager, "subresource": subresource} for manager, subresource in managers]
    found = PROJECTORS["Deployment"](made("Deployment", {"name": "a", "managedFields": written}))
    assert isinstance(found, Deployment)
    assert found.foreign == foreign


def test_a_gateway_with_a_spec_of_the_wrong_type_is_seen_without_one() -> None:
    raw = made("VpcEgressGateway", {"name": "a", "deletionTimestamp": "2025-01-01T00:00:00Z"}, spec=["garbage"])
    assert PROJECTORS["VpcEgressGateway"](raw) == EgressGateway(name="a", generation=0, created_at="", deleting=True)


def test_vpc_with_a_bfd_port() -> None:
    raw = made(
        "Vpc",
        {"name": "vpc1"},
        spec={"bfdPort": {"enabled": True, "ip": "10.255.255.255", "nodeSelector": {"matchLabels": {"a": "b"}}}},
        status={
            "router": "vpc1",
            "defaultLogicalSwitch": "subnet1",
            "bfdPort": {"name": "bfd@vpc1", "ip": "10.255.255.255", "nodes": ["n1"]},
        },
    )
    port = BfdPort(
        enabled=True,
        ip="10.255.255.255",
        node_selector={"matchLabels": {"a": "b"}},
        status_name="bfd@vpc1",
        status_ip="10.255.255.255",
    )
    assert PROJECTORS["Vpc"](raw) == Vpc(name="vpc1", router="vpc1", default_subnet="subnet1", bfd_port=port)


def test_the_addresses_of_a_bfd_port_are_trimmed() -> None:
    port = {"enabled": True, "ip": " 10.255.255.255 , fd00::255,"}
    raw = made("Vpc", {"name": "vpc1"}, spec={"bfdPort": port}, status={"bfdPort": {"name": "n", "ip": port["ip"]}})
    ip = "10.255.255.255,fd00::255"
    assert PROJECTORS["Vpc"](raw) == Vpc(
        name="vpc1", bfd_port=BfdPort(enabled=True, ip=ip, status_name="n", status_ip=ip)
    )


@pytest.mark.parametrize(
    ("selector", "told"),
    [
        (None, None),
        ({}, {}),
        ({"matchLabels": "garbage"}, {"matchLabels": "garbage"}),
        ("garbage", {"matchLabels": "garbage"}),
        ([], {"matchLabels": []}),
    ],
)
def test_a_malformed_bfd_port_reaches_the_planner(selector: Any, told: Any) -> None:
    raw = made("Vpc", {"name": "vpc1"}, spec={"bfdPort": {"ip": "10.255/x, y", "nodeSelector": selector}})
    assert PROJECTORS["Vpc"](raw) == Vpc(name="vpc1", bfd_port=BfdPort(ip="10.255/x,y", node_selector=told))


def test_k7_a_vpc_of_a_kube_ovn_without_the_field_asks_for_a_bfd_port_by_annotation() -> None:
    annotations = {"vpc-egress-gateway.io/bfd-port": "10.255.255.255, fd00::255"}
    metadata = {"name": "vpc1", "annotations": annotations}
    port = BfdPort(enabled=True, annotated=True, ip="10.255.255.255,fd00::255")
    assert PROJECTORS["Vpc"](made("Vpc", metadata, spec={})) == Vpc(name="vpc1", bfd_port=port)
    annotations["vpc-egress-gateway.io/bfd-port-node-selector"] = "a=b, c=d"
    nodes = BfdPort(
        enabled=True, annotated=True, ip="10.255.255.255,fd00::255", node_selector={"matchLabels": {"a": "b", "c": "d"}}
    )
    assert PROJECTORS["Vpc"](made("Vpc", metadata, spec={})) == Vpc(name="vpc1", bfd_port=nodes)
    field = made("Vpc", metadata, spec={"bfdPort": {"ip": "10.0.0.1"}})
    assert PROJECTORS["Vpc"](field) == Vpc(name="vpc1", bfd_port=BfdPort(ip="10.0.0.1")), (
        "the field, where there is one"
    )


def test_vpc_without_one() -> None:
    assert PROJECTORS["Vpc"](made("Vpc", {"name": "ovn-cluster"}, spec={}, status={})) == Vpc(name="ovn-cluster")


def test_subnet() -> None:
    spec = {
        "vpc": "ovn-cluster",
        "provider": "ovn",
        "cidrBlock": "10.16.0.0/16,fd00::/64",
        "gateway": "10.16.0.1,fd00::1",
    }
    raw = made("Subnet", {"name": "a"}, spec=spec, status={"conditions": [{"type": "Validated", "status": "True"}]})
    assert PROJECTORS["Subnet"](raw) == Subnet(
        name="a",
        vpc="ovn-cluster",
        provider="ovn",
        cidr="10.16.0.0/16,fd00::/64",
        gateway="10.16.0.1,fd00::1",
        validated=True,
    )


@pytest.mark.parametrize(
    "conditions", [None, "x", [], [None], [{"type": "Validated", "status": True}], [{"type": "Ready"}]]
)
def test_a_subnet_is_validated_only_by_the_condition_itself(conditions: Any) -> None:
    found = PROJECTORS["Subnet"](made("Subnet", {"name": "a"}, status={"conditions": conditions}))
    assert found == Subnet(name="a")


def test_ip_pool() -> None:
    raw = made("IPPool", {"name": "p"}, spec={"subnet": "s", "ips": ["10.0.0.1..10.0.0.9", 7]})
    assert PROJECTORS["IPPool"](raw) == IPPool(name="p", subnet="s", ips=("10.0.0.1..10.0.0.9",))


def test_pod() -> None:
    assert PROJECTORS["Pod"](GATEWAY_POD) == Pod(
        name="gateway1-0",
        namespace="default",
        labels={"app": "vpc-egress-gateway"},
        node="kube-ovn-worker",
        phase="Running",
        ready=True,
        ips=("10.16.0.12", "fd00::c"),
        allocated=True,
        logical_router="ovn-cluster",
        logical_switch="ovn-default",
        attachments=(
            Attachment(network="kube-ovn", interface="eth0", ips=("10.16.0.12",)),
            Attachment(network="default/eth1", interface="net1", ips=("172.17.0.11",)),
        ),
    )


def test_a_pod_without_a_list_of_addresses_has_its_one() -> None:
    raw = made("Pod", {"name": "p"}, spec={"hostNetwork": True}, status={"podIP": "10.16.0.9"})
    assert PROJECTORS["Pod"](raw) == Pod(name="p", host_network=True, ips=("10.16.0.9",))


@pytest.mark.parametrize(
    "annotation",
    [
        "",
        "{",
        "null",
        "7",
        "{}",
        '["x", null, {"name": 7}]',
        '"\\ud800"',
        "1e999",
        "[" * 100_000,
        "\ud800",
        {"not": "text"},
    ],
)
def test_a_pod_whose_network_status_is_garbage_has_no_attachments(annotation: Any) -> None:
    raw = made("Pod", {"name": "p", "annotations": {"k8s.v1.cni.cncf.io/network-status": annotation}})
    assert PROJECTORS["Pod"](raw) == Pod(name="p")


def test_namespace_and_labels_that_are_none() -> None:
    assert PROJECTORS["Namespace"](made("Namespace", {"name": "n", "labels": {"a": "b"}})) == Namespace(
        name="n", labels={"a": "b"}
    )
    assert PROJECTORS["Namespace"](made("Namespace", {"name": "n", "labels": ["a"]})) == Namespace(name="n")


def heartbeat(at: str) -> dict[str, Any]:
    condition = {"type": "Ready", "status": "True", "lastHeartbeatTime": at}
    metadata = {
        "name": "kube-ovn-worker",
        "resourceVersion": at,
        "labels": {"kubernetes.io/hostname": "kube-ovn-worker"},
        "annotations": {"ovn.kubernetes.io/port_name": "node-kube-ovn-worker", "ovn.kubernetes.io/chassis": "c1"},
    }
    return made("Node", metadata, status={"conditions": [condition]})


def test_a_heartbeat_changes_nothing() -> None:
    expected = Node(
        name="kube-ovn-worker",
        labels={"kubernetes.io/hostname": "kube-ovn-worker"},
        ready=True,
        port_name="node-kube-ovn-worker",
        chassis="c1",
    )
    assert PROJECTORS["Node"](heartbeat("1")) == PROJECTORS["Node"](heartbeat("2")) == expected


def test_deployment_with_its_owner() -> None:
    foreign = {"apiVersion": "example.com/v1", "kind": "VpcEgressGateway", "uid": "other"}
    owner = {"apiVersion": "kubeovn.io/v1", "kind": "VpcEgressGateway", "name": "gateway1", "uid": "uid-1"}
    raw = made(
        "Deployment",
        {"name": "gateway1", "namespace": "default", "generation": 2, "ownerReferences": [foreign, owner]},
        spec={"replicas": 2},
        status={"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 1},
    )
    assert PROJECTORS["Deployment"](raw) == Deployment(
        name="gateway1",
        namespace="default",
        generation=2,
        observed_generation=2,
        owner_uid="uid-1",
        replicas_wanted=2,
        replicas=2,
        updated=2,
        available=1,
    )


def test_of_a_budget_only_what_tells_an_edit_matters() -> None:
    labels = {"app": "vpc-egress-gateway"}
    metadata = {"name": "gateway1", "namespace": "default", "generation": 3, "labels": labels}
    expected = DisruptionBudget(name="gateway1", namespace="default", generation=3, labels=labels)
    for healthy in (1, 2):  # its status changes with each pod
        raw = made("PodDisruptionBudget", metadata, status={"currentHealthy": healthy})
        assert PROJECTORS["PodDisruptionBudget"](raw) == expected


@pytest.mark.parametrize(
    ("owner", "digest", "deployment"),
    [
        ({"kind": "ReplicaSet", "name": "kgw-gateway1-5d8f"}, "5d8f", "kgw-gateway1"),
        ({"kind": "ReplicaSet", "name": "gateway1"}, "5d8f", ""),
        ({"kind": "ReplicaSet", "name": "gateway1-"}, "", ""),
        ({"kind": "StatefulSet", "name": "gateway1-5d8f"}, "5d8f", ""),
        ("odd", "5d8f", ""),
    ],
)
def test_a_pod_names_its_deployment(owner: object, digest: str, deployment: str) -> None:
    raw = made("Pod", {"name": "p", "labels": {"pod-template-hash": digest}, "ownerReferences": [owner]})
    found = PROJECTORS["Pod"](raw)
    assert isinstance(found, Pod)
    assert found.deployment == deployment


def test_network_attachment() -> None:
    raw = made(
        "NetworkAttachmentDefinition", {"name": "eth1", "namespace": "default"}, spec={"config": '{"type":"macvlan"}'}
    )
    assert PROJECTORS["NetworkAttachmentDefinition"](raw) == NetworkAttachment(
        name="eth1", namespace="default", config='{"type":"macvlan"}'
    )


# Names that the projections read, so that arbitrary objects reach the code behind them.
_WORDS = """
    metadata name namespace labels annotations spec status conditions type podIPs ip podIP bfdPort nodeSelector enabled
    finalizers generation ownerReferences kind apiVersion uid config ips replicas deletionTimestamp
    k8s.v1.cni.cncf.io/network-status ovn.kubernetes.io/allocated
"""
_NAMES = st.sampled_from(_WORDS.split())
_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(["Ready", "True", "[{}]", "{"])
_LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXTS
_JSON = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3), max_leaves=8
)
_SHAPED = st.fixed_dictionaries(
    {},
    optional={
        "metadata": st.dictionaries(_NAMES, _JSON, max_size=4),
        "spec": st.dictionaries(_NAMES, _JSON, max_size=4),
        "status": _JSON,
    },
)
_OBJECTS = _SHAPED | st.dictionaries(_TEXTS, _JSON, max_size=4)


def decoded(projection: AnyProjection, kind: type[AnyProjection]) -> AnyProjection:
    return msgspec.json.decode(encode(projection), type=kind)


@pytest.mark.parametrize("kind", PROJECTIONS, ids=lambda kind: kind.KIND)
@given(raw=_OBJECTS)
def test_any_object_has_a_projection_that_survives_the_wire(kind: type[AnyProjection], raw: dict[str, Any]) -> None:
    projection = PROJECTORS[kind.KIND](raw)
    assert isinstance(projection, kind)
    assert encode(decoded(projection, kind)) == encode(projection)
