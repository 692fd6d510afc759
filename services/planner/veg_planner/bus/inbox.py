"""What comes in: the planner's consumers, and messages read as events that the log can hold."""

import asyncio
import contextlib
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import nats.errors
import nats.js.errors
from nats.aio.msg import Msg
from nats.js import JetStreamContext, api

from veg_contracts import ids, subjects
from veg_contracts.envelope import Envelope, MalformedMessageError, from_message
from veg_contracts.events import EVENT_TYPES, ConfigApplied, ConfigFailed, SpeakerChanged
from veg_runtime import bus, logs, tasks

# How many messages of each stream are decided on together. Of agents few: while they are, all others wait.
_SHARES: Final = {subjects.EVENT_STREAM: 200, subjects.AGENT_EVENT_STREAM: 50}
_IN_FLIGHT_MAX: Final = 500
_FETCH_WAIT_S: Final = 1.0
_ACK_WAIT_S: Final = 30.0
_RETRY_S: Final = 0.5
# Ids are indexed, and Postgres refuses an index row over 2704 bytes; a character has at most four.
_ATTRIBUTE_LENGTH_MAX: Final = 512
_DEPTH_MAX: Final = 64
# A NUL in a JSON text: an odd number of backslashes, then u0000.
_NUL: Final = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")
_REPLACEMENT: Final = rb"\1\\ufffd"

log = logs.get("inbox")


class Inbox:
    """The planner's consumers, one on each stream of events, read side by side.

    Each has a share of every batch, so that however much waits on one of them, a message of the other waits for one
    batch at most.
    """

    def __init__(self, js: JetStreamContext) -> None:
        self._js = js
        self._subscriptions: dict[str, JetStreamContext.PullSubscription] = {}
        self._fetching: dict[str, asyncio.Task[list[Msg]]] = {}
        self._waiting: dict[str, int] = {}

    @property
    def waiting(self) -> int:
        """How many messages are on the bus behind those fetched last."""
        return sum(self._waiting.values())

    async def subscribe(self) -> None:
        """Make the consumers anew, so that they begin with the first message that was never acknowledged.

        A leader that was killed leaves messages behind that it got and did not acknowledge. Its consumer would deliver
        them again only after `_ACK_WAIT_S`, and after newer ones. A new one delivers everything that is there, at once
        and in order: the streams keep what was not acknowledged, and nothing else. What was acknowledged a moment ago
        and comes again is dropped by the log.
        """
        await self.close()
        for stream in _SHARES:
            self._subscriptions[stream] = await _subscribe(self._js, stream)

    async def fetch(self) -> list[Msg]:
        """What comes next, those of one stream after those of another; none after a while without any message."""
        for stream, subscription in self._subscriptions.items():
            if stream not in self._fetching:
                fetching = bus.fetch(subscription, _SHARES[stream], _FETCH_WAIT_S)
                self._fetching[stream] = asyncio.create_task(fetching)
        await asyncio.wait(self._fetching.values(), return_when=asyncio.FIRST_COMPLETED)
        messages: list[Msg] = []
        for stream in [stream for stream in _SHARES if self._fetching[stream].done()]:
            found = self._fetching.pop(stream).result()
            self._waiting[stream] = found[-1].metadata.num_pending if found else 0
            messages += found
        return messages

    async def exist(self) -> bool:
        """Whether the consumers are there: the bus may have lost its files, or another planner has taken over."""
        return all([await _exists(self._js, stream) for stream in _SHARES])

    async def close(self) -> None:
        """Fetch no more."""
        await tasks.end(self._fetching.values())
        self._fetching.clear()


async def _subscribe(js: JetStreamContext, stream: str) -> JetStreamContext.PullSubscription:
    name = subjects.PLANNER_CONSUMER
    while True:
        try:
            await _remove(js, stream, name)
            await js.add_consumer(stream, _consumer(name))
            return await js.pull_subscribe_bind(name, stream)
        except (TimeoutError, nats.errors.Error, nats.js.errors.Error, OSError) as error:
            log.warning("consumer not ready, trying again", stream=stream, error=repr(error))
            await asyncio.sleep(_RETRY_S)


async def _remove(js: JetStreamContext, stream: str, name: str) -> None:
    with contextlib.suppress(nats.js.errors.NotFoundError):
        await js.delete_consumer(stream, name)


async def _exists(js: JetStreamContext, stream: str) -> bool:
    try:
        await js.consumer_info(stream, subjects.PLANNER_CONSUMER)
    except nats.js.errors.NotFoundError:
        return False
    except (TimeoutError, nats.errors.Error, nats.js.errors.Error, OSError) as error:
        log.warning("bus does not answer", error=repr(error))
    return True


def _consumer(name: str) -> api.ConsumerConfig:
    return api.ConsumerConfig(
        durable_name=name,
        deliver_policy=api.DeliverPolicy.ALL,
        ack_policy=api.AckPolicy.EXPLICIT,
        ack_wait=_ACK_WAIT_S,
        max_ack_pending=_IN_FLIGHT_MAX,
    )


def read_message(message: Msg) -> Envelope:
    """Read a message of a stream of events; see `read`."""
    return read(message.subject, bus.headers_of(message), message.data)


def read(subject: str, headers: Mapping[str, str] | None, body: bytes) -> Envelope:
    """Read an event so that the log can hold it: NUL in a text becomes U+FFFD, the time is in UTC.

    Raises:
        MalformedMessageError: it is not one of our events; the message says which attribute or field is wrong.
    """
    _check_depth(body)
    envelope = from_message(subject, headers, _NUL.sub(_REPLACEMENT, body))
    if envelope.type not in EVENT_TYPES:
        raise MalformedMessageError(f"attribute ce-type: {envelope.type!r} is no event")
    _check_speaker(envelope)
    for field in ("id", "source", "correlation_id", "causation_id", "traceparent"):
        _check_text(field, getattr(envelope, field))
    if (reason := ids.refusal(envelope)) is not None:
        raise MalformedMessageError(f"attribute ce-id: {reason}")
    return msgspec.structs.replace(envelope, time=_utc(envelope.time))


def _check_speaker(envelope: Envelope) -> None:
    """Agents may be given the subjects of their own pod alone: there they cannot speak for another one."""
    data = envelope.data
    if not isinstance(data, ConfigApplied | ConfigFailed | SpeakerChanged):
        return
    if envelope.subject != subjects.agent_event(data.gateway, data.pod):
        what = f"pod {data.pod!r} of gateway {data.gateway!r}"
        raise MalformedMessageError(f"data: {what} may not appear on subject {envelope.subject!r}")


def _check_depth(body: bytes) -> None:
    """Refuse what nests so deep that reading it can fail in one place and work in another."""
    if body.count(b"[") + body.count(b"{") <= _DEPTH_MAX:
        return
    try:
        level = [msgspec.json.decode(body)]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedMessageError(f"data: {error}") from error
    for _ in range(_DEPTH_MAX + 1):
        level = [inner for value in level for inner in _inside(value)]
        if not level:
            return
    raise MalformedMessageError(f"data: nested deeper than {_DEPTH_MAX} levels")


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _check_text(field: str, text: str) -> None:
    if len(text) > _ATTRIBUTE_LENGTH_MAX:
        limit = _ATTRIBUTE_LENGTH_MAX
        raise MalformedMessageError(f"attribute {field}: {len(text)} characters, at most {limit} are allowed")
    if not text.isprintable():
        raise MalformedMessageError(f"attribute {field}: {text!r} has characters that cannot be printed")


def _utc(time: str) -> str:
    try:
        parsed = datetime.fromisoformat(time)
        if parsed.tzinfo is None:
            raise MalformedMessageError(f"attribute ce-time: {time!r} has no time zone")
        return parsed.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError) as error:
        if isinstance(error, MalformedMessageError):
            raise
        raise MalformedMessageError(f"attribute ce-time: {time!r} is no time of RFC 3339") from error
