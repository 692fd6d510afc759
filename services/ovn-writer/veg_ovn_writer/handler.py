"""One message in, its rows in the database, its outcome in the stream, and only then the acknowledgement.

A kill at any point is harmless: what was not acknowledged comes again, changes nothing the second time, and its
outcome, which has the same id, is dropped as a double.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from nats.aio.msg import Msg

from veg_contracts.commands import EnsureNb
from veg_contracts.envelope import Envelope, MalformedMessageError, from_message
from veg_ovn_writer import apply, metrics, outcomes
from veg_ovn_writer.confirm import Pending
from veg_ovn_writer.drift import Ledger
from veg_ovn_writer.errors import CannotApplyError, NotNowError
from veg_ovn_writer.nb import Nb
from veg_ovn_writer.rows import is_gateway
from veg_runtime import bus, logs

# Deleted gateways stay in memory, about 200 bytes each; those that were quiet for longest are forgotten first.
_GATEWAYS_MAX: Final = 100_000

log = logs.get("handler")


class Generations:
    """The highest generation applied, for each gateway's uid.

    The memory of one process is enough. The consumer hands out one command at a time, in the order in which they were
    given, and the next only after an acknowledgement: whoever begins with nothing in memory begins behind everything
    that was ever acknowledged.
    """

    def __init__(self) -> None:
        self._applied: dict[str, int] = {}

    def newer_than(self, command: EnsureNb) -> int | None:
        """The generation that forbids this command, if one does. The same again is allowed: so drift is repaired."""
        known = self._applied.get(command.gateway_uid, command.generation)
        return known if known > command.generation else None

    def applied(self, command: EnsureNb) -> None:
        self._applied.pop(command.gateway_uid, None)
        self._applied[command.gateway_uid] = command.generation
        while len(self._applied) > _GATEWAYS_MAX:
            del self._applied[next(iter(self._applied))]


class Handler:
    """Carries out commands. `turn` is held while rows and what we know of them may differ."""

    def __init__(
        self, nb: Nb, ledger: Ledger, pending: Pending, publish: Callable[[Envelope], Awaitable[None]]
    ) -> None:
        self.turn = asyncio.Lock()
        self._nb = nb
        self._ledger = ledger
        self._pending = pending
        self._publish = publish
        self._generations = Generations()

    async def handle(self, message: Msg) -> bool:
        """Whether the message is done with; False: it should come again."""
        try:
            command = from_message(message.subject, bus.headers_of(message), message.data)
            _check(command)
        except MalformedMessageError as error:
            log.warning("message dropped", subject=message.subject, reason=str(error))
            metrics.COMMANDS.labels("malformed").inc()
            return True
        try:
            # The turn is kept until the outcome is stored, so that no later observation overtakes it in the log.
            async with self.turn:
                await self._carry_out(command)
        except NotNowError as error:
            log.warning("command waits", command=command.id, gateway=command.data.gateway, reason=str(error))
            return False
        return True

    async def _carry_out(self, command: Envelope) -> None:
        order: EnsureNb = command.data
        newer = self._generations.newer_than(order)
        if newer is not None:
            await self._tell("refused", command, outcomes.refused(command, newer))
            return
        try:
            with metrics.TRANSACT_S.time():
                counts, commit = await self._nb.transact(
                    lambda replica, txn: apply.ensure(replica, txn, order.gateway, order.rows)
                )
        except CannotApplyError as error:
            await self._tell("failed", command, outcomes.failed(command, str(error)), reason=str(error))
            return
        self._ledger.wrote(order.gateway, order.rows)
        self._generations.applied(order)
        await self._tell("applied", command, outcomes.applied(command, counts, commit), nb_cfg=commit.nb_cfg)
        self._pending.add(command, commit.nb_cfg)
        self._nb.confirmed.set()  # hv_cfg may be there already

    async def _tell(self, outcome: str, command: Envelope, event: Envelope, **detail: object) -> None:
        order: EnsureNb = command.data
        log.info(outcome, command=command.id, gateway=order.gateway, generation=order.generation, **detail)
        metrics.COMMANDS.labels(outcome).inc()
        await self._publish(event)


def _check(command: Envelope) -> None:
    """Refuse what no outcome can be given for: it names a gateway that cannot exist, or is no order to us.

    Raises:
        MalformedMessageError: it says what is wrong.
    """
    if not isinstance(command.data, EnsureNb):
        raise MalformedMessageError(f"attribute ce-type: {command.type!r} is no command for the ovn-writer")
    if not is_gateway(command.data.gateway):
        raise MalformedMessageError(f"field gateway: {command.data.gateway!r} is not namespace/name")
