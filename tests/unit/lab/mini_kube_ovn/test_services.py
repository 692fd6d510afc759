"""Services and their endpoints -> the vips of the default VPC's load balancers."""

from typing import Any

import pytest

from veg_lab.mini_kube_ovn.services import BALANCERS, LoadBalancer, load_balancers

Json = dict[str, Any]


def service(name: str = "veg-nats", **spec: Any) -> Json:
    ports = [{"name": "nats", "port": 4222, "targetPort": 4223, "protocol": "TCP"}]
    meta = {"name": name, "namespace": "kube-system"}
    return {"metadata": meta, "spec": {"clusterIPs": ["10.96.42.22"], "ports": ports, **spec}}


def piece(*addresses: str, of: str = "veg-nats", ready: bool | None = None, port: str | None = "nats") -> Json:
    conditions = {} if ready is None else {"ready": ready}
    meta = {"name": "x", "namespace": "kube-system", "labels": {"kubernetes.io/service-name": of}}
    endpoints = [{"addresses": [address], "conditions": conditions} for address in addresses]
    return {"metadata": meta, "endpoints": endpoints, "ports": [{"name": port, "port": 4223, "protocol": "TCP"}]}


def vips(services: list[Json], pieces: list[Json]) -> dict[str, str]:
    """Those of cluster-tcp-loadbalancer; the others have none."""
    first, *others = load_balancers(services, pieces)
    assert first.name == "cluster-tcp-loadbalancer"
    assert not any(other.vips for other in others)
    return dict(first.vips)


def test_all_balancers_are_there_without_a_service() -> None:
    found = load_balancers([], [])
    assert tuple(each.name for each in found) == BALANCERS
    assert found[1] == LoadBalancer(
        "cluster-tcp-session-loadbalancer", "tcp", {}, {"affinity_timeout": "10800"}, ("ip_src",)
    )
    assert found[2] == LoadBalancer("cluster-udp-loadbalancer", "udp", {})


def test_a_service_leads_to_its_endpoints_wherever_they_are() -> None:
    pieces = [piece("172.18.0.3"), piece("10.16.0.9", ready=True), piece("10.16.0.10", of="other")]
    assert vips([service()], pieces) == {"10.96.42.22:4222": "10.16.0.9:4223,172.18.0.3:4223"}


@pytest.mark.parametrize(
    "pieces", [[], [piece()], [piece("10.16.0.9", ready=False)], [piece("fd00::9")], [piece("10.16.0.9", port="web")]]
)
def test_without_a_ready_endpoint_of_its_port_and_family_there_is_no_vip(pieces: list[Json]) -> None:
    assert vips([service()], pieces) == {}


def test_a_headless_service_has_none() -> None:
    assert vips([service(clusterIPs=["None"])], [piece("10.16.0.9")]) == {}
    assert vips([service(clusterIPs=[])], [piece("10.16.0.9")]) == {}


def test_a_port_without_a_name_and_both_families() -> None:
    both = service(clusterIPs=["10.96.0.9", "fd00:96::9"], ports=[{"port": 80}])
    found = vips([both], [piece("10.16.0.9", port=None), piece("fd00::9", port="")])
    assert found == {"10.96.0.9:80": "10.16.0.9:4223", "[fd00:96::9]:80": "[fd00::9]:4223"}


def test_clients_that_stay_with_one_endpoint_have_a_balancer_of_their_own() -> None:
    sticky = service(sessionAffinity="ClientIP")
    found = {each.name: dict(each.vips) for each in load_balancers([sticky], [piece("10.16.0.9")])}
    assert found.pop("cluster-tcp-session-loadbalancer") == {"10.96.42.22:4222": "10.16.0.9:4223"}
    assert not any(found.values())
