"""The agent's side of the bus: the value of one key, now and when it changes; and the publishing of reports.

No consumer is made on the server: the agent listens on the key's own subject, which carries the headers too, and asks
for the last value at the start and every few seconds. So a lost message, a restarted server or a bucket that was made
again cost at most that long, the server keeps nothing for each pod, and a pod needs to be allowed two requests only.
"""

import asyncio
from typing import Final

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.aio.subscription import Subscription
from nats.js import JetStreamContext

from veg_contracts import permissions, subjects
from veg_gw_agent.agent import Agent, Outbox, is_removal
from veg_gw_agent.settings import AgentSettings, Pod
from veg_gw_agent.speaker import Changes
from veg_runtime import bus, logs, tasks

ROLE: Final = permissions.AGENT
_LOOK_S: Final = 5.0
_WAKE_S: Final = 0.5
_LOST: Final = (nats.errors.Error, nats.js.errors.Error, OSError, asyncio.TimeoutError)

log = logs.get("bus")


class _ClosedError(Exception):
    """The client gave up, e.g. because its user has expired and the pod has to show its token again: make a new one."""


async def stay_connected(settings: AgentSettings, pod: Pod, agent: Agent) -> None:
    """Offer values to the agent and publish its reports, through every loss of the bus."""
    while True:
        await agent.find_way()  # first: what looks for the bus elsewhere takes its credential there
        inbox = permissions.agent_inbox_prefix(pod.uid)
        client = await bus.connect(settings, ROLE, inbox=inbox, token=settings.token)
        try:
            js = bus.jetstream(client)
            reports = (_publish(js, outbox) for outbox in (agent.outbox, agent.refusals, agent.sessions))
            await tasks.together(_watch(client, settings.gateway, agent), *reports)
        except _ClosedError:
            log.warning("connection closed, making a new one")
        finally:
            await client.close()


async def _watch(client: Client, gateway: str, agent: Agent) -> None:
    subject = subjects.config_subject(gateway)
    js = bus.jetstream(client)
    changes = await client.subscribe(subject)
    while not client.is_closed:
        await _look(js, subject, agent)
        await _listen(client, changes, agent)
    raise _ClosedError


async def _listen(client: Client, changes: Subscription, agent: Agent) -> None:
    """Offer what comes, until it is time for another look: at once when the bus was away, as changes may be lost.

    A removal names no gateway, and other pods can have the answer to a question of theirs sent here (decision 0019): so
    it is a reason to look, and believed only as the answer to a question of our own.
    """
    clock = asyncio.get_running_loop().time
    end, reconnects = clock() + _LOOK_S, client.stats["reconnects"]
    while clock() < end and client.stats["reconnects"] == reconnects and not client.is_closed:
        try:
            message = await changes.next_msg(timeout=_WAKE_S)
        except _LOST:
            continue  # nothing came, or the bus is away, which `bus.connect` logs
        headers = bus.headers_of(message)
        if is_removal(headers):
            return
        agent.offer(headers, message.data)


async def _look(js: JetStreamContext, subject: str, agent: Agent) -> None:
    try:
        last = await js.get_last_msg(subjects.CONFIG_STREAM, subject, direct=True)
    except nats.js.errors.NotFoundError:
        log.debug("no config yet", subject=subject)
    except _LOST as error:
        log.debug("no look at the config", subject=subject, error=repr(error))
        await asyncio.sleep(1)
    else:
        agent.offer(last.headers or {}, last.data or b"")


async def _publish(js: JetStreamContext, outbox: Outbox | Changes) -> None:
    while True:
        envelope = await outbox.get()
        try:
            await bus.publish(js, envelope)
        except bus.MessageTooLargeError as error:
            log.error("report left out", id=envelope.id, reason=str(error))  # noqa: TRY400  # the reason says it all
        outbox.done(envelope)
