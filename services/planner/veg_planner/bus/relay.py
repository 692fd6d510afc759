"""The relay: commands of the outbox onto the bus."""

from collections.abc import Callable, Sequence
from typing import Final

from nats.js import JetStreamContext

from veg_contracts import subjects
from veg_contracts.base import encode
from veg_contracts.commands import PublishConfig
from veg_contracts.envelope import Envelope, to_body, to_headers
from veg_planner.relayed import Relayed
from veg_runtime import bus, clock, logs

# What a KV bucket takes for a removed key (NATS ADR-8).
_KV_REMOVED: Final = {"KV-Operation": "DEL"}

log = logs.get("relay")


async def relay(js: JetStreamContext, commands: Sequence[Envelope], may_go_on: Callable[[], bool]) -> list[Relayed]:
    """Publish in order, one after the other, as long as `may_go_on`; says what became of each that was tried.

    Waits for a bus that is away without end. A command too large for the bus is not sent, and holds up no other one.
    """
    done: list[Relayed] = []
    for command in commands:
        if not may_go_on():
            break
        subject, body, headers = message_of(command)
        try:
            await bus.publish_raw(js, subject, body, headers)
        except bus.MessageTooLargeError as error:
            log.warning("command not sent", command=command.id, reason=str(error))
            done.append(Relayed(id=command.id, at=clock.now(), note=str(error)))
        else:
            done.append(Relayed(id=command.id, at=clock.now()))
    return done


def message_of(command: Envelope) -> tuple[str, bytes, dict[str, str]]:
    """Subject, body and headers. A config is a put into the bucket or a removal from it, no message to a writer."""
    data = command.data
    if not isinstance(data, PublishConfig):
        return command.subject, to_body(command), to_headers(command)
    subject = subjects.config_subject(data.gateway)
    if data.config is None:
        return subject, b"", {**to_headers(command), **_KV_REMOVED}
    return subject, encode(data.config), to_headers(command)
