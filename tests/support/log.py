"""Whether the log is whole: gapless, without doubles, all that the stream has, and followed by what was decided."""

import sys
from pathlib import Path

from support.lab import Lab, eventually

_SCRIPT = Path(__file__).with_name("stream_ids.py")


def assert_log_is_whole(lab: Lab) -> None:
    eventually(lambda: not missing(lab), 20, "every message of the stream is in the log")
    (row,) = lab.sql("SELECT count(*) AS events, count(DISTINCT id) AS ids, max(position) AS last FROM event")
    assert row["events"] == row["ids"] == row["last"]
    eventually(lambda: lab.sql("SELECT id FROM event WHERE NOT decided") == [], 20, "every event is decided")
    eventually(lambda: lab.sql("SELECT id FROM command WHERE relayed_at IS NULL") == [], 20, "every command is sent")
    lab.call("vegctl", "replay", "--check", timeout_s=120)


def missing(lab: Lab) -> set[str]:
    """Ids of messages that the stream holds and the log does not."""
    password = lab.run_directory / "secrets" / "nats-planner"
    stream = set(lab.call("run", "--", sys.executable, str(_SCRIPT), str(password)).splitlines())
    logged = {row["id"] for row in lab.sql("SELECT id FROM event")}
    assert stream, "the stream is not empty"
    return stream - logged
