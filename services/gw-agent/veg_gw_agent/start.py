"""What `gw-agent init` and `gw-agent run` do: set up, work, and stop on SIGTERM or SIGINT."""

import asyncio
import signal
import sys
from pathlib import Path

from veg_gw_agent import speaker
from veg_gw_agent.ensure import prepare
from veg_gw_agent.privileged.errors import KernelError
from veg_gw_agent.readiness import PROGRESS_FILE
from veg_gw_agent.settings import AgentSettings, Pod, pod
from veg_runtime import logs, tasks
from veg_runtime.settings import SettingsError, load


def init(state_dir: str, bfd_dir: str, internal_interface: str) -> int:
    """Prepare the pod's network namespace.

    It runs whenever the namespace is new. The two directories may be older than that: the config in the first one
    still holds, but it is not applied, and until it is no BFD session may come up, which would bring traffic.
    """
    try:
        for file in (Path(state_dir) / PROGRESS_FILE, Path(bfd_dir) / speaker.CONFIG_FILE):
            file.unlink(missing_ok=True)
        changes = prepare(internal_interface)
    except (KernelError, OSError) as error:
        sys.stderr.write(f"gw-agent init: {error}\n")
        return 1
    for change in changes:
        sys.stdout.write(f"{change}\n")
    return 0


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
    from veg_gw_agent import bus  # noqa: PLC0415  # `init` has no use for the NATS client
    from veg_gw_agent.agent import Agent  # noqa: PLC0415

    agent = Agent(settings, this_pod)
    agent.restore()
    work = (agent.keep_applied(), bus.stay_connected(settings, agent), agent.sessions.follow())
    await tasks.together(*work, again_s=tasks.OUTER_AGAIN_S)
