"""One message: read it, carry it out, say what became of it."""

from typing import Final

from nats.aio.msg import Msg
from nats.js import JetStreamContext

from veg_contracts.envelope import Envelope, MalformedMessageError, from_message
from veg_kube_writer import metrics, outcomes
from veg_kube_writer.api import Api, RefusedError, UnreachableError
from veg_kube_writer.ensure import ImpossibleError, carry_out
from veg_kube_writer.generations import Generations
from veg_kube_writer.outcomes import EVENT_PART, KubeCommand, Outcome
from veg_kube_writer.paths import InvalidNameError
from veg_kube_writer.verdict import Verdict, judge
from veg_runtime import bus, clock, logs

_REASON_SHOWN: Final = 200

log = logs.get("writer")


class Writer:
    """Carries out commands, one at a time and in the order of the bus."""

    def __init__(self, api: Api, js: JetStreamContext) -> None:
        self._api = api
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
        outcome = await self._outcome(command)
        if outcome is None:
            metrics.RETRIES.labels(outcomes.part_of(command.data)).inc()
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
        part = outcomes.part_of(command)
        newest = self._generations.newest(command.gateway_uid, part)
        if part != EVENT_PART and command.generation < newest:
            log.warning("command refused", command=message.id, applied_generation=newest)
            return outcomes.refused(message.id, command, newest)
        try:
            with metrics.SECONDS.labels(part).time():
                detail = await carry_out(self._api, message.id, command)
        except (ImpossibleError, InvalidNameError) as error:
            return _failed(message, str(error))
        except UnreachableError as error:
            log.warning("API server not reached, trying again", command=message.id, reason=str(error))
            return None
        except RefusedError as error:
            if judge(error.refusal, self._tries(message.id)) is Verdict.AGAIN:
                log.warning("API server refused, trying again", command=message.id, reason=str(error))
                return None
            return _failed(message, error.refusal.message)
        self._generations.record(command.gateway_uid, part, command.generation)
        log.info("command applied", command=message.id, **detail)
        return outcomes.applied(message.id, command, detail)

    def _tries(self, command_id: str) -> int:
        last, count = self._tried
        self._tried = (command_id, count + 1 if last == command_id else 1)
        return self._tried[1]


def _failed(message: Envelope, reason: str) -> Outcome:
    log.error("command failed", command=message.id, reason=reason)
    return outcomes.failed(message.id, message.data, reason)
