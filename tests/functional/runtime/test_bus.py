"""What every service does with the bus, on a real one."""

import asyncio

import msgspec
from functional.servers import Nats
from nats.aio.msg import Msg

from veg_contracts.subjects import COMMAND_STREAM, KUBE_COMMANDS, KUBE_WRITER_CONSUMER, kube_command
from veg_planner.bus.streams import ensure_streams
from veg_runtime import bus

_DEADLINE_S = 30


async def test_of_several_servers_one_that_answers_is_enough(nats_server: Nats) -> None:
    there = nats_server.settings("planner")
    several = msgspec.structs.replace(there, nats_url=f"nats://127.0.0.1:1,{there.nats_url}")
    async with asyncio.timeout(_DEADLINE_S):
        client = await bus.connect(several, "planner")
    assert client.is_connected
    await client.close()


async def test_a_consumer_goes_on_after_the_bus_has_lost_its_files(nats_server: Nats) -> None:
    planner = await bus.connect(nats_server.settings("planner"), "planner")
    writer = await bus.connect(nats_server.settings("kube-writer"), "kube-writer")
    handled: asyncio.Queue[bytes] = asyncio.Queue()

    async def handle(message: Msg) -> bool:
        await handled.put(message.data)
        return True

    async def write() -> None:
        consumer = await bus.pull_subscription(
            bus.jetstream(writer), COMMAND_STREAM, KUBE_COMMANDS, KUBE_WRITER_CONSUMER, in_flight_max=1
        )
        await bus.consume(consumer, handle, asyncio.Event())

    async def order(what: bytes) -> None:
        await ensure_streams(bus.jetstream(planner))
        await bus.publish_raw(bus.jetstream(planner), kube_command("default/gateway1"), what, {})

    writing = asyncio.create_task(write())
    async with asyncio.timeout(_DEADLINE_S):
        await order(b"before")
        assert await handled.get() == b"before"
        await asyncio.to_thread(nats_server.kill)
        nats_server.forget()
        await asyncio.to_thread(nats_server.start)
        await order(b"after")
        assert await handled.get() == b"after"
    writing.cancel()
    await planner.close()
    await writer.close()
