"""What the stream of events holds."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import nats
from functional.servers import Nats
from nats.js import JetStreamContext
from nats.js.api import StreamConfig

from veg_contracts import subjects
from veg_contracts.envelope import Envelope, from_message
from veg_contracts.events import KindListed, ObjectChanged, ObjectDeleted

T = TypeVar("T")
_DEDUP_WINDOW_S = 600.0


@dataclass(frozen=True)
class Bus:
    """A bus with the stream that the planner makes, seen by somebody who may see everything."""

    server: Nats

    def create_stream(self) -> None:
        async def create(js: JetStreamContext) -> None:
            wanted = [subjects.EVENTS]
            await js.add_stream(StreamConfig(subjects.EVENT_STREAM, subjects=wanted, duplicate_window=_DEDUP_WINDOW_S))

        self._ask(create)

    def envelopes(self) -> list[Envelope]:
        """All messages of the stream, in its order."""

        async def read(js: JetStreamContext) -> list[Envelope]:
            last = (await js.stream_info(subjects.EVENT_STREAM)).state.messages
            found = [await js.get_msg(subjects.EVENT_STREAM, seq=number) for number in range(1, last + 1)]
            return [from_message(str(message.subject), message.headers, message.data or b"") for message in found]

        return self._ask(read)

    def changed(self, name: str) -> list[ObjectChanged]:
        """What was told of the objects of that name."""
        events = (envelope.data for envelope in self.envelopes())
        return [event for event in events if isinstance(event, ObjectChanged) and event.object.name == name]

    def deleted(self) -> list[ObjectDeleted]:
        return [envelope.data for envelope in self.envelopes() if isinstance(envelope.data, ObjectDeleted)]

    def listed(self, kind: str) -> list[KindListed]:
        events = (envelope.data for envelope in self.envelopes())
        return [event for event in events if isinstance(event, KindListed) and event.kind == kind]

    def _ask(self, question: Callable[[JetStreamContext], Awaitable[T]]) -> T:
        async def ask() -> T:
            client = await nats.connect(self.server.url, user="admin", password=self.server.PASSWORD)
            try:
                return await question(client.jetstream())
            finally:
                await client.close()

        return asyncio.run(ask())
