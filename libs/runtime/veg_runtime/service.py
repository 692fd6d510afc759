"""The life of a service: settings, logs, health, work, and a clean stop on SIGTERM or SIGINT."""

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import TypeVar

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from veg_runtime import logs, tasks
from veg_runtime.settings import Settings, SettingsError, load

_EXIT_SETTINGS = 2

SettingsT = TypeVar("SettingsT", bound=Settings)


class Health:
    """Whether the service can do its work. `ready` is False until the first time, and whenever it is known not to."""

    def __init__(self) -> None:
        self.ready = False
        self.detail = "starting"

    def set(self, ready: bool, detail: str) -> None:
        self.ready, self.detail = ready, detail


async def _serve(health: Health, address: str) -> web.AppRunner:
    async def alive(_: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def is_ready(_: web.Request) -> web.Response:
        return web.Response(text=f"{health.detail}\n", status=200 if health.ready else 503)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/healthz", alive), web.get("/readyz", is_ready), web.get("/metrics", metrics)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    host, _, port = address.rpartition(":")
    await web.TCPSite(runner, host, int(port)).start()
    return runner


async def _main(
    settings: SettingsT, work: Callable[[SettingsT, Health, asyncio.Event], Coroutine[None, None, None]], health: Health
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    runner = await _serve(health, settings.health_address)
    working = asyncio.create_task(work(settings, health, stop))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        await tasks.end([working])
        if not stop.is_set():
            working.result()  # raises what ended it
    finally:
        stopping.cancel()
        await runner.cleanup()


def run(
    name: str,
    settings_type: type[SettingsT],
    work: Callable[[SettingsT, Health, asyncio.Event], Coroutine[None, None, None]],
) -> None:
    """Run a service until a signal or a failure. Exit code 2: the settings are wrong; 1: it failed.

    `work` gets the settings, the health it reports through, and the event that is set when it should stop; it is
    cancelled then. What it has not acknowledged comes again, so that is safe at any point.
    """
    try:
        settings = load(settings_type)
        logs.configure(name, settings.log_level)
    except (SettingsError, KeyError) as error:
        sys.stderr.write(f"{name}: {error}\n")
        sys.exit(_EXIT_SETTINGS)
    log = logs.get("service")
    log.info("starting")
    try:
        asyncio.run(_main(settings, work, Health()))
    except SettingsError as error:  # what only the work reads, e.g. a kubeconfig
        sys.stderr.write(f"{name}: {error}\n")
        sys.exit(_EXIT_SETTINGS)
    log.info("stopped")
