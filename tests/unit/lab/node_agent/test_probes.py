"""The probes' state machine: thresholds, and what verdicts do to a container."""

from typing import Any

import pytest

from veg_lab.node_agent.probes import (
    Health,
    Probe,
    ProbeState,
    apply_verdict,
    backoff_s,
    initial_health,
    is_over,
    may_run,
    observe,
    probes_of,
)

CHECK: dict[str, Any] = {"exec": {"command": ["true"]}}
ALL = {"startupProbe": CHECK, "readinessProbe": CHECK, "livenessProbe": {**CHECK, "failureThreshold": 2}}


def fed(probe: Probe, answers: str) -> list[bool | None]:
    state, verdicts = ProbeState(), []
    for answer in answers:
        state = observe(probe, state, success=answer == "+")
        verdicts.append(state.verdict)
    return verdicts


def test_defaults_are_those_of_kubernetes() -> None:
    probe = probes_of({"readinessProbe": CHECK})["readiness"]
    assert (probe.initial_delay_s, probe.period_s, probe.timeout_s) == (0, 10, 1)
    assert (probe.success_threshold, probe.failure_threshold) == (1, 3)
    assert probe.action == CHECK


def test_a_verdict_changes_only_at_its_threshold() -> None:
    probe = probes_of({"readinessProbe": {**CHECK, "successThreshold": 2}})["readiness"]
    assert fed(probe, "+-++--+---+") == [None, None, None, True, True, True, True, True, True, False, False]


def test_without_probes_a_container_is_ready_at_once() -> None:
    assert initial_health({}) == Health(started=True, ready=True)
    assert initial_health({"readinessProbe": CHECK}) == Health(started=True, ready=False)
    assert initial_health({"startupProbe": CHECK}) == Health(started=False, ready=False)


def test_startup_gates_the_others() -> None:
    probes, health = probes_of(ALL), initial_health(ALL)
    assert [kind for kind, probe in probes.items() if may_run(probe, health)] == ["startup"]
    started = apply_verdict(health, ALL, probes["startup"], verdict=True)
    assert started == Health(started=True, ready=False)
    assert [kind for kind, probe in probes.items() if may_run(probe, started)] == ["readiness", "liveness"]
    # Nobody asks while the node has failed: the startup probe must still be there when it is restored.
    assert [kind for kind, probe in probes.items() if is_over(probe, health)] == []
    assert [kind for kind, probe in probes.items() if is_over(probe, started)] == ["startup"]
    assert apply_verdict(started, ALL, probes["readiness"], verdict=True).ready


def test_started_without_a_readiness_probe_is_ready() -> None:
    container = {"startupProbe": CHECK}
    health = apply_verdict(initial_health(container), container, probes_of(container)["startup"], verdict=True)
    assert health == Health(started=True, ready=True)


@pytest.mark.parametrize("kind", ["startup", "liveness"])
def test_a_failed_startup_or_liveness_probe_asks_for_a_restart(kind: Any) -> None:
    probe = probes_of(ALL)[kind]
    health = apply_verdict(Health(started=True, ready=True), ALL, probe, verdict=False)
    assert not health.ready
    assert health.unhealthy == f"{kind} probe failed {probe.failure_threshold} times"


def test_a_failed_readiness_probe_only_unreadies() -> None:
    probe = probes_of(ALL)["readiness"]
    assert apply_verdict(Health(started=True, ready=True), ALL, probe, verdict=False) == Health(
        started=True, ready=False
    )


def test_restarts_wait_longer_and_longer_up_to_a_limit() -> None:
    assert [backoff_s(restarts) for restarts in range(8)] == [0, 1, 2, 4, 8, 16, 30, 30]
    assert backoff_s(10_000) == 30
