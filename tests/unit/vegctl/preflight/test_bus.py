"""NATS, as the reader sees it."""

import msgspec
import pytest
from support.preflight import BUS, facts, said

from veg_contracts import subjects
from vegctl.preflight.derive import report
from vegctl.preflight.facts import Bus, Unreached
from vegctl.preflight.findings import Verdict


@pytest.mark.parametrize(
    ("found", "text", "verdict"),
    [
        (None, "set VEG_NATS_URL", Verdict.WORKS_WITH_LIMITS),
        (Unreached(where="nats://n:4222", reason="refused"), "no connection to nats://n:4222", Verdict.DOES_NOT_WORK),
        (msgspec.structs.replace(BUS, jetstream=False), "without JetStream", Verdict.DOES_NOT_WORK),
        (msgspec.structs.replace(BUS, max_payload=65536), "messages of 65536 bytes at most", Verdict.DOES_NOT_WORK),
    ],
)
def test_a_bus_that_cannot_be_used(found: Bus | Unreached | None, text: str, verdict: Verdict) -> None:
    made = report(facts(bus=found))
    assert text in said(made)["bus NATS"]
    assert made.verdict is verdict


def test_streams_that_are_not_there_are_the_planners_to_make() -> None:
    found = report(facts(bus=msgspec.structs.replace(BUS, streams=(subjects.EVENT_STREAM,))))
    (streams,) = [each for each in found.findings if each.id == "bus.streams"]
    assert (
        streams.found
        == f"{subjects.AGENT_EVENT_STREAM}, {subjects.COMMAND_STREAM}, {subjects.CONFIG_STREAM} not there yet"
    )
    assert found.verdict is Verdict.WORKS
