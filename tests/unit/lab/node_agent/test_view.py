"""From records of containers to what the status shows of them."""

from typing import Any

from veg_lab.node_agent.probes import Health
from veg_lab.node_agent.record import ContainerRecord, Ended
from veg_lab.node_agent.spec import Host, plan_container
from veg_lab.node_agent.status import ContainerView
from veg_lab.node_agent.view import container_id, shown_health, view_of

SPEC: dict[str, Any] = {"name": "c", "image": "i", "readinessProbe": {"exec": {"command": ["true"]}}}
POD: dict[str, Any] = {"metadata": {"name": "p", "namespace": "ns", "uid": "u"}, "spec": {"containers": [SPEC]}}


def record(**changes: Any) -> ContainerRecord:
    plan = plan_container(POD, SPEC, (), {}, Host(tools="/t"))
    values: dict[str, Any] = {
        **dict.fromkeys(("pid", "start_time", "uid", "gid", "shim_pid", "shim_start_time", "attempt"), 0),
        "caps": [],
        "cwd": "/",
        "env": {},
        "plan": plan,
        "started_at": 10.0,
    }
    return ContainerRecord(**values | changes)


def shown(found: ContainerRecord | None, health: Health | None = None, problem: str = "") -> ContainerView:
    problems = {"c": problem} if problem else {}
    return view_of(POD, {"c": found}, {"c": health} if health else {}, problems)((), "", "").mains[0]


def test_before_its_first_start_it_waits_and_says_for_what() -> None:
    assert shown(None).state == {"waiting": {"reason": "ContainerCreating"}}
    assert shown(None, problem="no secret").state == {
        "waiting": {"reason": "CreateContainerConfigError", "message": "no secret"}
    }


def test_a_running_container_shows_what_its_probes_say() -> None:
    assert not shown(record()).ready
    assert shown(record(), Health(started=True, ready=True)).ready
    assert shown(record()).state == {"running": {"startedAt": "1970-01-01T00:00:10Z"}}


def test_a_container_between_two_starts_is_in_back_off_with_its_last_end() -> None:
    view = shown(record(exit_code=3, finished_at=12.0, attempt=2))
    assert view.state == {"waiting": {"reason": "CrashLoopBackOff"}}
    assert view.last_state["terminated"]["exitCode"] == 3
    assert view.restarts == 2


def test_after_a_restart_the_end_before_it_is_kept() -> None:
    view = shown(record(attempt=1, previous=Ended(137, 1.0, 2.0)))
    assert view.last_state["terminated"]["exitCode"] == 137


def test_a_new_agent_believes_the_status_only_for_the_very_same_start() -> None:
    identity = container_id(POD, record(attempt=1))
    status = {"containerStatuses": [{"name": "c", "containerID": identity, "started": True, "ready": True}]}
    assert shown_health({**POD, "status": status}, SPEC, identity) == Health(started=True, ready=True)
    assert shown_health({**POD, "status": status}, SPEC, container_id(POD, record(attempt=2))) is None
