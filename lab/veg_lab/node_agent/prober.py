"""Ask the probes of a running container, and tell what changed."""

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from veg_lab import netns, priority
from veg_lab.node_agent.command import CommandError, run
from veg_lab.node_agent.probes import Health, Probe, ProbeState, apply_verdict, is_over, may_run, observe, probes_of
from veg_lab.node_agent.spec import ContainerPlan, Json, exec_words

log = logging.getLogger("node-agent")
GOOD_STATUS = range(200, 400)


@dataclass(frozen=True)
class Target:
    """A running container, as a probe reaches it."""

    container: Json
    plan: ContainerPlan
    pid: int
    namespace: str
    address: str
    started_at: float


class Prober:
    """The probes of one start of a container. `changed` is called whenever `health` has a new value.

    While `paused`, nothing is asked: there is nobody on a failed node who could.
    """

    def __init__(self, target: Target, health: Health, changed: Callable[[], None], paused: Callable[[], bool]) -> None:
        self.health = health
        self._target = target
        self._names = (target.namespace, target.plan.name)
        self._changed = changed
        self._paused = paused
        self._tasks = [asyncio.create_task(self._ask_for_ever(probe)) for probe in probes_of(target.container).values()]

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _ask_for_ever(self, probe: Probe) -> None:
        state = ProbeState()
        await asyncio.sleep(max(0.0, self._target.started_at + probe.initial_delay_s - time.time()))
        while self.health.unhealthy is None:
            if may_run(probe, self.health) and not self._paused():
                failure = await ask(probe, self._target, starting=not self.health.ready)
                if self._paused():
                    continue  # it failed while it was being asked
                state = observe(probe, state, success=failure is None)
                if state.verdict is not None:
                    self._tell(apply_verdict(self.health, self._target.container, probe, state.verdict), probe, failure)
            elif is_over(probe, self.health):
                return
            # Right after the start-up nobody should wait a whole period for the first answer.
            await asyncio.sleep(probe.period_s if may_run(probe, self.health) else min(probe.period_s, 0.2))

    def _tell(self, health: Health, probe: Probe, failure: str | None) -> None:
        if health != self.health:
            if failure:
                log.warning("%s, container %s: %s probe: %s", *self._names, probe.kind, failure)
            self.health = health
            self._changed()


async def ask(probe: Probe, target: Target, *, starting: bool) -> str | None:
    """One question: None is a yes, a text is a no and why. What cannot be asked is a no."""
    try:
        if "exec" in probe.action:
            words = exec_words(target.plan, target.pid, probe.action["exec"]["command"])
            first = priority.words(priority.STARTING if starting else priority.PROBE)
            await run([*first, *words], timeout_s=probe.timeout_s)
        elif "httpGet" in probe.action:
            await asyncio.wait_for(_http_get(probe.action["httpGet"], target), probe.timeout_s)
        else:
            await asyncio.wait_for(_tcp_connect(probe.action["tcpSocket"], target), probe.timeout_s)
    except CommandError as error:
        return str(error)
    except (OSError, asyncio.IncompleteReadError, ValueError) as error:
        return repr(error)
    return None


async def run_hook(hook: Json, plan: ContainerPlan, pid: int, timeout_s: float) -> None:
    """A preStop hook. Kubernetes goes on whatever becomes of it, and so do we; its output is of no use to anybody."""
    if "exec" in hook:
        with suppress(CommandError):
            await run(exec_words(plan, pid, hook["exec"]["command"]), timeout_s=timeout_s)


def _port(value: str | int, container: Json) -> int:
    named = {port.get("name"): port["containerPort"] for port in container.get("ports", [])}
    return int(named.get(value, value))


async def _connect(action: Json, target: Target) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect inside the pod's namespace: the machine itself has no way to a pod."""
    host = action.get("host") or target.address

    def make() -> socket.socket:
        with netns.entered(target.namespace):
            return socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)

    connection = await asyncio.to_thread(make)
    try:
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, (host, _port(action["port"], target.container)))
        return await asyncio.open_connection(sock=connection)
    except BaseException:
        connection.close()
        raise


async def _tcp_connect(action: Json, target: Target) -> None:
    _, writer = await _connect(action, target)
    writer.close()


async def _http_get(action: Json, target: Target) -> None:
    reader, writer = await _connect(action, target)
    try:
        path = action.get("path") or "/"
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {target.address}\r\nConnection: close\r\n\r\n".encode())
        line = await reader.readuntil(b"\r\n")
        if int(line.split()[1]) not in GOOD_STATUS:
            raise ValueError(f"answer {line.decode(errors='replace').strip()}")
    finally:
        writer.close()
