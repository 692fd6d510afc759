"""The service: one consumer of the commands, one connection to the API server."""

import asyncio
from typing import Final

from nats.aio.client import Client

from veg_contracts import subjects
from veg_contracts.names import KUBE_OVN_GROUP, ApiGroup
from veg_kube_writer.api import Api, RefusedError, UnreachableError
from veg_kube_writer.writer import ACK_WAIT_S, Writer
from veg_runtime import bus, kube, service, tasks
from veg_runtime.service import Health
from veg_runtime.settings import Settings

ROLE: Final = "kube-writer"
_LOOK_S: Final = 1.0


class KubeWriterSettings(Settings, frozen=True, kw_only=True):
    """`api_group`: that of VpcEgressGateway."""

    api_group: ApiGroup = KUBE_OVN_GROUP


async def work(settings: KubeWriterSettings, health: Health, stop: asyncio.Event) -> None:
    """Carry out commands until cancelled."""
    async with kube.connected() as connection:
        api = Api(connection)
        client = await bus.connect(settings, ROLE)
        try:
            await tasks.together(
                _watch_health(api, client, health),
                _consume(Writer(api, settings.api_group, bus.jetstream(client)), client, stop),
            )
        finally:
            await client.close()


async def _consume(writer: Writer, client: Client, stop: asyncio.Event) -> None:
    # One in flight: a status must not overtake an older one, nor the finalizer what it protects.
    subscription = await bus.pull_subscription(
        bus.jetstream(client),
        subjects.COMMAND_STREAM,
        subjects.KUBE_COMMANDS,
        subjects.KUBE_WRITER_CONSUMER,
        in_flight_max=1,
        ack_wait_s=ACK_WAIT_S,
    )
    await bus.consume(subscription, writer.handle, stop)


async def _watch_health(api: Api, client: Client, health: Health) -> None:
    while True:
        try:
            await api.check_ready()
        except (RefusedError, UnreachableError) as error:
            health.set(False, f"API server: {error}")
        else:
            health.set(client.is_connected, "ready" if client.is_connected else "bus lost")
        await asyncio.sleep(_LOOK_S)


def main() -> None:
    service.run(ROLE, KubeWriterSettings, work)
