"""What a platform asks of a pod, as rules that find what is against them in a rendered workload.

- DS001 to DS010: deployment safeguards of AKS, as Azure numbers them for those who deploy; DS011 and DS012 are further
  policies of the same set (Microsoft: "Use deployment safeguards to enforce best practices in AKS").
- K01: OWASP Kubernetes Top Ten, "Insecure workload configurations".
- PSS: Kubernetes' Pod Security Standard `restricted`.

A rule says the container (or `pod`) and what is wrong. `EXCEPTIONS` is the one list of what is allowed nevertheless.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

Json = dict[str, Any]
Finding = tuple[str, str]  # container, what is wrong

# The volumes that `restricted` knows.
_VOLUMES: Final = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
_LONG_RUNNING: Final = ("Deployment", "StatefulSet")


@dataclass(frozen=True)
class Workload:
    """A workload's pod, and the other objects beside it."""

    kind: str
    name: str
    template: Json
    beside: tuple[Json, ...] = ()

    @property
    def pod(self) -> Json:
        spec: Json = self.template["spec"]
        return spec

    @property
    def labels(self) -> Mapping[str, str]:
        found: Mapping[str, str] = self.template["metadata"]["labels"]
        return found

    def containers(self) -> Iterator[Json]:
        yield from self.pod.get("initContainers", ())
        yield from self.pod["containers"]


def of(manifest: Json, beside: tuple[Json, ...] = ()) -> Workload:
    return Workload(manifest["kind"], manifest["metadata"]["name"], manifest["spec"]["template"], beside)


def _security(workload: Workload, container: Json, key: str) -> Any:
    """A container's own value, else that of its pod."""
    own = container.get("securityContext", {})
    return own[key] if key in own else workload.pod.get("securityContext", {}).get(key)


def _each(wrong: Callable[[Workload, Json], str | None]) -> Callable[[Workload], Iterator[Finding]]:
    def find(workload: Workload) -> Iterator[Finding]:
        for container in workload.containers():
            if said := wrong(workload, container):
                yield container["name"], said

    return find


def _resources(_: Workload, container: Json) -> str | None:
    have = container.get("resources", {})
    lacks = [
        f"{part}.{amount}"
        for part in ("requests", "limits")
        for amount in ("cpu", "memory")
        if amount not in have.get(part, {})
    ]
    return f"lacks {', '.join(lacks)}" if lacks else None


def _probes(workload: Workload, container: Json) -> str | None:
    if workload.kind not in _LONG_RUNNING or container not in workload.pod["containers"]:
        return None
    lacks = [probe for probe in ("livenessProbe", "readinessProbe") if probe not in container]
    return f"lacks {', '.join(lacks)}" if lacks else None


def _tag(_: Workload, container: Json) -> str | None:
    image = container["image"]
    tag = image.rpartition("/")[2].partition(":")[2]
    return None if "@sha256:" in image or tag not in ("", "latest") else f"image {image}"


def _must(key: str, wanted: Any, *, absent_is: Any = None) -> Callable[[Workload, Json], str | None]:
    def wrong(workload: Workload, container: Json) -> str | None:
        value = _security(workload, container, key)
        return None if (absent_is if value is None else value) == wanted else f"{key} is {value}"

    return wrong


def _host(key: str) -> Callable[[Workload], Iterator[Finding]]:
    def find(workload: Workload) -> Iterator[Finding]:
        if workload.pod.get(key):
            yield "pod", f"{key} is true"

    return find


def _capabilities(_: Workload, container: Json) -> str | None:
    have = container.get("securityContext", {}).get("capabilities", {})
    if "ALL" not in have.get("drop", ()):
        return "capabilities.drop lacks ALL"
    more = set(have.get("add", ())) - {"NET_BIND_SERVICE"}
    return f"capabilities.add has {', '.join(sorted(more))}" if more else None


def _uid(workload: Workload, container: Json) -> str | None:
    uid = _security(workload, container, "runAsUser")
    return None if uid is not None and uid >= 10_000 else f"runAsUser is {uid}"


def _seccomp(workload: Workload, container: Json) -> str | None:
    profile = _security(workload, container, "seccompProfile") or {}
    return None if profile.get("type") in ("RuntimeDefault", "Localhost") else f"seccompProfile is {profile}"


def _volumes(workload: Workload) -> Iterator[Finding]:
    for volume in workload.pod.get("volumes", ()):
        for kind in set(volume) - {"name"} - _VOLUMES:
            yield "pod", f"volume {volume['name']} is a {kind}"


def _secret_variables(_: Workload, container: Json) -> str | None:
    named = [v["name"] for v in container.get("env", ()) if "secretKeyRef" in v.get("valueFrom", {})]
    named += ["envFrom"] if any("secretRef" in source for source in container.get("envFrom", ())) else []
    return f"a secret in {', '.join(named)}" if named else None


def _token(workload: Workload) -> Iterator[Finding]:
    if workload.pod.get("automountServiceAccountToken", True) and not workload.pod.get("serviceAccountName"):
        yield "pod", "mounts the token of the ServiceAccount `default`"


def _spread(workload: Workload) -> Iterator[Finding]:
    spread = workload.pod.get("topologySpreadConstraints") or workload.pod.get("affinity", {}).get("podAntiAffinity")
    if workload.kind in _LONG_RUNNING and not spread:
        yield "pod", "neither topologySpreadConstraints nor podAntiAffinity"


def _budget(workload: Workload) -> Iterator[Finding]:
    chosen = [
        other["spec"]
        for other in workload.beside
        if other["kind"] == "PodDisruptionBudget"
        and other["spec"]["selector"]["matchLabels"].items() <= workload.labels.items()
    ]
    if workload.kind in _LONG_RUNNING and [spec.get("maxUnavailable") for spec in chosen] != [1]:
        yield "pod", f"{len(chosen)} budgets; one with maxUnavailable 1 is wanted"


RULES: Final[dict[str, Callable[[Workload], Iterator[Finding]]]] = {
    "DS001 resources": _each(_resources),
    "DS002 probes": _each(_probes),
    "DS003 non-root": _each(_must("runAsNonRoot", wanted=True)),
    "DS004 privilege escalation": _each(_must("allowPrivilegeEscalation", wanted=False)),
    "DS005 host network": _host("hostNetwork"),
    "DS006 host PID": _host("hostPID"),
    "DS007 host IPC": _host("hostIPC"),
    "DS008 privileged": _each(_must("privileged", wanted=False, absent_is=False)),
    "DS009 latest": _each(_tag),
    "DS010 read-only root": _each(_must("readOnlyRootFilesystem", wanted=True)),
    "DS011 spread": _spread,
    "DS012 budget": _budget,
    "K01 user": _each(_uid),
    "K01 token": _token,
    "K01 secrets in variables": _each(_secret_variables),
    "PSS capabilities": _each(_capabilities),
    "PSS seccomp": _each(_seccomp),
    "PSS volumes": _volumes,
}


@dataclass(frozen=True)
class Allowed:
    """What is against a rule and stays so."""

    rule: str
    container: str
    finding: str
    why: str


_SYSCTLS: Final = "writing net.* sysctls takes a privileged container of root; it ends before the gateway begins"

# Of gateway pods alone, whose Deployments the planner writes: no pod of the chart needs one.
EXCEPTIONS: Final = (
    Allowed("DS003 non-root", "init", "runAsNonRoot is None", _SYSCTLS),
    Allowed("DS004 privilege escalation", "init", "allowPrivilegeEscalation is None", _SYSCTLS),
    Allowed("DS008 privileged", "init", "privileged is True", _SYSCTLS),
    Allowed("K01 user", "init", "runAsUser is None", _SYSCTLS),
    Allowed("PSS capabilities", "init", "capabilities.drop lacks ALL", _SYSCTLS),
    Allowed(
        "PSS capabilities",
        "gateway",
        "capabilities.add has NET_ADMIN, NET_RAW",
        "routes, NAT and the document's tcpdump; the programs have them, the user has not (decision 0011)",
    ),
    Allowed("DS001 resources", "bfdd", "lacks limits.cpu", "a throttled speaker looks like a dead gateway"),
    Allowed("DS002 probes", "bfdd", "lacks readinessProbe", "OVN asks it for itself, ten times a second: the session"),
    Allowed(
        "DS002 probes", "gateway", "lacks livenessProbe", "traffic goes on without the agent, which ends when it fails"
    ),
)


def findings(workload: Workload) -> set[tuple[str, str, str]]:
    """Rule, container, and what is wrong."""
    return {(rule, *found) for rule, find in RULES.items() for found in find(workload)}
