"""One message in, its rows in the database, its outcome in the stream, and only then the acknowledgement.

A kill at any point is harmless: what was not acknowledged comes again, changes nothing the second time, and its
outcome, which has the same id, is dropped as a double.
"""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, assert_never

from nats.aio.msg import Msg

from veg_contracts.commands import ChangeMembers, EnsureMembers, EnsureNb, part_of
from veg_contracts.envelope import Envelope, MalformedMessageError, from_message
from veg_ovn_writer import apply, bfd_port, groups, metrics, outcomes, portless
from veg_ovn_writer.confirm import Pending
from veg_ovn_writer.drift import Ledger
from veg_ovn_writer.errors import CannotApplyError, NotNowError, PartlyAppliedError, UnknownMembersError
from veg_ovn_writer.nb import Commit, Nb
from veg_ovn_writer.outcomes import Order
from veg_ovn_writer.roster import Roster
from veg_ovn_writer.rows import is_owner
from veg_runtime import bus, logs

# Deleted gateways stay in memory, about 200 bytes each; those that were quiet for longest are forgotten first.
_GATEWAYS_MAX: Final = 100_000

log = logs.get("handler")


class Generations:
    """The highest generation applied, for each part of each gateway's uid.

    The memory of one process is enough. The consumer hands out one command at a time, in the order in which they were
    given, and the next only after an acknowledgement: whoever begins with nothing in memory begins behind everything
    that was ever acknowledged.
    """

    def __init__(self) -> None:
        self._applied: dict[tuple[str, str], int] = {}

    def newer_than(self, order: Order) -> int | None:
        """The generation that forbids this command, if one does. The same again is allowed: so drift is repaired."""
        known = self._applied.get((order.gateway_uid, part_of(order)), order.generation)
        return known if known > order.generation else None

    def applied(self, order: Order) -> None:
        key = (order.gateway_uid, part_of(order))
        self._applied.pop(key, None)
        self._applied[key] = order.generation
        while len(self._applied) > _GATEWAYS_MAX:
            del self._applied[next(iter(self._applied))]


@dataclasses.dataclass(frozen=True, slots=True)
class Memory:
    """What the process knows of what it wrote. All of it is lost with the process, and none of it needed to go on."""

    ledger: Ledger
    roster: Roster
    pending: Pending


class Handler:
    """Carries out commands. `turn` is held while rows and what we know of them may differ."""

    def __init__(self, nb: Nb, memory: Memory, publish: Callable[[Envelope], Awaitable[None]]) -> None:
        self.turn = asyncio.Lock()
        self._nb = nb
        self._memory = memory
        self._publish = publish
        self._generations = Generations()
        self._waiting: dict[str, tuple[Envelope, frozenset[str]]] = {}  # by gateway, with the router ports that lack

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

    async def follow_ports(self) -> None:
        """Carry out again what was told as failed for a router port, once that is there; nobody need send it again."""
        while True:
            await self._nb.ports_moved.wait()
            self._nb.ports_moved.clear()
            async with self.turn:
                for command, ports in list(self._waiting.values()):
                    await self._try_again(command, ports)

    async def _try_again(self, command: Envelope, ports: frozenset[str]) -> None:
        try:
            if not await self._nb.read(lambda replica: portless.why_not(replica, ports)):
                await self._carry_out(command)
        except NotNowError as error:
            # The planner sends it again by its own clock.
            log.warning("command waits", command=command.id, gateway=command.data.gateway, reason=str(error))

    async def _carry_out(self, command: Envelope) -> None:
        order: Order = command.data
        newer = self._generations.newer_than(order)
        if newer is None and isinstance(order, ChangeMembers) and not self._memory.roster.follows(order):
            newer = self._memory.roster.known(order)
        if newer is not None:
            await self._tell("refused", command, outcomes.refused(command, newer), known=newer)
            return
        if isinstance(order, EnsureNb):
            self._waiting.pop(order.gateway, None)
        try:
            with metrics.TRANSACT_S.time():
                counts, commit = await self._apply(order)
        except PartlyAppliedError as error:
            self._generations.applied(order)
            self._waiting[order.gateway] = (command, error.ports)
            await self._tell("failed", command, outcomes.failed(command, str(error)), reason=str(error))
            return
        except CannotApplyError as error:
            await self._tell("failed", command, outcomes.failed(command, str(error)), reason=str(error))
            return
        except UnknownMembersError as error:
            known = self._memory.roster.known(order) if isinstance(order, ChangeMembers) else 0
            await self._tell("refused", command, outcomes.refused(command, known), reason=str(error))
            return
        self._generations.applied(order)
        await self._tell("applied", command, outcomes.applied(command, counts, commit), nb_cfg=commit.nb_cfg)
        if isinstance(order, EnsureNb):
            self._memory.pending.add(command, commit.nb_cfg)
            self._nb.confirmed.set()  # the chassis may be there already

    async def _apply(self, order: Order) -> tuple[Mapping[str, object], Commit]:
        """Carry out the order and remember it; what was changed."""
        memory = self._memory
        match order:
            case EnsureNb():
                made, commit = await self._nb.transact(
                    lambda replica, txn: apply.ensure(replica, txn, order.gateway, order.rows)
                )
                if made.counts.bfd_port == bfd_port.FOREIGN:
                    memory.ledger.left(order.gateway)
                else:
                    memory.ledger.wrote(order.gateway, made.rows)
                memory.roster.keep(order)
                if made.lacking:
                    raise PartlyAppliedError(made.message, made.lacking)
                return dataclasses.asdict(made.counts), commit
            case EnsureMembers():
                moves, commit = await self._nb.transact(lambda replica, txn: groups.ensure(replica, txn, order))
                memory.roster.replace(order)
                return dataclasses.asdict(moves), commit
            case ChangeMembers():
                moves, commit = await self._nb.transact(lambda replica, _: groups.change(replica, order))
                memory.roster.change(order)
                return dataclasses.asdict(moves), commit
            case _:
                assert_never(order)

    async def _tell(self, outcome: str, command: Envelope, event: Envelope, **detail: object) -> None:
        order: Order = command.data
        log.info(outcome, command=command.id, gateway=order.gateway, generation=order.generation, **detail)
        metrics.COMMANDS.labels(outcome).inc()
        await self._publish(event)


def _check(command: Envelope) -> None:
    """Refuse what no outcome can be given for: it names a gateway that cannot exist, or is no order to us.

    Raises:
        MalformedMessageError: it says what is wrong.
    """
    if not isinstance(command.data, Order):
        raise MalformedMessageError(f"attribute ce-type: {command.type!r} is no command for the ovn-writer")
    if not is_owner(command.data.gateway):
        raise MalformedMessageError(
            f"field gateway: {command.data.gateway!r} is not namespace/name, nor the name of a Vpc"
        )
