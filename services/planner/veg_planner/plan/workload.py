"""The Deployment of a gateway and its PodDisruptionBudget: complete manifests, so that their writer decides nothing.

What must not roll the pods is not in the template: policies, sources and timers travel as config (DESIGN 2).
"""

import json
from typing import Any, Final

import msgspec

from veg_contracts import addresses, names
from veg_contracts.configuration import PlannerSettings
from veg_contracts.intent import Workload
from veg_contracts.objects import EgressGateway
from veg_contracts.permissions import TOKEN_AUDIENCE
from veg_planner.plan.network import Network
from veg_planner.spec import NodeTerm, Spec
from veg_planner.state import Way

_DEFAULT_ROUTE: Final = {"4": "0.0.0.0/0", "6": "::/0"}
_STATE_DIR: Final = "/var/lib/gw-agent"
_NOBODY: Final = 65534
_PREFERRED_WEIGHT_MAX: Final = 100
# What the containers of a pod share: the speaker's config and control socket, and the sign that the pod is drained.
_SHARED_DIR: Final = "/run/veg-bfd"
# The pod's credential on the bus: the kubelet renews it, and it ends with the pod.
_TOKEN_DIR: Final = "/var/run/secrets/vpc-egress-gateway"  # noqa: S105  where a token is, and none
_TOKEN_FILE: Final = "token"  # noqa: S105
_TOKEN_S: Final = 3600
_TOKEN_MOUNT: Final = {"name": "bus-token", "mountPath": _TOKEN_DIR, "readOnly": True}
# How long a pod waits for its nexthop to leave OVN, confirmed by the chassis, before it stops all the same; and how
# long it may take altogether.
_DRAIN_S: Final = 20
_GRACE_S: Final = 30
_DRAIN: Final = {"preStop": {"exec": {"command": ["gw-drain", str(_DRAIN_S)]}}}

# The program of an exec probe costs 1 ms of CPU, its start by the runtime 25 (bench/results/exec-probes.md): so it
# is asked often only until the pod is ready once. A probe over the network reaches no pod of a custom VPC.
_READY: Final = {"exec": {"command": ["gw-ready"]}, "timeoutSeconds": 10}
# A pod may wait for its config as long as it takes somebody to mend the bus: a restart would not bring it.
_STARTS_WITHIN_S: Final = 24 * 3600

_RESOURCES: Final = {"requests": {"cpu": "10m", "memory": "48Mi"}, "limits": {"cpu": "1", "memory": "128Mi"}}


def deployment_name(gateway: EgressGateway, spec: Spec) -> str:
    return f"{spec.prefix}{gateway.name}"


def workload(gateway: EgressGateway, uid: str, spec: Spec, network: Network, settings: PlannerSettings) -> Workload:
    labels = names.workload_labels(gateway.name)
    owner = {
        "apiVersion": names.api_version(settings.api_group),
        "kind": names.KIND,
        "name": gateway.name,
        "uid": uid,
    }
    metadata = {
        "name": deployment_name(gateway, spec),
        "namespace": gateway.namespace,
        "labels": labels,
        "ownerReferences": [owner],
    }
    manifest = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {
            "replicas": spec.replicas,
            "selector": {"matchLabels": labels},
            # A surge would need one more address than there are replicas.
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
            "template": {
                "metadata": {"labels": labels, "annotations": _annotations(spec, network)},
                "spec": _pod_spec(gateway, uid, spec, network.way, settings),
            },
        },
    }
    return Workload(
        namespace=gateway.namespace,
        name=deployment_name(gateway, spec),
        manifest=manifest,
        budget=_budget(metadata, labels) if settings.disruption_budgets else None,
    )


def _budget(metadata: dict[str, Any], labels: dict[str, str]) -> dict[str, Any]:
    """One pod may be evicted at a time, as one is replaced at a time.

    The same for any number of replicas: of one or none it holds up nothing, and no eviction finds a gateway without a
    budget while it is scaled. A pod that is not ready may always be evicted, or a broken one would hold up its node.
    """
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata,
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": labels},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }


def _annotations(spec: Spec, network: Network) -> dict[str, str]:
    provider = network.external.provider
    routes = [
        {"dst": _DEFAULT_ROUTE[family], "gw": addresses.of_family(network.external.gateway, family)}
        for family in network.families
    ]
    annotations = {
        names.ANNOTATION_LOGICAL_SWITCH: network.internal.name,
        names.ANNOTATION_NETWORKS: ",".join(filter(None, (network.attachment, network.way.attachment))),
        names.routes_annotation(provider): json.dumps(routes, separators=(",", ":")),
    }
    pools = {
        names.ip_pool_annotation("ovn"): ";".join(spec.internal_ips) or spec.internal_ip_pool,
        names.ip_pool_annotation(provider): ";".join(spec.external_ips) or spec.external_ip_pool,
    }
    return annotations | {key: pool for key, pool in pools.items() if pool}


def _pod_spec(gateway: EgressGateway, uid: str, spec: Spec, way: Way, settings: PlannerSettings) -> dict[str, Any]:
    mounts = [{"name": "state", "mountPath": _STATE_DIR}, {"name": "shared", "mountPath": _SHARED_DIR}]
    common = {
        "image": spec.image or settings.image,
        "imagePullPolicy": "IfNotPresent",
        "env": _environment(gateway, uid, way, settings),
        "volumeMounts": mounts,
    }
    pod: dict[str, Any] = {
        "affinity": _affinity(gateway, spec),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": _GRACE_S,
        "securityContext": {"fsGroup": _NOBODY, "seccompProfile": {"type": "RuntimeDefault"}},
        "volumes": [{"name": "state", "emptyDir": {}}, {"name": "shared", "emptyDir": {}}, _token_volume()],
        # Writing net.* sysctls takes a privileged container; it ends before the gateway begins.
        "initContainers": [
            {
                "name": "init",
                "command": ["gw-agent", "init"],
                "resources": _RESOURCES,
                "securityContext": {"privileged": True, "readOnlyRootFilesystem": True},
                **common,
            },
        ],
        "containers": [{**_gateway_container(spec), **common, "volumeMounts": [*mounts, _TOKEN_MOUNT]}],
    }
    if spec.bfd.enabled:
        pod["containers"].append(_speaker_container(spec.image or settings.image, mounts[1:]))
    if spec.tolerations:
        pod["tolerations"] = [msgspec.to_builtins(toleration) for toleration in spec.tolerations]
    return pod


def _token_volume() -> dict[str, Any]:
    token = {"audience": TOKEN_AUDIENCE, "expirationSeconds": _TOKEN_S, "path": _TOKEN_FILE}
    return {"name": _TOKEN_MOUNT["name"], "projected": {"sources": [{"serviceAccountToken": token}]}}


def _gateway_container(spec: Spec) -> dict[str, Any]:
    return {
        "name": "gateway",
        "command": ["gw-agent", "run"],
        "resources": msgspec.to_builtins(spec.resources) or _RESOURCES,
        "lifecycle": _DRAIN,
        "startupProbe": _READY | {"periodSeconds": 1, "failureThreshold": _STARTS_WITHIN_S},
        "readinessProbe": _READY | {"periodSeconds": 10},
        "securityContext": {
            "runAsUser": _NOBODY,
            "runAsGroup": _NOBODY,
            "runAsNonRoot": True,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN", "NET_RAW"]},
        },
    }


def _speaker_container(image: str, mounts: list[dict[str, str]]) -> dict[str, Any]:
    """The BFD speaker. It has no CPU limit: a throttled speaker looks like a dead gateway, and so does a starved one.

    What it asks for is a share for the moment in which everything on the node wants to run, not what it uses.
    """
    return {
        "name": "bfdd",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["bfdd"],
        "env": [{"name": "VEG_BFD_DIR", "value": _SHARED_DIR}],
        "volumeMounts": mounts,
        "resources": {"requests": {"cpu": "200m", "memory": "24Mi"}, "limits": {"memory": "64Mi"}},
        "lifecycle": _DRAIN,
        "livenessProbe": {
            "exec": {"command": ["bfdd-live"]},
            "initialDelaySeconds": 5,
            "periodSeconds": 10,
            "timeoutSeconds": 10,
        },
        "securityContext": {
            "runAsUser": _NOBODY,
            "runAsGroup": _NOBODY,
            "runAsNonRoot": True,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def _environment(gateway: EgressGateway, uid: str, way: Way, settings: PlannerSettings) -> list[dict[str, Any]]:
    fields = (
        ("POD_NAME", "metadata.name"),
        ("POD_NAMESPACE", "metadata.namespace"),
        ("POD_UID", "metadata.uid"),
        ("POD_IPS", "status.podIPs"),
    )
    environment: list[dict[str, Any]] = [
        {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}} for name, path in fields
    ]
    environment += [
        {"name": "VEG_GATEWAY", "value": gateway.key},
        {"name": "VEG_GATEWAY_UID", "value": uid},
        {"name": "VEG_STATE_DIR", "value": _STATE_DIR},
        {"name": "VEG_BFD_DIR", "value": _SHARED_DIR},
        {"name": "VEG_NATS_URL", "value": settings.agent_nats_url},
        {"name": "VEG_NATS_TOKEN_PATH", "value": f"{_TOKEN_DIR}/{_TOKEN_FILE}"},
    ]
    trust = (
        ("VEG_NATS_TLS_CA", settings.agent_nats_tls_ca),
        ("VEG_NATS_TLS_SERVER_NAME", settings.agent_nats_tls_server_name),
    )
    environment += [{"name": name, "value": value} for name, value in trust if value]
    if way.interface:
        environment += [
            {"name": "VEG_BUS_INTERFACE", "value": way.interface},
            {"name": "VEG_BUS_GATEWAYS", "value": way.gateways},
        ]
    return environment


def _affinity(gateway: EgressGateway, spec: Spec) -> dict[str, Any]:
    term = {
        "labelSelector": {"matchLabels": names.workload_labels(gateway.name)},
        "topologyKey": "kubernetes.io/hostname",
    }
    if spec.pod_anti_affinity == "Required":
        anti: dict[str, Any] = {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
    else:
        preferred = {"weight": _PREFERRED_WEIGHT_MAX, "podAffinityTerm": term}
        anti = {"preferredDuringSchedulingIgnoredDuringExecution": [preferred]}
    affinity: dict[str, Any] = {"podAntiAffinity": anti}
    if spec.node_selector:
        terms = [_node_term(item) for item in spec.node_selector]
        affinity["nodeAffinity"] = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    return affinity


def _node_term(item: NodeTerm) -> dict[str, Any]:
    """All requirements of one term are ANDed; labels come after expressions, sorted by key (as Kube-OVN does)."""
    expressions = [msgspec.to_builtins(requirement) for requirement in item.match_expressions]
    expressions += [
        {"key": key, "operator": "In", "values": [value]} for key, value in sorted(item.match_labels.items())
    ]
    term: dict[str, Any] = {}
    if expressions:
        term["matchExpressions"] = expressions
    if item.match_fields:
        term["matchFields"] = [msgspec.to_builtins(requirement) for requirement in item.match_fields]
    return term
