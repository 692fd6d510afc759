"""Every message round-trips; whatever is no message of ours is named and refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veg_contracts.envelope import Envelope, MalformedMessageError, from_message, to_body, to_headers, type_name
from veg_contracts.events import RowsListed

SUBJECT = "veg.evt.ovn.listed"
ENVELOPE = Envelope(
    id="1",
    source="veg/test",
    type=type_name(RowsListed()),
    subject=SUBJECT,
    time="2026-01-01T00:00:00Z",
    data=RowsListed(gateways=("a/b",)),
    correlation_id="c",
    causation_id="d",
    traceparent="00-1-2-01",
)


def test_a_message_round_trips() -> None:
    assert from_message(SUBJECT, to_headers(ENVELOPE), to_body(ENVELOPE)) == ENVELOPE


def test_the_message_id_is_the_events_id() -> None:
    assert to_headers(ENVELOPE)["Nats-Msg-Id"] == ENVELOPE.id


@pytest.mark.parametrize(
    ("header", "value", "said"),
    [
        ("ce-specversion", "0.3", "attribute ce-specversion: '0.3'"),
        ("ce-id", "", "attribute ce-id is missing"),
        ("ce-time", "", "attribute ce-time is missing"),
        ("ce-type", "veg.ovn.rows-unknown.v9", "'veg.ovn.rows-unknown.v9' is none of ours"),
    ],
)
def test_a_wrong_attribute_is_named(header: str, value: str, said: str) -> None:
    headers = to_headers(ENVELOPE) | {header: value}
    with pytest.raises(MalformedMessageError, match=said):
        from_message(SUBJECT, headers, to_body(ENVELOPE))


def test_a_wrong_field_is_named() -> None:
    with pytest.raises(MalformedMessageError, match=r"\$\.gateways"):
        from_message(SUBJECT, to_headers(ENVELOPE), b'{"gateways": 5}')


def test_a_role_cannot_speak_for_another_one() -> None:
    with pytest.raises(MalformedMessageError, match="may not appear on subject"):
        from_message("veg.evt.agent.default.gateway1.pod", to_headers(ENVELOPE), to_body(ENVELOPE))


@given(st.binary(max_size=200), st.dictionaries(st.sampled_from(list(to_headers(ENVELOPE))), st.text(max_size=30)))
def test_garbage_is_refused_and_never_crashes(body: bytes, headers: dict[str, str]) -> None:
    try:
        envelope = from_message(SUBJECT, to_headers(ENVELOPE) | headers, body)
    except MalformedMessageError:
        return
    assert isinstance(envelope.data, RowsListed)


def test_no_headers_at_all() -> None:
    with pytest.raises(MalformedMessageError):
        from_message(SUBJECT, None, b"\xff\x00")
