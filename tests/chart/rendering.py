"""The chart as Helm renders it, for the sets of values that people install it with."""

import functools
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[2]
CHART: Final = ROOT / "charts" / "vpc-egress-gateway"

Json = dict[str, Any]

_DIGEST: Final = "sha256:" + "0123456789abcdef" * 4
_OVN: Final = {"nbRemote": "tcp:172.18.0.2:6641,tcp:172.18.0.3:6641", "sbRemote": "tcp:172.18.0.2:6642"}

# Name -> namespace and values.
SETS: Final[dict[str, tuple[str, Json]]] = {
    "evaluation": ("kube-system", {}),
    "minimal": (
        "veg",
        {
            "ovn": {"nbRemote": "tcp:172.18.0.2:6641", "sbRemote": "none"},
            "crds": {"create": False},
            "priorityClass": {"create": False, "name": ""},
            "networkPolicy": {"enabled": False},
            "tls": {"mode": "none"},
            "nats": {"bundled": {"persistence": {"enabled": False}}},
            "postgres": {"bundled": {"persistence": {"enabled": False}}},
        },
    ),
    "production": (
        "veg",
        {
            "image": {"registry": "registry.example/veg", "tag": "1.2.3", "pullSecrets": [{"name": "registry"}]},
            "watcher": {"image": {"digest": _DIGEST}, "nodeSelector": {"role": "control-plane"}},
            "planner": {"tolerations": [{"key": "role", "operator": "Exists", "effect": "NoSchedule"}]},
            "gateway": {"image": {"digest": _DIGEST}},
            "jobs": {"nodeSelector": {"role": "control-plane"}, "tolerations": [{"key": "role", "operator": "Exists"}]},
            "ovn": _OVN,
            "nats": {
                "existingSecret": "bus",
                "bundled": {"enabled": False},
                "external": {
                    "url": "tls://10.0.0.10:4222",
                    "agentUrl": "tls://10.0.0.11:4223",
                    "agentVia": "external",
                    "tls": {"caSecret": "nats-ca", "serverName": "nats.example", "clientSecret": "nats-client"},
                },
            },
            "postgres": {
                "existingSecret": "database",
                "bundled": {"enabled": False},
                "external": {"port": 6432, "caSecret": "database-ca"},
            },
            "secrets": {"generate": False},
            "networkPolicy": {
                "apiServerCIDRs": ["172.18.0.2/32"],
                "natsCIDRs": ["10.0.0.0/24"],
                "postgresCIDRs": ["10.0.1.5/32"],
                "ovnCIDRs": ["172.18.0.0/24"],
                "dns": True,
            },
        },
    ),
    "tls": (
        "veg",
        {
            "ovn": {
                "nbRemote": "ssl:172.18.0.2:6641",
                "sbRemote": "ssl:172.18.0.2:6642",
                "tls": {"existingSecret": "kube-ovn-tls"},
            },
            "tls": {"mode": "cert-manager"},
        },
    ),
    "certificates": (
        "kube-system",
        {
            "ovn": {"tls": {"existingSecret": "kube-ovn-tls"}},
            "tls": {"mode": "existing", "existing": {"natsSecret": "nats-tls", "postgresSecret": "postgres-tls"}},
            "nats": {"bundled": {"clusterIP": "10.96.0.10"}},
        },
    ),
    "own-group": (
        "veg",
        {
            "apiGroup": "vpc-egress-gateway.io",
            "ovn": _OVN,
            "planner": {"customVpcRouting": "policy", "manageBfdPorts": False, "bfdRelayIPs": "169.254.9.9"},
        },
    ),
    "custom-vpc": (
        "kube-system",
        {
            "managementNetwork": {"create": True, "cidr": "10.251.0.0/16,fd00:10:251::/112"},
            "preflight": {"enabled": True},
            "monitoring": {"podMonitor": {"enabled": True, "labels": {"release": "prometheus"}}},
            "tls": {
                "mode": "cert-manager",
                "certManager": {"issuerRef": {"kind": "ClusterIssuer", "name": "corporate"}},
            },
        },
    ),
}


@functools.cache
def program() -> str:
    """Where Helm is."""
    done = subprocess.run([ROOT / "scripts" / "helm", "--where"], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def helm(*words: str, values: Json | None = None) -> subprocess.CompletedProcess[str]:
    """What Helm says, with values by a file of which YAML is a superset."""
    argv = [program(), *words, *(("--values", "-") if values is not None else ())]
    return subprocess.run(argv, check=False, capture_output=True, text=True, input=json.dumps(values or {}), timeout=60)


def template(values: Json, namespace: str = "kube-system") -> subprocess.CompletedProcess[str]:
    return helm("template", "veg", str(CHART), "--namespace", namespace, values=values)


@functools.cache
def text(name: str) -> str:
    """The objects of a set of values."""
    namespace, values = SETS[name]
    done = template(values, namespace)
    assert done.returncode == 0, done.stderr
    return done.stdout


@functools.cache
def objects(name: str) -> tuple[Json, ...]:
    return tuple(found for found in yaml.safe_load_all(text(name)) if found)


def of_kind(name: str, *kinds: str) -> list[Json]:
    return [found for found in objects(name) if found["kind"] in kinds]


def workloads(name: str) -> list[Json]:
    """What has a pod template, hooks included."""
    return of_kind(name, "Deployment", "StatefulSet", "Job")


def containers(workload: Json) -> Iterator[Json]:
    pod = workload["spec"]["template"]["spec"]
    yield from pod.get("initContainers", ())
    yield from pod["containers"]


def variables(container: Json) -> dict[str, str]:
    """Its environment, by name; what comes from elsewhere is empty."""
    return {variable["name"]: variable.get("value", "") for variable in container.get("env", ())}
