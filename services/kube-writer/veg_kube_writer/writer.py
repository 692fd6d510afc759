"""One message: read it, carry it out, say what became of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import Final

import nats.errors
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from veg_contracts.commands import KUBE_EVENT, part_of
from veg_contracts.envelope import Envelope, MalformedMessageError, from_message
from veg_kube_writer import metrics, outcomes
from veg_kube_writer.api import Api, RefusedError, UnreachableError
from veg_kube_writer.ensure import ImpossibleError, carry_out
from veg_kube_writer.generations import Generations
from veg_kube_writer.outcomes import KubeCommand, Outcome
from veg_kube_writer.paths import InvalidNameError
from veg_kube_writer.verdict import Refusal, Verdict, judge
from veg_runtime import bus, clock, logs, tasks

ACK_WAIT_S: Final = 5.0  # all gateways wait that long behind a command whose writer was killed
_REASON_SHOWN: Final = 200

log = logs.get("writer")


class Writer:
    """Carries out commands, one at a time and in the order of the bus."""

    def __init__(self, api: Api, group: str, js: JetStreamContext) -> None:
        """`group` is the API group of VpcEgressGateway."""
        self._api = api
        self._group = group
        self._js = js
        self._generations = Generations()
        self._tried = ("", 0)  # the command that was tried last, and how often: there is never more than one under way

    async def handle(self, message: Msg) -> bool:
        """True: it is done with, whatever became of it. False: it must come again."""
        try:
            command = from_message(message.subject, bus.headers_of(message), message.data)
        except MalformedMessageError as error:
            metrics.DROPPED.inc()
            log.warning("message dropped", subject=message.subject, reason=str(error)[:_REASON_SHOWN])
            return True
        async with _kept(message):
            outcome = await self._outcome(command)
        if outcome is None:
            metrics.RETRIES.labels(part_of(command.data)).inc()
            return False
        said = outcomes.envelope(
            command, outcome, time=clock.now(), traceparent=clock.child_traceparent(command.traceparent)
        )
        await bus.publish(self._js, said)
        metrics.COMMANDS.labels(outcome.part, said.id.rpartition("/")[2]).inc()
        return True

    async def _outcome(self, message: Envelope) -> Outcome | None:
        """None: the API server did not take it now, and may later."""
        command: KubeCommand = message.data
        part = part_of(command)
        newest = self._generations.newest(command.gateway_uid, part)
        if part != KUBE_EVENT and command.generation < newest:
            log.warning("command refused", command=message.id, applied_generation=newest)
            return outcomes.refused(message.id, command, newest)
        try:
            with metrics.SECONDS.labels(part).time():
                detail = await carry_out(self._api, self._group, message.id, command)
        except (ImpossibleError, InvalidNameError) as error:
            return _failed(message, str(error))
        except UnreachableError as error:
            log.warning("API server not reached, trying again", command=message.id, reason=str(error))
            return None
        except RefusedError as error:
            if await self._verdict(message.id, error.refusal) is Verdict.AGAIN:
                log.warning("API server refused, trying again", command=message.id, reason=str(error))
                return None
            return _failed(message, error.refusal.message)
        self._generations.record(command.gateway_uid, part, command.generation)
        log.info("command applied", command=message.id, **detail)
        return outcomes.applied(message.id, command, detail)

    async def _verdict(self, command_id: str, refusal: Refusal) -> Verdict:
        if refusal.code == HTTPStatus.FORBIDDEN:
            try:
                await self._api.check_ready()
            except (UnreachableError, RefusedError):
                return Verdict.AGAIN
        return judge(refusal, self._tries(command_id))

    def _tries(self, command_id: str) -> int:
        last, count = self._tried
        self._tried = (command_id, count + 1 if last == command_id else 1)
        return self._tried[1]


def _failed(message: Envelope, reason: str) -> Outcome:
    log.error("command failed", command=message.id, reason=reason)
    return outcomes.failed(message.id, message.data, reason)


@asynccontextmanager
async def _kept(message: Msg) -> AsyncIterator[None]:
    """Tell the bus that the message is being worked on, so that no other writer gets it while we may still write."""

    async def keep() -> None:
        while True:
            await asyncio.sleep(ACK_WAIT_S / 3)
            with suppress(nats.errors.Error):  # then it comes again, as after a kill
                await message.in_progress()

    keeping = asyncio.create_task(keep())
    try:
        yield
    finally:
        await tasks.end([keeping])
