"""What the pods of a gateway are: which of them serve, what is missing, and whom the gateway selects. No I/O."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from veg_lab.mini_kube_ovn.gateways.model import Gateway
from veg_lab.mini_kube_ovn.model import Json
from veg_lab.mini_kube_ovn.names import OVN_PROVIDER, annotation, pod_port
from veg_lab.mini_kube_ovn.selectors import matches

_STATUS_ANNOTATION = "k8s.v1.cni.cncf.io/network-status"


@dataclass(frozen=True)
class GatewayPod:
    """A pod that traffic is sent to."""

    name: str
    node: str
    internal: tuple[str, ...]
    external: tuple[str, ...]


@dataclass(frozen=True)
class Workload:
    pods: tuple[GatewayPod, ...]
    missing: tuple[str, ...]
    """Why the gateway is not ready, for a person."""


def workload(gateway: Gateway, pods: Sequence[Json], network: str) -> Workload:
    """Pods that run and have both addresses serve, ready or not."""
    found, missing = [], []
    for pod in pods:
        meta, status = pod["metadata"], pod.get("status") or {}
        if meta["namespace"] != gateway.meta["namespace"] or not matches({"matchLabels": gateway.labels}, _labels(pod)):
            continue
        if meta.get("deletionTimestamp"):
            continue
        name = f"pod {meta['namespace']}/{meta['name']}"
        internal = tuple(entry["ip"] for entry in status.get("podIPs") or ())
        external = _addresses(pod, network)
        if status.get("phase") != "Running" or not _is_ready(status):
            missing.append(f"{name} is not ready")
        if status.get("phase") != "Running":
            continue
        if not internal or not external:
            missing.append(f"{name} has no pod IP" if not internal else f"{name} has no network status for network")
            continue
        found.append(GatewayPod(meta["name"], pod["spec"].get("nodeName", ""), internal, external))
    if len(found) != gateway.replicas:
        missing.append(f"expected {gateway.replicas} networked workload pods with network {network}, got {len(found)}")
    return Workload(tuple(sorted(found, key=lambda pod: pod.name)), tuple(missing))


def is_deployed(present: Json) -> bool:
    """Whether a Deployment has all of its pods, of its newest template."""
    spec, status = present["spec"], present.get("status") or {}
    updated = status.get("updatedReplicas", 0)
    return bool(
        status.get("observedGeneration", 0) >= present["metadata"]["generation"]
        and updated >= spec["replicas"]
        and status.get("replicas", 0) <= updated
        and status.get("availableReplicas", 0) >= updated
    )


def selected_ports(gateway: Gateway, pods: Sequence[Json], namespaces: Sequence[Json]) -> list[str]:
    """The switch ports of the pods that the selectors take, of those of its VPC that live and have an address."""
    spaces: Mapping[str, Mapping[str, str]] = {space["metadata"]["name"]: _labels(space) for space in namespaces}
    return [
        pod_port(pod["metadata"]["namespace"], pod["metadata"]["name"])
        for pod in pods
        if _can_be_selected(gateway, pod)
        and any(
            matches(each.get("namespaceSelector"), spaces.get(pod["metadata"]["namespace"], {}))
            and matches(each.get("podSelector"), _labels(pod))
            for each in gateway.selectors
        )
    ]


def _can_be_selected(gateway: Gateway, pod: Json) -> bool:
    written = pod["metadata"].get("annotations") or {}
    return (
        not pod["spec"].get("hostNetwork")
        and written.get(annotation(OVN_PROVIDER, "allocated")) == "true"
        and written.get(annotation(OVN_PROVIDER, "logical_router")) == gateway.vpc
        and (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
    )


def _addresses(pod: Json, network: str) -> tuple[str, ...]:
    text = (pod["metadata"].get("annotations") or {}).get(_STATUS_ANNOTATION, "")
    entries = json.loads(text) if text else []
    return tuple(next((entry.get("ips") or () for entry in entries if entry["name"] == network), ()))


def _is_ready(status: Json) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions") or ())


def _labels(obj: Json) -> Mapping[str, str]:
    return obj["metadata"].get("labels") or {}
