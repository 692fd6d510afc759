"""What NATS says to the reader: the server, JetStream, and which of our streams are there."""

import asyncio
import contextlib
from typing import Final

import nats.errors
import nats.js.errors
from nats.aio.client import Client

from veg_runtime import bus
from veg_runtime.settings import Settings, SettingsError
from vegctl.preflight.bus import STREAMS
from vegctl.preflight.facts import Bus, Unreached

_CONNECT_S: Final = 5.0
_CLOSE_S: Final = 2.0
_ANSWER_S: Final = 5.0
_ROLE: Final = "reader"
_LOST: Final = (nats.errors.Error, OSError, asyncio.TimeoutError)


async def look(settings: Settings) -> Bus | Unreached | None:
    """Connect once, and ask; None where there is no URL."""
    if not settings.nats_url:
        return None
    try:
        client = await bus.connect_once(settings, settings.nats_user or _ROLE, _CONNECT_S)
    except (bus.NotConnectedError, SettingsError) as error:
        return Unreached(where=settings.nats_url, reason=str(error))
    try:
        return await _look(client, settings.nats_user)
    except _LOST as error:
        return Unreached(where=settings.nats_url, reason=str(error) or repr(error))
    finally:
        with contextlib.suppress(*_LOST):
            async with asyncio.timeout(_CLOSE_S):
                await client.close()


async def _look(client: Client, user: str) -> Bus:
    context = client.jetstream(timeout=_ANSWER_S)
    found, jetstream = [], True
    for name in STREAMS:
        try:
            await context.stream_info(name)
        except nats.js.errors.NotFoundError:
            continue
        except nats.js.errors.ServiceUnavailableError:
            jetstream = False
            break
        found.append(name)
    return Bus(
        version=_version(client),
        user=user,
        jetstream=jetstream,
        max_payload=client.max_payload,
        streams=tuple(found),
    )


def _version(client: Client) -> str:
    found = client.connected_server_version
    return f"{found.major}.{found.minor}.{found.patch}"
