"""What a gateway of Kube-OVN's own says of itself. No I/O: the time comes in as a value."""

from collections.abc import Sequence
from dataclasses import dataclass

from veg_lab.mini_kube_ovn.gateways.model import LABEL, Gateway
from veg_lab.mini_kube_ovn.gateways.workload import GatewayPod
from veg_lab.mini_kube_ovn.model import Json


@dataclass(frozen=True)
class Condition:
    type: str
    status: str
    reason: str
    message: str = ""


FIRST = Condition("Init", "Unknown", "Processing")
READY = Condition("Ready", "True", "ReconcileSuccess")


def unready(reason: str, message: str) -> Condition:
    return Condition("Ready", "False", reason, message)


def status(gateway: Gateway, condition: Condition, pods: Sequence[GatewayPod] | None, now: str) -> Json:
    """The whole status after this condition. Without pods, what it said of its workload stays."""
    ready = condition == READY
    found: Json = {
        **gateway.status,
        "ready": ready,
        "phase": "Completed" if ready else "Processing",
        "conditions": _conditions(gateway, condition, now),
    }
    if pods is not None:
        nodes = sorted({pod.node for pod in pods})
        found |= {
            "replicas": gateway.replicas,
            "labelSelector": f"app={gateway.labels['app']},{LABEL}={gateway.labels[LABEL]}",
            "internalIPs": [",".join(pod.internal) for pod in pods],
            "externalIPs": [",".join(pod.external) for pod in pods],
            "workload": {"apiVersion": "apps/v1", "kind": "Deployment", "name": gateway.workload, "nodes": nodes},
        }
    return found


def _conditions(gateway: Gateway, wanted: Condition, now: str) -> list[Json]:
    """A condition that says the same of the same generation stays as it is."""
    present: list[Json] = list(gateway.status.get("conditions") or ())
    before: Json = next((each for each in present if each["type"] == wanted.type), {})
    fields: Json = {
        "type": wanted.type,
        "status": wanted.status,
        "reason": wanted.reason,
        "message": wanted.message,
        "observedGeneration": gateway.meta["generation"],
    }
    if all(before.get(key) == value for key, value in fields.items()):
        return present
    since = before.get("lastTransitionTime", now) if before.get("status") == wanted.status else now
    made = {**fields, "lastUpdateTime": now, "lastTransitionTime": since}
    return [*(each for each in present if each["type"] != wanted.type), made]
