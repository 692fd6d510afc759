"""NATS: whether the services can use it. Pure."""

from collections.abc import Iterator
from typing import Final

from veg_contracts import subjects
from vegctl.preflight.facts import Bus, Unreached
from vegctl.preflight.findings import Finding, blocker, ok, unknown

STREAMS: Final = (
    subjects.EVENT_STREAM,
    subjects.AGENT_EVENT_STREAM,
    subjects.COMMAND_STREAM,
    subjects.CONFIG_STREAM,
)


def judge(found: Bus | Unreached | None) -> Iterator[Finding]:
    """What follows from the server and what is on it."""
    match found:
        case None:
            yield unknown("bus", "NATS", "was not looked at", "set VEG_NATS_URL, and the reader's user and password")
        case Unreached():
            text = f"no connection to {found.where}: {found.reason}"
            yield blocker("bus", "NATS", text, "no service works without it")
        case Bus():
            yield from _server(found)


def _server(found: Bus) -> Iterator[Finding]:
    text = f"version {found.version}, reached as {found.user or 'nobody'}"
    if not found.jetstream:
        yield blocker("bus", "NATS", f"{text}, without JetStream for this account", "switch JetStream on")
        return
    needed = subjects.MESSAGE_BYTES_MAX
    if found.max_payload < needed:
        follows = f"set max_payload to {needed} bytes or more: larger messages are refused"
        yield blocker("bus", "NATS", f"{text}, takes messages of {found.max_payload} bytes at most", follows)
    else:
        yield ok("bus", "NATS", text)
    lacking = [name for name in STREAMS if name not in found.streams]
    if lacking:
        yield ok("bus.streams", "NATS", f"{', '.join(lacking)} not there yet", "the planner makes them at its start")
    else:
        yield ok("bus.streams", "NATS", f"{', '.join(STREAMS)} are there")
