"""Messages as events that the log can hold."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veg_contracts.base import encode
from veg_contracts.envelope import Envelope, MalformedMessageError
from veg_contracts.events import CommandFailed, ConfigApplied
from veg_contracts.subjects import agent_event
from veg_planner.bus.inbox import read

COMMAND = "cmd/nb/a/b/u/1/7"
HEADERS = {
    "ce-specversion": "1.0",
    "ce-id": f"{COMMAND}/failed",
    "ce-source": "veg/ovn-writer",
    "ce-type": "veg.writer.command-failed.v1",
    "ce-time": "2026-01-01T00:00:00Z",
}


def failed(message: str) -> CommandFailed:
    return CommandFailed(command_id=COMMAND, gateway="a/b", gateway_uid="u", part="nb", generation=1, message=message)


def read_with(body: bytes, **headers: str) -> Envelope:
    changed = {name.replace("_", "-"): value for name, value in headers.items()}
    return read("veg.evt.ovn.x", {**HEADERS, **changed}, body)


@given(st.text(alphabet=st.sampled_from('\0\\u"0/x')) | st.text(alphabet=st.characters(codec="utf-8")))
def test_nul_and_only_nul_is_replaced(text: str) -> None:
    body = json.dumps(
        {
            "command_id": COMMAND,
            "gateway": "a/b",
            "gateway_uid": "u",
            "part": "nb",
            "generation": 1,
            "message": text,
        }
    )
    assert read_with(body.encode()).data.message == text.replace("\0", "\ufffd")
    assert read_with(encode(failed(text))).data.message == text.replace("\0", "\ufffd")


@pytest.mark.parametrize(
    ("time", "kept"),
    [
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000000Z"),
        ("2026-01-01T01:00:00.5+01:00", "2026-01-01T00:00:00.500000Z"),
        ("2026-01-01T00:00:00.123456789Z", "2026-01-01T00:00:00.123456Z"),
    ],
)
def test_time_is_kept_in_utc_with_microseconds(time: str, kept: str) -> None:
    assert read_with(encode(failed("")), ce_time=time).time == kept


def nested(levels: int) -> bytes:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return encode({"x": value, "message": '[{"' * 100})


def test_depth_is_limited_and_brackets_in_texts_do_not_count() -> None:
    with pytest.raises(MalformedMessageError, match="nested deeper"):
        read_with(nested(70))
    with pytest.raises(MalformedMessageError, match="missing required field"):
        read_with(nested(40))


@pytest.mark.parametrize("headers", [{"ce_id": "a\nb"}, {"ce_id": "\udcff"}, {"ce_source": "s" * 513}])
def test_attributes_are_short_and_printable(headers: dict[str, str]) -> None:
    with pytest.raises(MalformedMessageError, match="attribute"):
        read_with(encode(failed("")), **headers)


@given(st.binary(max_size=200), st.dictionaries(st.sampled_from([*HEADERS, "other"]), st.text(max_size=20)))
def test_nothing_but_a_named_refusal_comes_of_garbage(body: bytes, headers: dict[str, str]) -> None:
    with contextlib.suppress(MalformedMessageError):
        read("veg.evt.ovn.x", {**HEADERS, **headers}, body)


def agent_report(subject: str, identity: str = "agent/a.b/c-1/p/1/applied") -> Envelope:
    data = ConfigApplied(gateway="a.b/c", gateway_uid="u", pod="c-1", pod_uid="p", generation=1)
    headers = {**HEADERS, "ce-id": identity, "ce-source": "veg/gw-agent", "ce-type": "veg.agent.config-applied.v1"}
    return read(subject, headers, encode(data))


def test_an_agent_speaks_for_its_own_pod_only() -> None:
    assert agent_report(agent_event("a.b/c", "c-1")).data.pod == "c-1"
    for other in (agent_event("a.b/c", "c-2"), agent_event("a.b/d", "c-1"), agent_event("other/c", "c-1")):
        with pytest.raises(MalformedMessageError, match=r"pod 'c-1' of gateway 'a.b/c' may not appear on subject"):
            agent_report(other)


@pytest.mark.parametrize(
    "identity",
    [
        "k8s/Pod/uid/5",  # the watcher's
        "ovn/listed/1",  # the ovn-writer's
        "cmd/nb/a.b/c/u/1/7/applied",  # the outcome of a command
        "planner/tick/1/1",  # the planner's own
        "agent/a.b/c-2/p/1/applied",  # another pod's
        "agent/a.b/c-1/q/1/applied",  # a uid that the data does not say
        "agent/a.b/c-1/p/",  # nothing of the pod's own
    ],
)
def test_an_agent_cannot_use_up_an_id_that_another_one_needs(identity: str) -> None:
    with pytest.raises(MalformedMessageError, match=r"attribute ce-id: .* only ids that begin with 'agent/a.b/c-1/p/'"):
        agent_report(agent_event("a.b/c", "c-1"), identity)
