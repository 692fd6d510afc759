"""The service: one follower per kind, all on one connection to the API server and one to the bus."""

import asyncio

from veg_contracts.names import KUBE_OVN_GROUP, ApiGroup
from veg_runtime import bus, kube, service, tasks
from veg_runtime.service import Health
from veg_runtime.settings import Settings
from veg_watcher.api import Api
from veg_watcher.follow import Follower, Intervals
from veg_watcher.kinds import kinds
from veg_watcher.progress import Progress
from veg_watcher.publish import Publisher

ROLE = "watcher"


class WatcherSettings(Settings, frozen=True, kw_only=True):
    """`api_group`: that of VpcEgressGateway.

    `relist_interval_s`: a full list of each kind. `absent_interval_s`: a look for missing optional kinds.
    """

    api_group: ApiGroup = KUBE_OVN_GROUP
    relist_interval_s: float = 300.0
    absent_interval_s: float = 30.0


async def work(settings: WatcherSettings, health: Health, _: asyncio.Event) -> None:
    """Watch until cancelled."""
    intervals = Intervals(relist_s=settings.relist_interval_s, absent_s=settings.absent_interval_s)
    watched = kinds(settings.api_group)
    progress = Progress(health, watched)
    async with kube.connected() as connection:
        client = await bus.connect(settings, ROLE)
        try:
            api, js = Api(connection), bus.jetstream(client)
            followers = [Follower(kind, api, Publisher(js, kind.name), progress, intervals) for kind in watched]
            await tasks.together(*(follower.run() for follower in followers))
        finally:
            await client.close()


def main() -> None:
    service.run(ROLE, WatcherSettings, work)
