"""The writer as a process, commands as the planner sends them, and what the streams and the database say."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import nats
from functional.ovsdb import Ovsdb
from functional.servers import Nats, Process, free_port, wait_for
from nats.js import JetStreamContext

from veg_contracts import subjects
from veg_contracts.commands import EnsureNb
from veg_contracts.envelope import Envelope, from_message, to_body, to_headers, type_name
from veg_contracts.events import RowsListed, RowsObserved
from veg_contracts.intent import NbRows, RoutePolicy
from veg_planner.bus.streams import ensure_streams
from veg_runtime import clock

T = TypeVar("T")
GATEWAY = "default/gateway1"
ROUTER = "ovn-cluster"
TRACE = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"


def policy(source: str, *nexthops: str, family: str = "4", priority: int = 29100) -> RoutePolicy:
    return RoutePolicy(
        family=family, priority=priority, match=f"ip{family}.src == {source}", action="reroute", nexthops=nexthops
    )


def rows(*policies: RoutePolicy, router: str = ROUTER) -> NbRows:
    return NbRows(router=router, policies=policies)


DOCUMENT = rows(policy("10.16.0.0/16", "10.16.0.12"))
SCALED = rows(policy("10.16.0.0/16", "10.16.0.12", "10.16.0.15"))


def command(generation: int, wanted: NbRows, gateway: str = GATEWAY, number: str = "") -> Envelope:
    """As the planner's relay sends it."""
    data = EnsureNb(gateway=gateway, gateway_uid=f"uid-{gateway}", generation=generation, rows=wanted)
    return Envelope(
        id=f"uid-{gateway}/{generation}/nb{number}",
        source="veg/planner",
        type=type_name(data),
        subject=subjects.ovn_command(wanted.router, gateway),
        time=clock.now(),
        data=data,
        correlation_id="story",
        causation_id="cause",
        traceparent=TRACE,
    )


class Bus:
    """The streams, seen by somebody who may do everything."""

    def __init__(self, server: Nats) -> None:
        self.server = server
        self.ask(ensure_streams)

    def send(self, *envelopes: Envelope) -> None:
        for envelope in envelopes:
            self.send_raw(envelope.subject, to_body(envelope), to_headers(envelope))

    def send_raw(self, subject: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        async def publish(js: JetStreamContext) -> None:
            await js.publish(subject, body, headers=headers)

        self.ask(publish)

    def events(self) -> list[Envelope]:
        """All events, in the order of the stream."""

        async def read(js: JetStreamContext) -> list[Envelope]:
            last = (await js.stream_info(subjects.EVENT_STREAM)).state.messages
            found = [await js.get_msg(subjects.EVENT_STREAM, seq=number) for number in range(1, last + 1)]
            return [from_message(str(message.subject), message.headers, message.data or b"") for message in found]

        return self.ask(read)

    def event(self, identity: str) -> Envelope | None:
        """The one event with that id."""
        found = [envelope for envelope in self.events() if envelope.id == identity]
        assert len(found) <= 1
        return found[0] if found else None

    def wait_event(self, identity: str, deadline_s: float = 20.0) -> Any:
        """The data of the event with that id, once it is there."""
        wait_for(f"event {identity}", lambda: self.event(identity) is not None, deadline_s)
        found = self.event(identity)
        assert found is not None
        return found.data

    def observed(self, reason: str) -> list[RowsObserved]:
        events = (envelope.data for envelope in self.events())
        return [event for event in events if isinstance(event, RowsObserved) and event.reason == reason]

    def wait_observed(self, reason: str, number: int = 1) -> RowsObserved:
        """The `number`th observation for that reason."""
        wait_for(f"{number} rows observed ({reason})", lambda: len(self.observed(reason)) >= number)
        return self.observed(reason)[number - 1]

    def listed(self) -> list[RowsListed]:
        return [envelope.data for envelope in self.events() if isinstance(envelope.data, RowsListed)]

    def wait_listed(self, number: int = 1) -> RowsListed:
        wait_for(f"{number} rows listed", lambda: len(self.listed()) >= number)
        return self.listed()[number - 1]

    def unacknowledged(self) -> int:
        """Commands that were handed out and not acknowledged, and those that were not handed out."""

        async def read(js: JetStreamContext) -> int:
            info = await js.consumer_info(subjects.COMMAND_STREAM, subjects.OVN_WRITER_CONSUMER)
            return (info.num_ack_pending or 0) + (info.num_pending or 0)

        return self.ask(read)

    def handed_out(self) -> int:
        """Commands that were handed out and not acknowledged."""

        async def read(js: JetStreamContext) -> int:
            info = await js.consumer_info(subjects.COMMAND_STREAM, subjects.OVN_WRITER_CONSUMER)
            return info.num_ack_pending or 0

        return self.ask(read)

    def ask(self, question: Callable[[JetStreamContext], Awaitable[T]]) -> T:
        async def ask() -> T:
            client = await nats.connect(self.server.url, user="admin", password=self.server.PASSWORD)
            try:
                return await question(client.jetstream())
            finally:
                await client.close()

        return asyncio.run(ask())


class Writer(Process):
    """The service as it runs in production."""

    def __init__(self, server: Nats, nb: Ovsdb, log: Path) -> None:
        environment = {
            **os.environ,
            **server.environment("ovn-writer"),
            "VEG_HEALTH_ADDRESS": f"127.0.0.1:{free_port()}",
            "VEG_NB_REMOTE": nb.remote,
            "VEG_TRANSACT_TIMEOUT_S": "3",
        }
        super().__init__([sys.executable, "-m", "veg_ovn_writer"], log, environment)

    def says(self, text: str) -> bool:
        """Whether the log holds that."""
        return text in self.log.read_text()

    def wait_says(self, text: str) -> None:
        wait_for(f"{text!r} in {self.log}", lambda: self.says(text))


def found(nb: Ovsdb) -> dict[str, list[dict[str, Any]]]:
    """The policies of each router, without uuids and versions, sorted."""
    by_uuid = {row.pop("_uuid"): row for row in nb.rows("Logical_Router_Policy") if row.pop("_version")}
    return {
        router["name"]: sorted(
            (by_uuid[uuid] for uuid in _list(router["policies"])), key=lambda row: (row["priority"], row["match"])
        )
        for router in nb.rows("Logical_Router", "name", "policies")
    }


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
