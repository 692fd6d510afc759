import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from veg_contracts.base import encode
from veg_contracts.envelope import from_message, to_body, to_headers
from veg_contracts.events import SpeakerChanged
from veg_contracts.intent import PodBfd
from veg_gw_agent import speaker
from veg_gw_agent.settings import CONFIG_FILE, AgentSettings, Pod

BFD = PodBfd(min_rx=100, min_tx=200, multiplier=5, peers=("10.255.255.255", "fd00::ffff"))
SETTINGS = AgentSettings(gateway="default/gateway1", gateway_uid="u1")
POD = Pod(name="gateway1-abc", namespace="default", uid="p1")
LINE: dict[str, Any] = {
    "local": "10.16.0.12",
    "remote": "10.255.255.255",
    "state": "Up",
    "previous": "Init",
    "diagnostic": "No Diagnostic",
    "remote_state": "Up",
    "at": "2026-01-01T00:00:00.000000Z",
    "min_rx_ms": 100,
    "min_tx_ms": 200,
    "detect_ms": 1000,
}
NEVER = "2026-01-01T00:00:09.000000Z"


def sessions(*own: str, bfd: PodBfd | None = BFD) -> list[tuple[str, str]]:
    content = json.loads(speaker.file_content(bfd, own))
    return [(item["local"], item["remote"]) for item in content["sessions"]]


def test_one_session_with_each_peer_of_a_family_that_the_pod_has() -> None:
    assert json.loads(speaker.file_content(BFD, ("10.16.0.12",))) == {
        "min_rx_ms": 100,
        "min_tx_ms": 200,
        "multiplier": 5,
        "sessions": [{"local": "10.16.0.12", "remote": "10.255.255.255"}],
    }
    assert sessions("fd00::12", "10.16.0.12") == [("10.16.0.12", "10.255.255.255"), ("fd00::12", "fd00::ffff")]
    assert sessions() == []
    assert sessions("10.16.0.12", bfd=None) == []


def test_what_is_for_a_peer_goes_by_its_relay() -> None:
    relayed = msgspec.structs.replace(BFD, via={"fd00::ffff": "fd37::1"})
    content = json.loads(speaker.file_content(relayed, ("10.16.0.12", "fd00::12")))
    assert content["sessions"] == [
        {"local": "10.16.0.12", "remote": "10.255.255.255"},
        {"local": "fd00::12", "remote": "fd00::ffff", "via": "fd37::1"},
    ]


def test_the_file_is_written_only_when_it_changes(tmp_path: Path) -> None:
    (tmp_path / "bfd.new").write_text("what a killed writer left")
    assert speaker.configure(tmp_path, BFD, ("10.16.0.12",))
    before = (tmp_path / CONFIG_FILE).stat()
    assert not speaker.configure(tmp_path, BFD, ("10.16.0.12",))
    assert (tmp_path / CONFIG_FILE).stat() == before
    assert speaker.configure(tmp_path, None, ("10.16.0.12",)), "BFD is off: the speaker must know"
    (tmp_path / CONFIG_FILE).write_bytes(b"\xff")
    assert speaker.configure(tmp_path, BFD, ("10.16.0.12",)), "whatever somebody wrote there"
    assert [path.name for path in tmp_path.iterdir()] == [CONFIG_FILE]


def test_a_missing_directory_matters_only_with_bfd(tmp_path: Path) -> None:
    assert not speaker.configure(tmp_path / "none", None, ())
    with pytest.raises(FileNotFoundError):
        speaker.configure(tmp_path / "none", BFD, ())


def take(*lines: dict[str, Any] | bytes, waiting_max: int = 1000) -> list[SpeakerChanged]:
    """What is published of these lines."""
    changes = speaker.Changes(SETTINGS, POD, waiting_max)
    for line in lines:
        changes._take(line if isinstance(line, bytes) else encode(line))  # what a socket would bring

    async def drained() -> list[SpeakerChanged]:
        found: list[SpeakerChanged] = []
        while True:
            try:
                envelope = await asyncio.wait_for(changes.get(), 0.01)
            except TimeoutError:
                return found
            assert from_message(envelope.subject, to_headers(envelope), to_body(envelope)) == envelope
            what = f"{envelope.data.local}/{envelope.data.remote}/{envelope.data.at}"
            assert envelope.id == f"agent/default/gateway1-abc/p1/session/{what}"
            found.append(envelope.data)
            changes.done(envelope)

    return asyncio.run(drained())


def test_a_change_is_an_event() -> None:
    assert take(LINE) == [
        SpeakerChanged(
            gateway="default/gateway1",
            gateway_uid="u1",
            pod="gateway1-abc",
            pod_uid="p1",
            local="10.16.0.12",
            remote="10.255.255.255",
            state="Up",
            previous="Init",
            diagnostic="No Diagnostic",
            remote_state="Up",
            min_rx=100,
            min_tx=200,
            detect=1000,
            at="2026-01-01T00:00:00.000000Z",
        )
    ]


def test_what_is_said_again_is_no_news_and_each_session_counts_for_itself() -> None:
    again = LINE | {"previous": "", "at": NEVER}
    other = again | {"local": "fd00::12", "remote": "fd00::ffff"}
    down = LINE | {"state": "Down", "previous": "Up", "at": NEVER}
    told = [(change.local, change.state) for change in take(LINE, again, other, down, again)]
    assert told == [("10.16.0.12", "Up"), ("fd00::12", "Up"), ("10.16.0.12", "Down"), ("10.16.0.12", "Up")]


def test_other_timers_are_news() -> None:
    assert [change.detect for change in take(LINE, LINE | {"detect_ms": 300, "at": NEVER})] == [1000, 300]


@pytest.mark.parametrize("line", [b"\n", b"garbage\n", b"\xff\n", b'{"local": 7}\n', b"[" * 100_000])
def test_a_malformed_line_is_left_out(line: bytes) -> None:
    assert len(take(line, LINE, line)) == 1


def test_while_the_bus_is_away_the_newest_are_kept() -> None:
    states = ["Down", "Init", "Up", "Down", "Init"]
    lines = [LINE | {"state": state, "at": f"2026-01-01T00:00:0{number}Z"} for number, state in enumerate(states)]
    assert [change.state for change in take(*lines, waiting_max=3)] == ["Up", "Down", "Init"]


def test_one_that_was_dropped_while_it_was_published_takes_no_other_with_it() -> None:
    async def scenario() -> None:
        changes = speaker.Changes(SETTINGS, POD, 1)
        changes._take(encode(LINE))
        first = await changes.get()
        changes._take(encode(LINE | {"state": "Down", "at": NEVER}))
        changes.done(first)
        assert (await changes.get()).data.state == "Down"

    asyncio.run(scenario())
