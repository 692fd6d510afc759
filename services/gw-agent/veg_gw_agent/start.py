"""What `gw-agent run` does: work, and stop on SIGTERM or SIGINT."""

import asyncio
import signal

from veg_gw_agent import bus
from veg_gw_agent.agent import Agent
from veg_gw_agent.settings import AgentSettings, Pod, pod
from veg_runtime import logs, tasks
from veg_runtime.settings import SettingsError, load


def run() -> None:
    """Work until a signal.

    Raises:
        SettingsError: the environment lacks something, or holds something wrong.
    """
    settings, this_pod = load(AgentSettings), pod()
    try:
        logs.configure("gw-agent", settings.log_level)
    except KeyError as error:
        raise SettingsError(f"environment variable VEG_LOG_LEVEL: {settings.log_level!r} is no level") from error
    log = logs.get("start")
    log.info("starting", gateway=settings.gateway, pod=this_pod.name)
    if settings.way is not None and settings.way.names:
        log.warning("VEG_NATS_URL: hosts that are no addresses get no way of their own", hosts=settings.way.names)
    asyncio.run(_main(settings, this_pod))
    log.info("stopped; NAT and routes stay")


async def _main(settings: AgentSettings, this_pod: Pod) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    working = asyncio.create_task(_work(settings, this_pod))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
    await tasks.end([working, stopping])
    if not working.cancelled():
        working.result()  # it never ends by itself: this raises what went wrong


async def _work(settings: AgentSettings, this_pod: Pod) -> None:
    agent = Agent(settings, this_pod)
    agent.restore()
    work = (agent.keep_applied(), bus.stay_connected(settings, this_pod, agent), agent.sessions.follow())
    await tasks.together(*work, again_s=tasks.OUTER_AGAIN_S)
