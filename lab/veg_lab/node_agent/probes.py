"""Probes as a state machine: what is to be asked and what an answer changes. Pure."""

from dataclasses import dataclass, replace
from typing import Any, Literal

Json = dict[str, Any]
Kind = Literal["startup", "readiness", "liveness"]
KINDS: tuple[Kind, ...] = ("startup", "readiness", "liveness")


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe of a container. `action` is its exec, httpGet or tcpSocket part, as the API has it."""

    kind: Kind
    action: Json
    initial_delay_s: float
    period_s: float
    timeout_s: float
    success_threshold: int
    failure_threshold: int


@dataclass(frozen=True, slots=True)
class ProbeState:
    """`verdict` is None until a threshold was reached for the first time."""

    successes: int = 0
    failures: int = 0
    verdict: bool | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """What the probes say of a running container. `unhealthy` is the reason to restart it."""

    started: bool
    ready: bool
    unhealthy: str | None = None


def probes_of(container: Json) -> dict[Kind, Probe]:
    """The probes of a container with Kubernetes' defaults filled in."""
    found: dict[Kind, Probe] = {}
    for kind in KINDS:
        if wanted := container.get(f"{kind}Probe"):
            found[kind] = Probe(
                kind=kind,
                action={name: wanted[name] for name in ("exec", "httpGet", "tcpSocket") if name in wanted},
                initial_delay_s=wanted.get("initialDelaySeconds", 0),
                period_s=wanted.get("periodSeconds", 10),
                timeout_s=wanted.get("timeoutSeconds", 1),
                success_threshold=wanted.get("successThreshold", 1),
                failure_threshold=wanted.get("failureThreshold", 3),
            )
    return found


def observe(probe: Probe, state: ProbeState, success: bool) -> ProbeState:
    """Count an answer. The verdict changes when its threshold is reached, and not before."""
    if success:
        counted = replace(state, successes=state.successes + 1, failures=0)
        return replace(counted, verdict=True) if counted.successes >= probe.success_threshold else counted
    counted = replace(state, failures=state.failures + 1, successes=0)
    return replace(counted, verdict=False) if counted.failures >= probe.failure_threshold else counted


def initial_health(container: Json) -> Health:
    """A container that just started: ready at once where nobody asks."""
    started = "startupProbe" not in container
    return Health(started=started, ready=started and "readinessProbe" not in container)


def apply_verdict(health: Health, container: Json, probe: Probe, verdict: bool) -> Health:
    """What a verdict means for the container."""
    if probe.kind == "readiness":
        return replace(health, ready=verdict and health.started)
    if not verdict:
        return replace(health, ready=False, unhealthy=f"{probe.kind} probe failed {probe.failure_threshold} times")
    if probe.kind == "startup":
        return replace(health, started=True, ready="readinessProbe" not in container)
    return health


def may_run(probe: Probe, health: Health) -> bool:
    """Readiness and liveness are asked only after the container has started, startup only before."""
    return health.started != (probe.kind == "startup")


def is_over(probe: Probe, health: Health) -> bool:
    """Whether it is never asked again: a container starts once. One that is not asked just now may be later."""
    return probe.kind == "startup" and health.started


def backoff_s(restarts: int) -> float:
    """How long an ended container waits before its next start: 0, 1, 2, 4 … 30 seconds. A lab is in a hurry."""
    return 0.0 if restarts == 0 else min(2.0 ** min(restarts - 1, 5), 30.0)
