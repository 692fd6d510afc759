"""From what runs to the status the API server shows. Pure: the time comes in as a value."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ContainerView:
    """One container as the status shows it. `state` and `last_state` have the form of the API."""

    name: str
    image: str
    state: Json
    restarts: int = 0
    started: bool = False
    ready: bool = False
    container_id: str = ""
    last_state: Json = field(default_factory=dict)

    @property
    def exit_code(self) -> int | None:
        """None unless it has ended."""
        ended = self.state.get("terminated")
        return None if ended is None else int(ended["exitCode"])


@dataclass(frozen=True, slots=True)
class PodView:
    """What the agent knows of a pod."""

    inits: Sequence[ContainerView]
    mains: Sequence[ContainerView]
    addresses: Sequence[str]
    host_ip: str
    message: str = ""
    """Why the pod does not get on, for a person."""


Phase = Literal["Pending", "Running", "Succeeded", "Failed"]


def waiting(reason: str, message: str = "") -> Json:
    return {"waiting": {"reason": reason, **({"message": message} if message else {})}}


def running(started_at: str) -> Json:
    return {"running": {"startedAt": started_at}}


def terminated(exit_code: int, started_at: str, finished_at: str) -> Json:
    reason = "Completed" if exit_code == 0 else "Error"
    return {"terminated": {"exitCode": exit_code, "reason": reason, "startedAt": started_at, "finishedAt": finished_at}}


def restarts_after(exit_code: int, policy: str, *, init: bool = False) -> bool:
    """Whether a container that ended with this code is started again under the pod's restartPolicy."""
    if exit_code == 0:
        return policy == "Always" and not init
    return policy != "Never"


def phase_of(policy: str, view: PodView) -> Phase:
    """The phase, by Kubernetes' rules."""
    if any(
        code is not None and code != 0 and not restarts_after(code, policy, init=True) for code in _codes(view.inits)
    ):
        return "Failed"
    if any(code != 0 for code in _codes(view.inits)):
        return "Pending"
    codes = _codes(view.mains)
    if all(code is not None and not restarts_after(code, policy) for code in codes):
        return "Succeeded" if all(code == 0 for code in codes) else "Failed"
    never_ran = [main for main in view.mains if "waiting" in main.state and not main.container_id]
    return "Pending" if never_ran else "Running"


def _codes(containers: Sequence[ContainerView]) -> list[int | None]:
    return [container.exit_code for container in containers]


def pod_status(pod: Json, view: PodView, now: str) -> Json:
    """The pod's whole status; conditions that did not change keep their transition time, those of others stay."""
    old: Json = pod.get("status", {})
    policy = pod["spec"].get("restartPolicy", "Always")
    phase = phase_of(policy, view)
    initialized = all(code == 0 for code in _codes(view.inits))
    ready = phase == "Running" and all(main.ready for main in view.mains)
    unready = ", ".join(main.name for main in view.mains if not main.ready)
    incomplete = ", ".join(init.name for init in view.inits if init.exit_code != 0)
    not_ready = (
        ("PodCompleted", "")
        if phase == "Succeeded"
        else ("ContainersNotReady", f"containers with unready status: [{unready}]")
    )
    ours = [
        _condition(
            "Initialized", initialized, "ContainersNotInitialized", f"containers with incomplete status: [{incomplete}]"
        ),
        _condition("Ready", ready, *not_ready),
        _condition("ContainersReady", ready, *not_ready),
        _condition("PodScheduled", True, "", ""),
    ]
    status: Json = {
        "phase": phase,
        "conditions": _keep_times(ours, old.get("conditions", []), now),
        "hostIP": view.host_ip,
        "startTime": old.get("startTime") or now,
        "containerStatuses": [_container_status(main) for main in view.mains],
    }
    if view.inits:
        status["initContainerStatuses"] = [_container_status(init) for init in view.inits]
    if view.addresses:
        status["podIP"] = view.addresses[0]
        status["podIPs"] = [{"ip": address} for address in view.addresses]
    # A merge patch removes a key only when told so.
    status["message"] = view.message or None
    return status


def _condition(kind: str, true: bool, reason: str, message: str) -> Json:
    words = {} if true else {key: text for key, text in (("reason", reason), ("message", message)) if text}
    return {"type": kind, "status": "True" if true else "False", **words}


def _keep_times(ours: list[Json], old: Sequence[Json], now: str) -> list[Json]:
    before = {condition["type"]: condition for condition in old}
    timed: list[Json] = []
    for condition in ours:
        same = before.get(condition["type"], {})
        since = same.get("lastTransitionTime") if same.get("status") == condition["status"] else None
        timed.append({**condition, "lastProbeTime": None, "lastTransitionTime": since or now})
    mine = {condition["type"] for condition in ours}
    return [*timed, *(condition for condition in old if condition["type"] not in mine)]


def _container_status(view: ContainerView) -> Json:
    return {
        "name": view.name,
        "image": view.image,
        "imageID": f"lab://{view.image}",
        "containerID": view.container_id,
        "restartCount": view.restarts,
        "started": view.started,
        "ready": view.ready,
        "state": view.state,
        "lastState": view.last_state,
    }


def differs(wanted: Json, shown: Json) -> bool:
    """Whether the status has to be written: only what we set counts, an absent key equals None."""
    return any(_normal(value) != _normal(shown.get(key)) for key, value in wanted.items())


def _normal(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _normal(item) for key, item in value.items() if item not in (None, "", {})}
    if isinstance(value, list):
        return [_normal(item) for item in value]
    return value
