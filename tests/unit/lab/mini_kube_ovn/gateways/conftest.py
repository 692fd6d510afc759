"""A gateway of Kube-OVN's own in the document's cluster."""

from collections.abc import Callable
from typing import Any

import pytest

Json = dict[str, Any]


def _gateway(**spec: Any) -> Json:
    meta = {"namespace": "default", "name": "gateway1", "uid": "uid-gateway1", "generation": 1}
    policies = [{"snat": True, "subnets": ["ovn-default"]}]
    return {
        "metadata": {**meta, "creationTimestamp": "2024-01-01T00:00:00Z"},
        "spec": {"externalSubnet": "macvlan1", "replicas": 1, "policies": policies, **spec},
    }


def _gateway_pod(pod: Json, ip: str) -> Json:
    status = (
        f'[{{"name": "kube-ovn", "ips": ["{ip}"]}}, {{"name": "default/eth1", "ips": ["172.17.0.11"]}}]'  # as Multus
    )
    pod["metadata"]["labels"] = {
        "app": "vpc-egress-gateway",
        "ovn.kubernetes.io/vpc-egress-gateway": "gateway1",
    }
    pod["metadata"]["annotations"]["k8s.v1.cni.cncf.io/network-status"] = status
    ready = [{"type": "Ready", "status": "True"}]
    pod["status"] = {"phase": "Running", "podIPs": [{"ip": ip}], "conditions": ready}
    return pod


@pytest.fixture
def own(cluster: Callable[..., Any]) -> Callable[..., dict[str, list[Json]]]:
    """The document's cluster with this gateway and these pods."""

    def made(gateway: Json, *pods: Json, **more: list[Json]) -> dict[str, list[Json]]:
        found: dict[str, list[Json]] = cluster(Pod=list(pods), **more)
        found["Vpc"][0]["status"] = {"defaultLogicalSwitch": "ovn-default"}
        return found | {"VpcEgressGateway": [gateway], "Deployment": []}

    return made


@pytest.fixture
def gateway() -> Callable[..., Json]:
    return _gateway


@pytest.fixture
def gateway_pod(pod: Callable[..., Any]) -> Callable[[str], Json]:
    return lambda ip: _gateway_pod(pod("gw"), ip)
