"""Kubernetes objects as the API server gives them, short to write in a test."""

from collections.abc import Callable
from typing import Any

import pytest

Json = dict[str, Any]


def _meta(name: str, namespace: str = "") -> Json:
    return {
        "name": name,
        "namespace": namespace,
        "uid": f"uid-{name}",
        "annotations": {},
        "creationTimestamp": "2024-01-01T00:00:00Z",
    }


def _pod(name: str, node: str = "kube-ovn-worker", **annotations: str) -> Json:
    """Annotations are given as `ovn__ip_address` for `ovn.kubernetes.io/ip_address`."""
    keys = {"networks": "k8s.v1.cni.cncf.io/networks"}
    for key in annotations:
        provider, separator, field = key.partition("__")
        if separator:
            keys[key] = f"{provider.replace('_', '.')}.kubernetes.io/{field}"
    return {
        "metadata": {**_meta(name, "default"), "annotations": {keys[key]: value for key, value in annotations.items()}},
        "spec": {"nodeName": node, "containers": []},
    }


def _subnet(name: str, cidr: str, **spec: Any) -> Json:
    return {"metadata": _meta(name), "spec": {"cidrBlock": cidr, **spec}}


def _vpc(name: str, **spec: Any) -> Json:
    return {"metadata": _meta(name), "spec": spec}


def _node() -> Json:
    return {
        "metadata": {**_meta("kube-ovn-worker"), "annotations": {"ovn.kubernetes.io/ip_address": "100.64.0.3"}},
        "spec": {},
        "status": {
            "addresses": [{"type": "InternalIP", "address": "172.18.0.2"}],
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def _cluster(**more: list[Json]) -> dict[str, list[Json]]:
    external = _subnet("macvlan1", "172.17.0.0/16", provider="eth1.default", excludeIps=["172.17.0.0..172.17.0.10"])
    config = '{"type": "macvlan", "ipam": {"type": "kube-ovn", "provider": "eth1.default"}}'
    objects: dict[str, list[Json]] = {
        "Vpc": [_vpc("ovn-cluster")],
        "Subnet": [_subnet("ovn-default", "10.16.0.0/16"), _subnet("join", "100.64.0.0/16"), external],
        "IPPool": [],
        "Pod": [],
        "Namespace": [{"metadata": _meta("default")}],
        "Node": [_node()],
        "NetworkAttachmentDefinition": [{"metadata": _meta("eth1", "default"), "spec": {"config": config}}],
        "Service": [],
        "EndpointSlice": [],
    }
    return {kind: found + more.get(kind, []) for kind, found in objects.items()}


@pytest.fixture
def cluster() -> Callable[..., dict[str, list[Json]]]:
    """The document's base cluster with one node, and more objects by kind."""
    return _cluster


@pytest.fixture
def pod() -> Callable[..., Json]:
    return _pod


@pytest.fixture
def subnet() -> Callable[..., Json]:
    return _subnet


@pytest.fixture
def vpc() -> Callable[..., Json]:
    return _vpc
