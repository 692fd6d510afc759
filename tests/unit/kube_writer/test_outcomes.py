import pytest

from veg_contracts.commands import EnsureFinalizer, RecordKubeEvent, RemoveWorkload
from veg_contracts.envelope import Envelope, from_message, to_body, to_headers
from veg_kube_writer import outcomes
from veg_kube_writer.outcomes import KubeCommand, Outcome

FINALIZER = EnsureFinalizer(gateway="default/gateway1", gateway_uid="uid", generation=4, present=True)
EVENT = RecordKubeEvent(
    gateway="default/gateway1", gateway_uid="uid", generation=4, type="Normal", reason="R", message="m", at="t"
)
REMOVE = RemoveWorkload(gateway="default/gateway1", gateway_uid="uid", generation=4, namespace="default", name="g")
COMMAND = Envelope(
    id="cmd/1",
    source="veg/planner",
    type="veg.kube.ensure-finalizer.v1",
    subject="veg.cmd.kube.default.gateway1",
    time="t",
    data=FINALIZER,
    correlation_id="the story",
    causation_id="what led to the command",
    traceparent="parent",
)


@pytest.mark.parametrize(("command", "part"), [(FINALIZER, "finalizer"), (EVENT, "event"), (REMOVE, "workload")])
def test_the_part_follows_from_the_command(command: KubeCommand, part: str) -> None:
    assert outcomes.applied("cmd/1", command, {}).part == part


@pytest.mark.parametrize(
    ("outcome", "identity"),
    [
        (outcomes.applied("cmd/1", FINALIZER, {"skipped": "gone"}), "cmd/1/applied"),
        (outcomes.failed("cmd/1", FINALIZER, "why"), "cmd/1/failed"),
        (outcomes.refused("cmd/1", FINALIZER, 5), "cmd/1/refused"),
    ],
)
def test_an_outcome_is_a_message_that_continues_the_story(outcome: Outcome, identity: str) -> None:
    said = outcomes.envelope(COMMAND, outcome, time="now", traceparent="child")
    assert said == from_message(said.subject, to_headers(said), to_body(said))
    assert (said.id, said.source, said.subject) == (identity, "veg/kube-writer", "veg.evt.kube.default.gateway1")
    assert (said.correlation_id, said.causation_id, said.traceparent) == ("the story", "cmd/1", "child")
    assert (outcome.command_id, outcome.gateway_uid, outcome.generation) == ("cmd/1", "uid", 4)


def test_a_long_reason_is_cut() -> None:
    assert len(outcomes.failed("cmd/1", FINALIZER, "x" * 5000).message) == 2000
