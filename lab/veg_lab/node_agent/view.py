"""From records of containers to what the status shows of them. Pure."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from veg_lab.node_agent.probes import Health, initial_health
from veg_lab.node_agent.record import ContainerRecord
from veg_lab.node_agent.spec import Json
from veg_lab.node_agent.status import ContainerView, PodView, restarts_after, running, terminated, waiting


def container_id(pod: Json, record: ContainerRecord) -> str:
    """Tells the starts of a container apart."""
    return f"lab://{pod['metadata']['uid']}-{record.plan.name}-{record.attempt}"


def shown_health(pod: Json, spec: Json, identity: str) -> Health | None:
    """What the pod's status says of this very start of the container, if it says anything."""
    for shown in pod.get("status", {}).get("containerStatuses", []):
        if shown["name"] == spec["name"] and shown.get("containerID") == identity:
            return Health(started=bool(shown.get("started")), ready=bool(shown.get("ready")))
    return None


def view_of(
    pod: Json, records: Mapping[str, ContainerRecord | None], health: Mapping[str, Health], problems: Mapping[str, str]
) -> Callable[[Sequence[str], str, str], PodView]:
    """A function of addresses, host address and message to the view of the whole pod."""
    inits: list[Json] = pod["spec"].get("initContainers", [])
    policy = pod["spec"].get("restartPolicy", "Always")

    def view(spec: Json, *, init: bool) -> ContainerView:
        name, record = spec["name"], records.get(spec["name"])
        if record is None:
            reason = (
                "CreateContainerConfigError"
                if name in problems
                else "PodInitializing"
                if inits
                else "ContainerCreating"
            )
            return ContainerView(name, spec["image"], waiting(reason, problems.get(name, "")))
        previous = record.previous
        last = (
            terminated(previous.exit_code, _time(previous.started_at), _time(previous.finished_at)) if previous else {}
        )
        if record.exit_code is None:
            known = health.get(name) or initial_health(spec)
            ready = False if init else known.ready
            return ContainerView(
                name, spec["image"], running(_time(record.started_at)), record.attempt, known.started, ready,
                container_id(pod, record), last,
            )  # fmt: skip
        ended = terminated(record.exit_code, _time(record.started_at), _time(record.finished_at))
        again = restarts_after(record.exit_code, policy, init=init)
        state = waiting("CrashLoopBackOff", problems.get(name, "")) if again else ended
        ready = init and record.exit_code == 0
        return ContainerView(
            name, spec["image"], state, record.attempt, started=False, ready=ready,
            container_id=container_id(pod, record), last_state=ended if again else last,
        )  # fmt: skip

    return lambda addresses, host_ip, message: PodView(
        inits=[view(spec, init=True) for spec in inits],
        mains=[view(spec, init=False) for spec in pod["spec"]["containers"]],
        addresses=addresses,
        host_ip=host_ip,
        message=message,
    )


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
