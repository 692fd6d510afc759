"""What the bus is told of one kind: each projection that differs from the last one told, and each end.

Invariants:
- An object counts as told only after the stream has stored the message, so a crash or a lost bus loses nothing.
- Memory holds what exists, not what ever existed: `listed` forgets all the rest.
"""

from collections.abc import Sequence

from nats.js import JetStreamContext

from veg_contracts.events import ObjectChanged
from veg_contracts.objects import AnyProjection
from veg_runtime import bus, clock, logs
from veg_watcher import observe
from veg_watcher.fields import Json

log = logs.get("publish")


class Publisher:
    """Publishes the events of one kind, one after the other, in the order in which the API server tells them."""

    def __init__(self, js: JetStreamContext, kind: str) -> None:
        self._js = js
        self._kind = kind
        self._told: dict[str, AnyProjection] = {}

    async def changed(self, raw: Json) -> None:
        """Tell of an object that is there, unless nothing that matters has changed."""
        try:
            event = observe.changed(self._kind, raw)
        except observe.UnusableObjectError as error:
            log.warning("object skipped", kind=self._kind, reason=str(error))
            return
        if self._told.get(event.uid) == event.object:
            return
        if await self._publish(event):
            self._told[event.uid] = event.object

    async def deleted(self, raw: Json) -> None:
        """Tell of an object that is gone."""
        try:
            event = observe.deleted(self._kind, raw)
        except observe.UnusableObjectError as error:
            log.warning("object skipped", kind=self._kind, reason=str(error))
            return
        if await self._publish(event):
            self._told.pop(event.uid, None)

    async def listed(self, revision: int, uids: Sequence[str]) -> None:
        """Tell what exists. To be called after `changed` was called for each object of that list."""
        for event in observe.listed(self._kind, revision, uids):
            await self._publish(event)
        self._told = {uid: self._told[uid] for uid in uids if uid in self._told}

    async def _publish(self, event: observe.KubernetesEvent) -> bool:
        """Whether the stream has it. An object that is too large is left out, so that the others go on."""
        try:
            await bus.publish(self._js, observe.envelope(event, clock.now(), clock.new_traceparent()))
        except bus.MessageTooLargeError as error:
            log.warning("object skipped", kind=self._kind, id=observe.event_id(event), **_why_large(event, error))
            return False
        return True


def _why_large(event: observe.KubernetesEvent, error: bus.MessageTooLargeError) -> dict[str, str]:
    if not isinstance(event, ObjectChanged):
        return {"reason": str(error)}
    return {"object": event.object.key, "field": observe.largest_field(event.object), "reason": str(error)}
