"""What the stream of events holds."""

from dataclasses import dataclass

from functional.servers import Nats
from nats.js import JetStreamContext
from nats.js.api import StreamConfig

from veg_contracts import subjects
from veg_contracts.envelope import Envelope
from veg_contracts.events import KindListed, ObjectChanged, ObjectDeleted

_DEDUP_WINDOW_S = 600.0


@dataclass(frozen=True)
class Bus:
    """A bus with the stream that the planner makes, seen by somebody who may see everything."""

    server: Nats

    def create_stream(self) -> None:
        async def create(js: JetStreamContext) -> None:
            wanted = [subjects.K8S_EVENTS]
            await js.add_stream(StreamConfig(subjects.EVENT_STREAM, subjects=wanted, duplicate_window=_DEDUP_WINDOW_S))

        self.server.ask(create)

    def envelopes(self) -> list[Envelope]:
        """All messages of the stream, in its order."""
        return self.server.events()

    def changed(self, name: str) -> list[ObjectChanged]:
        """What was told of the objects of that name."""
        events = (envelope.data for envelope in self.envelopes())
        return [event for event in events if isinstance(event, ObjectChanged) and event.object.name == name]

    def deleted(self) -> list[ObjectDeleted]:
        return [envelope.data for envelope in self.envelopes() if isinstance(envelope.data, ObjectDeleted)]

    def listed(self, kind: str) -> list[KindListed]:
        events = (envelope.data for envelope in self.envelopes())
        return [event for event in events if isinstance(event, KindListed) and event.kind == kind]
