"""From what runs to the status the API server shows."""

from typing import Any

import pytest

from veg_lab.node_agent.status import (
    ContainerView,
    PodView,
    differs,
    phase_of,
    pod_status,
    restarts_after,
    running,
    terminated,
    waiting,
)

T1, T2 = "2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z"
UP = ContainerView("c", "i", running(T1), started=True, ready=True, container_id="x")
UNREADY = ContainerView("c", "i", running(T1), started=True, container_id="x")
CREATING = ContainerView("c", "i", waiting("ContainerCreating"))
CRASHED = ContainerView("c", "i", waiting("CrashLoopBackOff"), container_id="x")


def ended(code: int) -> ContainerView:
    return ContainerView("c", "i", terminated(code, T1, T2), container_id="x")


def view(*mains: ContainerView, inits: tuple[ContainerView, ...] = ()) -> PodView:
    return PodView(inits, mains, ("10.16.0.4", "fd00::4"), "172.18.0.2")


@pytest.mark.parametrize(
    ("policy", "shown", "phase"),
    [
        ("Always", view(CREATING), "Pending"),
        ("Always", view(UP), "Running"),
        ("Always", view(UP, CREATING), "Pending"),
        ("Always", view(CRASHED), "Running"),
        ("Always", view(ended(0)), "Running"),
        ("Never", view(ended(0)), "Succeeded"),
        ("Never", view(ended(0), ended(1)), "Failed"),
        ("Never", view(ended(0), UP), "Running"),
        ("OnFailure", view(ended(0)), "Succeeded"),
        ("OnFailure", view(ended(1)), "Running"),
        ("Always", view(CREATING, inits=(UP,)), "Pending"),
        ("Never", view(CREATING, inits=(ended(1),)), "Failed"),
        ("Always", view(UP, inits=(ended(0),)), "Running"),
    ],
)
def test_phases(policy: str, shown: PodView, phase: str) -> None:
    assert phase_of(policy, shown) == phase


def test_who_is_restarted() -> None:
    assert [restarts_after(code, policy) for policy in ("Always", "OnFailure", "Never") for code in (0, 1)] == [
        *(True, True),
        *(False, True),
        *(False, False),
    ]
    assert not restarts_after(0, "Always", init=True)


def status_of(shown: PodView, old: dict[str, Any] | None = None, now: str = T1) -> dict[str, Any]:
    return pod_status({"spec": {}, "status": old or {}}, shown, now)


def conditions(status: dict[str, Any]) -> dict[str, str]:
    return {condition["type"]: condition["status"] for condition in status["conditions"]}


def test_a_running_pod_is_ready_with_its_addresses() -> None:
    status = status_of(view(UP))
    assert conditions(status) == dict.fromkeys(("Initialized", "Ready", "ContainersReady", "PodScheduled"), "True")
    assert (status["podIP"], status["hostIP"]) == ("10.16.0.4", "172.18.0.2")
    assert status["podIPs"] == [{"ip": "10.16.0.4"}, {"ip": "fd00::4"}]


def test_an_unready_container_is_named() -> None:
    ready = {item["type"]: item for item in status_of(view(UNREADY))["conditions"]}["Ready"]
    assert (ready["status"], ready["reason"]) == ("False", "ContainersNotReady")
    assert "[c]" in ready["message"]


def test_times_of_unchanged_conditions_and_conditions_of_others_stay() -> None:
    old = status_of(view(UNREADY), now=T1)
    old["conditions"].append({"type": "example.com/gate", "status": "True"})
    new = {item["type"]: item.get("lastTransitionTime") for item in status_of(view(UP), old, now=T2)["conditions"]}
    assert (new["Initialized"], new["Ready"]) == (T1, T2)
    assert "example.com/gate" in new


def test_an_unchanged_status_is_not_written_again() -> None:
    status = status_of(view(UP, inits=(ended(0),)))
    shown = {key: value for key, value in status.items() if value is not None} | {"qosClass": "BestEffort"}
    assert not differs(status_of(view(UP, inits=(ended(0),)), shown, now=T2), shown)
    assert differs(status_of(view(UNREADY), shown, now=T2), shown)
