"""The service: commands from the bus, while we hold the lock; and what the database tells, back to the bus."""

import asyncio
from functools import partial

from nats.js import JetStreamContext

from veg_contracts.subjects import COMMAND_STREAM, OVN_COMMANDS, OVN_WRITER_CONSUMER
from veg_ovn_writer.confirm import Pending
from veg_ovn_writer.drift import Ledger
from veg_ovn_writer.handler import Handler, Memory
from veg_ovn_writer.member_watch import MemberWatch
from veg_ovn_writer.nb import Nb
from veg_ovn_writer.replica import Standing
from veg_ovn_writer.roster import Roster
from veg_ovn_writer.session_watch import SessionWatch
from veg_ovn_writer.watch import RowWatch, confirm
from veg_runtime import bus, service, tasks
from veg_runtime.service import Health
from veg_runtime.settings import Settings

ROLE = "ovn-writer"
_HEALTH_INTERVAL_S = 0.5
# All gateways wait behind a command whose writer was killed. One that is handed out twice does no harm.
_ACK_WAIT_S = 5.0


class OvnWriterSettings(Settings, frozen=True, kw_only=True):
    """`nb_remote`: where the Northbound database is, as OVN writes it: `unix:…`, `tcp:…` or `ssl:…`, several by commas.

    `transact_timeout_s`: how long the server may take for one transaction.
    """

    nb_remote: str
    transact_timeout_s: float = 10.0


async def work(settings: OvnWriterSettings, health: Health, _: asyncio.Event) -> None:
    """Write and watch until cancelled."""
    nb = Nb(settings.nb_remote, settings.transact_timeout_s)
    client = await bus.connect(settings, ROLE)
    try:
        work = (_report(nb, health), _write_and_watch(nb, bus.jetstream(client)))
        await tasks.together(*work, again_s=tasks.OUTER_AGAIN_S)
    finally:
        await nb.close()
        await client.close()


async def _write_and_watch(nb: Nb, js: JetStreamContext) -> None:
    await nb.connect()
    publish = partial(bus.publish, js)
    memory = Memory(Ledger(), Roster(), Pending())
    handler = Handler(nb, memory, publish)
    sessions = SessionWatch(nb, publish)
    await tasks.together(
        RowWatch(nb, memory.ledger, handler.turn, publish).run(),
        MemberWatch(nb, memory.roster, handler.turn, publish).run(),
        sessions.run(),
        sessions.follow_flows(),
        confirm(nb, memory.pending, publish, sessions.confirmed),
        _write(nb, js, handler),
    )


async def _write(nb: Nb, js: JetStreamContext, handler: Handler) -> None:
    subscription = await bus.pull_subscription(
        js, COMMAND_STREAM, OVN_COMMANDS, OVN_WRITER_CONSUMER, in_flight_max=1, ack_wait_s=_ACK_WAIT_S
    )
    while True:
        # Only the holder of the lock asks for commands. A request made before it was lost may still bring one, which
        # comes again to the new holder.
        await nb.serving.wait()
        await bus.consume(subscription, handler.handle, nb.idle)


async def _report(nb: Nb, health: Health) -> None:
    while True:
        health.set(nb.standing is not Standing.LOST, nb.standing.value)
        await asyncio.sleep(_HEALTH_INTERVAL_S)


def main() -> None:
    service.run(ROLE, OvnWriterSettings, work)
