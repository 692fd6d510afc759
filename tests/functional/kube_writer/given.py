"""Commands as the planner makes them, for the document's example."""

from typing import Any

from veg_contracts import names
from veg_contracts.commands import (
    EnsureCondition,
    EnsureFinalizer,
    EnsureStatus,
    EnsureVpcStatus,
    EnsureWorkload,
    RecordKubeEvent,
    RemoveWorkload,
)
from veg_contracts.intent import Condition, GatewayStatus, VpcBfdStatus, Workload, WorkloadStatus

AT = "2026-01-01T00:00:00.123456Z"


def manifest(namespace: str, uid: str, **changes: Any) -> dict[str, Any]:
    """`changes`: labels, replicas, env, group."""
    group = changes.get("group", names.KUBE_OVN_GROUP)
    labels = changes.get("labels", names.workload_labels("gateway1"))
    env = [{"name": name, "value": value} for name, value in changes.get("env", {}).items()]
    container = {"name": "gateway", "image": "gateway:1", "command": ["gw-agent", "run"], "env": env}
    owner = {"apiVersion": names.api_version(group), "kind": names.KIND, "name": "gateway1", "uid": uid}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "gateway1", "namespace": namespace, "labels": labels, "ownerReferences": [owner]},
        "spec": {
            "replicas": changes.get("replicas", 1),
            "selector": {"matchLabels": labels},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def budget(namespace: str, uid: str, **changes: Any) -> dict[str, Any]:
    """`changes`: allowed, how many pods may be missing; group."""
    labels = names.workload_labels("gateway1")
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": manifest(namespace, uid, **changes)["metadata"],
        "spec": {
            "maxUnavailable": changes.get("allowed", 1),
            "selector": {"matchLabels": labels},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }


def workload(namespace: str, uid: str, generation: int = 1, **changes: Any) -> EnsureWorkload:
    """`changes`: those of the Deployment, and `budget`, the manifest of one."""
    own = changes.pop("budget", None)
    made = Workload(namespace=namespace, name="gateway1", manifest=manifest(namespace, uid, **changes), budget=own)
    return EnsureWorkload(gateway=f"{namespace}/gateway1", gateway_uid=uid, generation=generation, workload=made)


def no_workload(namespace: str, uid: str, generation: int = 2) -> RemoveWorkload:
    return RemoveWorkload(
        gateway=f"{namespace}/gateway1",
        gateway_uid=uid,
        generation=generation,
        namespace=namespace,
        name="gateway1",
    )


def finalizer(namespace: str, uid: str, present: bool, generation: int = 1) -> EnsureFinalizer:
    return EnsureFinalizer(gateway=f"{namespace}/gateway1", gateway_uid=uid, generation=generation, present=present)


def status(namespace: str, uid: str, generation: int = 1, **changes: Any) -> EnsureStatus:
    """`changes`: phase, ips, conditions."""
    ips = changes.get("ips", ("10.16.0.12",))
    made = GatewayStatus(
        replicas=1,
        label_selector=names.label_selector("gateway1"),
        ready=True,
        phase=changes.get("phase", "Completed"),
        internal_ips=ips,
        external_ips=tuple("172.17.0.11" for _ in ips),
        workload=WorkloadStatus(api_version="apps/v1", kind="Deployment", name="gateway1", nodes=("kube-ovn-worker",)),
        conditions=changes.get("conditions", (condition("Ready"),)),
    )
    return EnsureStatus(gateway=f"{namespace}/gateway1", gateway_uid=uid, generation=generation, status=made)


def conflict(namespace: str, uid: str, generation: int = 1) -> EnsureCondition:
    return EnsureCondition(
        gateway=f"{namespace}/gateway1", gateway_uid=uid, generation=generation, condition=condition("Conflict")
    )


def vpc_status(vpc: str, uid: str, generation: int = 1, **port: Any) -> EnsureVpcStatus:
    """`port`: name, ip, nodes."""
    return EnsureVpcStatus(gateway=vpc, gateway_uid=uid, generation=generation, bfd_port=VpcBfdStatus(**port))


def condition(kind: str) -> Condition:
    return Condition(
        type=kind,
        status="True",
        reason="ReconcileSuccess",
        message="1 pod serves",
        observed_generation=1,
        last_transition_time=AT,
        last_update_time=AT,
    )


def kube_event(namespace: str, uid: str, message: str = "gateway1 is ready", generation: int = 1) -> RecordKubeEvent:
    return RecordKubeEvent(
        gateway=f"{namespace}/gateway1",
        gateway_uid=uid,
        generation=generation,
        type="Normal",
        reason="ReconcileSuccess",
        message=message,
        at=AT,
    )
