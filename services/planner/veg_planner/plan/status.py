"""The status of a gateway, made from the report: what the document shows, and conditions in Kube-OVN's format."""

from typing import Final

from veg_contracts import names
from veg_contracts.intent import Condition, GatewayStatus, Step, WorkloadStatus
from veg_contracts.objects import EgressGateway
from veg_planner.plan import contest, silence, stability
from veg_planner.plan.bfd import PANIC
from veg_planner.plan.pods import Member

_MESSAGE_LENGTH_MAX: Final = 2000
_INVALID_TOPICS: Final = frozenset({"spec"})
# What keeps nothing from being ready, and is told all the same: a source takes another way than the settings say.
_TOLD_TOPICS: Final = frozenset({"form"})


def status(
    gateway: EgressGateway, replicas: int, deployment: str, serving: tuple[Member, ...], steps: tuple[Step, ...]
) -> GatewayStatus:
    """The status; the times of its conditions are given to it when it differs from the last one."""
    blocking = [step for step in steps if step.state in ("waits", "refused")]
    ready = not blocking and not gateway.deleting
    remarks = [step.text for step in steps if step.state == "done" and step.topic in _TOLD_TOPICS]
    conditions = (
        _validated(gateway, steps),
        *_acted_on(gateway, steps),
        *_stable(gateway, steps),
        *_all_chassis(gateway, steps),
        *_contested(gateway, steps),
        _ready(gateway, blocking, len(serving), remarks),
    )
    return GatewayStatus(
        replicas=replicas,
        label_selector=names.label_selector(gateway.name),
        ready=ready,
        phase="Completed" if ready else "Processing",
        internal_ips=tuple(member.internal_text for member in serving),
        external_ips=tuple(member.external_text for member in serving),
        workload=WorkloadStatus(
            api_version="apps/v1",
            kind="Deployment",
            name=deployment,
            nodes=tuple(sorted({member.node for member in serving})),
        ),
        conditions=conditions,
    )


def _validated(gateway: EgressGateway, steps: tuple[Step, ...]) -> Condition:
    errors = [step.text for step in steps if step.state == "refused" and step.topic in _INVALID_TOPICS]
    if errors:
        return _condition(gateway, "Validated", "False", "InvalidSpec", errors)
    return _condition(gateway, "Validated", "True", "Valid", ["the spec is valid"])


def _acted_on(gateway: EgressGateway, steps: tuple[Step, ...]) -> tuple[Condition, ...]:
    """Only present while there is something that is accepted but not acted on."""
    texts = [step.text for step in steps if step.topic == "not acted on"]
    return (_condition(gateway, "ActedOn", "False", "NotYetActedOn", texts),) if texts else ()


def _stable(gateway: EgressGateway, steps: tuple[Step, ...]) -> tuple[Condition, ...]:
    """Only present while somebody else changes our rows again and again."""
    texts = [step.text for step in steps if step.topic == stability.TOPIC]
    return (_condition(gateway, "Stable", "False", "RepairedRepeatedly", texts),) if texts else ()


def _all_chassis(gateway: EgressGateway, steps: tuple[Step, ...]) -> tuple[Condition, ...]:
    """Only present while rows count as programmed without some chassis."""
    texts = [step.text for step in steps if step.topic == silence.TOPIC]
    return (_condition(gateway, "AllChassis", "False", "ChassisSilent", texts),) if texts else ()


def _contested(gateway: EgressGateway, steps: tuple[Step, ...]) -> tuple[Condition, ...]:
    """Only present while another controller reconciles the gateway, too."""
    texts = [step.text for step in steps if step.topic == contest.TOPIC]
    return (_condition(gateway, names.CONFLICT, "True", names.REASON_OTHER, texts),) if texts else ()


def _ready(gateway: EgressGateway, blocking: list[Step], serving: int, remarks: list[str]) -> Condition:
    if gateway.deleting:
        return _condition(gateway, "Ready", "False", "Deleting", [step.text for step in blocking])
    if not blocking:
        return _condition(
            gateway,
            "Ready",
            "True",
            "ReconcileSuccess",
            [f"{serving} {'pod serves' if serving == 1 else 'pods serve'}", *remarks],
        )
    # First: it is about traffic that flows at this moment.
    panic = [step for step in blocking if step.topic == PANIC]
    refused = any(step.state == "refused" for step in blocking)
    reason = names.REASON_PANIC if panic else names.REASON_REFUSED if refused else "Processing"
    texts = [step.text for step in (*panic, *(step for step in blocking if step.topic != PANIC))]
    return _condition(gateway, "Ready", "False", reason, texts)


def _condition(gateway: EgressGateway, kind: str, state: str, reason: str, texts: list[str]) -> Condition:
    message = "; ".join(texts)
    if len(message) > _MESSAGE_LENGTH_MAX:
        message = f"{message[: _MESSAGE_LENGTH_MAX - 3]}..."
    return Condition(type=kind, status=state, reason=reason, message=message, observed_generation=gateway.generation)
