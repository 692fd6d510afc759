"""What somebody writes with a socket of his own, past every library, stops nobody who reads it."""

import asyncio
import json
from urllib.parse import urlsplit

from functional.servers import Nats

from veg_contracts.subjects import EVENT_STREAM, k8s_event
from veg_planner.bus.inbox import Inbox
from veg_planner.bus.streams import ensure_streams
from veg_runtime import bus
from veg_runtime.settings import Settings

_SUBJECT = k8s_event("Pod", "default", "one")
_DEADLINE_S = 20
BLOCKS = (
    b"NATS/1.0 \xff\xfe\xfd\r\n\r\n",
    b"NATS/1.0 503 \xff\r\n\r\n",
    b"NATS/1.0",
    b"NATS/1.0 404\r\n\r\n",
    *(f"NATS/1.0\r\nStatus: {number}\r\n\r\n".encode() for number in (100, 404, 408, 409, 503)),
)


async def write(settings: Settings, blocks: tuple[bytes, ...]) -> None:
    """Publish a message for each block of headers, as it stands; whatever the server says to it."""
    address = urlsplit(settings.nats_url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    who = {"user": settings.nats_user, "pass": settings.nats_password, "headers": True, "verbose": False}
    writer.write(b"CONNECT " + json.dumps(who).encode() + b"\r\n")
    for number, block in enumerate(blocks):
        body = f"body {number}".encode()
        writer.write(f"HPUB {_SUBJECT} {len(block)} {len(block) + len(body)}\r\n".encode() + block + body + b"\r\n")
    writer.write(b"PING\r\n")
    await writer.drain()
    while (line := await reader.readline()) and line != b"PONG\r\n":
        assert not line.startswith(b"-ERR"), line
    writer.close()


async def test_headers_that_are_none_are_read_like_all_others(nats_server: Nats) -> None:
    planner = await bus.connect(nats_server.settings("planner"), "planner")
    js = bus.jetstream(planner)
    await ensure_streams(js)
    inbox = Inbox(js)
    await inbox.subscribe()
    found: set[bytes] = set()
    async with asyncio.timeout(_DEADLINE_S):
        await write(nats_server.settings("watcher"), BLOCKS)
        kept = (await js.stream_info(EVENT_STREAM)).state.last_seq
        while len(found) < kept:
            for message in await inbox.fetch():
                found.add(message.data)
                await bus.acknowledge(message)
    assert kept == len(BLOCKS), "the server takes each of them"
    assert planner.stats["reconnects"] == 0
    await inbox.close()
    await planner.close()
