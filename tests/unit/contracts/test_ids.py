"""Who may say which id: what each service says is allowed on its own subjects, and on nobody else's."""

from typing import Any

import pytest
from support.simulation import Simulation, created

from veg_contracts import ids, subjects
from veg_contracts.envelope import Envelope, type_name
from veg_contracts.events import ChassisObserved, CommandApplied, ConfigApplied, KindListed

GATEWAY = "default/gateway1"
K8S, OVN, KUBE = subjects.k8s_listed("Pod"), subjects.ovn_event(GATEWAY), subjects.kube_event(GATEWAY)
AGENT = subjects.agent_event(GATEWAY, "gateway1-0")

LISTED = KindListed(kind="Pod", resource_version=1, part=1, parts=1, uids=())
CHASSIS = ChassisObserved()
REPORT = ConfigApplied(gateway=GATEWAY, gateway_uid="u", pod="gateway1-0", pod_uid="p", generation=1)


def applied(command_id: str) -> CommandApplied:
    return CommandApplied(command_id=command_id, gateway=GATEWAY, gateway_uid="u", part="x", generation=1)


ROWS, MEMBERS, STATUS = applied("cmd/nb/a/b/1"), applied("cmd/members/veg.x/a/b/1"), applied("cmd/status/a/b/1")


def refusal(identity: str, subject: str, data: Any) -> str | None:
    envelope = Envelope(id=identity, source="s", type=type_name(data), subject=subject, time="t", data=data)
    return ids.refusal(envelope)


@pytest.mark.parametrize(
    ("identity", "subject", "data"),
    [
        ("k8s/Pod/listed/1/1-of-1", K8S, LISTED),
        ("ovn/chassis/1", OVN, CHASSIS),
        ("cmd/nb/a/b/1/applied", OVN, ROWS),
        ("cmd/members/veg.x/a/b/1/applied", OVN, MEMBERS),
        ("cmd/status/a/b/1/applied", KUBE, STATUS),
        ("agent/default/gateway1-0/p/1/applied", AGENT, REPORT),
    ],
)
def test_everybody_may_say_its_own(identity: str, subject: str, data: Any) -> None:
    assert refusal(identity, subject, data) is None


@pytest.mark.parametrize(
    ("identity", "subject", "data"),
    [
        ("ovn/chassis/1", K8S, LISTED),
        ("k8s/Pod/u/1", OVN, CHASSIS),
        ("agent/default/gateway1-0/p/1/applied", OVN, CHASSIS),
        ("cmd/nb/a/b/1/applied", OVN, CHASSIS),
        ("ovn/chassis/1", OVN, ROWS),
        ("cmd/nb/a/b/2/applied", OVN, ROWS),  # the outcome of another command
        ("cmd/nb/a/b/1/applied", KUBE, ROWS),  # the other writer's command
        ("cmd/status/a/b/1/applied", OVN, STATUS),
        ("k8s/Pod/u/1/applied", KUBE, applied("k8s/Pod/u/1")),  # no command
        ("planner/tick/1/1", OVN, CHASSIS),
        ("", K8S, LISTED),
    ],
)
def test_nobody_may_say_what_is_not_its_own(identity: str, subject: str, data: Any) -> None:
    reason = refusal(identity, subject, data)
    assert reason is not None
    assert f"{identity!r} may not appear on subject {subject!r}" in reason


def test_every_command_of_the_planner_is_one_writers() -> None:
    simulation: Simulation = created()
    sent = [outgoing for outgoing in simulation.sent if not outgoing.subject.startswith("$KV.")]
    assert {outgoing.subject.split(".")[2] for outgoing in sent} == {"ovn", "kube"}
    for outgoing in sent:
        by_ovn = outgoing.subject.startswith("veg.cmd.ovn.")
        identity, outcome = f"{outgoing.id}/applied", applied(outgoing.id)
        assert (refusal(identity, OVN, outcome) is None) == by_ovn
        assert (refusal(identity, KUBE, outcome) is None) != by_ovn
