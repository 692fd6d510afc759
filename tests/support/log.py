"""Whether the log is whole: gapless, without doubles, nothing left on the bus, and followed by what was decided."""

from support.lab import Lab, eventually
from veg_contracts.subjects import AGENT_EVENT_STREAM, COMMAND_STREAM, EVENT_STREAM

_STREAMS = {EVENT_STREAM, AGENT_EVENT_STREAM, COMMAND_STREAM}


def assert_log_is_whole(lab: Lab) -> None:
    eventually(lambda: set(waiting(lab).values()) == {0}, 20, "every message of the streams is acknowledged")
    (row,) = lab.sql("SELECT count(*) AS events, count(DISTINCT id) AS ids, max(position) AS last FROM event")
    assert row["events"] == row["ids"] == row["last"]
    eventually(lambda: lab.sql("SELECT id FROM event WHERE NOT decided") == [], 20, "every event is decided")
    eventually(lambda: lab.sql("SELECT id FROM command WHERE relayed_at IS NULL") == [], 20, "every command is sent")
    lab.call("vegctl", "replay", "--check", timeout_s=120)


def waiting(lab: Lab) -> dict[str, int]:
    """How many messages each stream holds that nobody has acknowledged."""
    lines = [line.split() for line in lab.call("nats", "streams").splitlines()]
    found = {words[0]: int(words[1]) for words in lines if words[0] in _STREAMS}
    assert set(found) == _STREAMS
    return found
