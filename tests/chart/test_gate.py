"""No rendered pod is against a rule, but for the exceptions of gateway pods, each of which is needed."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from chart import gate
from chart.rendering import SETS, objects, of_kind, workloads
from support.custom_vpc import KEY, created2

Json = dict[str, Any]


def gateway() -> gate.Workload:
    """A gateway's pods, with the BFD speaker."""
    workload = created2(bfd={"enabled": True}).intent(KEY).workload
    assert workload is not None
    assert workload.budget is not None
    return gate.of(workload.manifest, (workload.budget,))


@pytest.mark.parametrize("name", SETS)
def test_no_pod_of_the_chart_is_against_a_rule(name: str) -> None:
    found = {
        workload["metadata"]["name"]: gate.findings(gate.of(workload, objects(name))) for workload in workloads(name)
    }
    assert {"veg-watcher", "veg-planner", "veg-ovn-writer", "veg-kube-writer", "veg-bus-auth"} <= set(found)
    assert {key: value for key, value in found.items() if value} == {}


def test_a_gateway_pod_has_the_exceptions_and_no_other() -> None:
    allowed = {(each.rule, each.container, each.finding) for each in gate.EXCEPTIONS}
    found = gate.findings(gateway())
    assert found - allowed == set(), "an exception is missing, or the pod is wrong"
    assert allowed - found == set(), "an exception that nothing needs"


@pytest.mark.parametrize("name", SETS)
def test_services_choose_the_pods_of_one_component(name: str) -> None:
    chosen = [tuple(sorted(service["spec"]["selector"].items())) for service in of_kind(name, "Service")]
    assert len(set(chosen)) == len(chosen)


# A change of a container, or of a pod, of the chart -> the rule that must find it.
BAD_CONTAINERS: dict[str, tuple[str, Callable[[Json], Any]]] = {
    "no limits": ("DS001 resources", lambda c: c["resources"].pop("limits")),
    "no memory requested": ("DS001 resources", lambda c: c["resources"]["requests"].pop("memory")),
    "no liveness": ("DS002 probes", lambda c: c.pop("livenessProbe")),
    "no readiness": ("DS002 probes", lambda c: c.pop("readinessProbe")),
    "root": ("DS003 non-root", lambda c: c["securityContext"].update(runAsNonRoot=False)),
    "escalation": ("DS004 privilege escalation", lambda c: c["securityContext"].pop("allowPrivilegeEscalation")),
    "privileged": ("DS008 privileged", lambda c: c["securityContext"].update(privileged=True)),
    "latest": ("DS009 latest", lambda c: c.update(image="registry.example:5000/veg/watcher:latest")),
    "no tag": ("DS009 latest", lambda c: c.update(image="registry.example:5000/veg/watcher")),
    "writable root": ("DS010 read-only root", lambda c: c["securityContext"].pop("readOnlyRootFilesystem")),
    "low user": ("K01 user", lambda c: c["securityContext"].update(runAsUser=999)),
    "secret variable": (
        "K01 secrets in variables",
        lambda c: c["env"].append({"name": "P", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}),
    ),
    "secret variables": ("K01 secrets in variables", lambda c: c.update(envFrom=[{"secretRef": {"name": "s"}}])),
    "capability": ("PSS capabilities", lambda c: c["securityContext"]["capabilities"].update(add=["SYS_ADMIN"])),
    "capabilities kept": ("PSS capabilities", lambda c: c["securityContext"].pop("capabilities")),
}
BAD_PODS: dict[str, tuple[str, Callable[[Json], Any]]] = {
    "host network": ("DS005 host network", lambda p: p.update(hostNetwork=True)),
    "host PID": ("DS006 host PID", lambda p: p.update(hostPID=True)),
    "host IPC": ("DS007 host IPC", lambda p: p.update(hostIPC=True)),
    "no spread": ("DS011 spread", lambda p: p.pop("topologySpreadConstraints")),
    "default token": ("K01 token", lambda p: p.update(serviceAccountName="")),
    "no seccomp": ("PSS seccomp", lambda p: p["securityContext"].pop("seccompProfile")),
    "host path": ("PSS volumes", lambda p: p["volumes"].append({"name": "h", "hostPath": {"path": "/"}})),
}


def watcher() -> Json:
    """A Deployment that a test may change."""
    (found,) = (each for each in workloads("evaluation") if each["metadata"]["name"] == "veg-watcher")
    return copy.deepcopy(found)


@pytest.mark.parametrize("what", [*BAD_CONTAINERS, *BAD_PODS])
def test_a_rule_finds_what_is_against_it(what: str) -> None:
    changed = watcher()
    pod = changed["spec"]["template"]["spec"]
    if what in BAD_PODS:
        rule, change = BAD_PODS[what]
        change(pod)
    else:
        rule, change = BAD_CONTAINERS[what]
        change(pod["containers"][0])
    assert {found[0] for found in gate.findings(gate.of(changed, objects("evaluation")))} == {rule}


def test_a_workload_without_its_budget_is_found() -> None:
    assert {found[0] for found in gate.findings(gate.of(watcher()))} == {"DS012 budget"}


def test_every_rule_has_a_case() -> None:
    assert {rule for rule, _ in (*BAD_CONTAINERS.values(), *BAD_PODS.values())} | {"DS012 budget"} == set(gate.RULES)
