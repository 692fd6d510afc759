"""The service: commands from the bus, while we hold the lock; and what the database tells, back to the bus."""

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Annotated, Any

import msgspec
from nats.js import JetStreamContext

from veg_contracts.subjects import COMMAND_STREAM, OVN_COMMANDS, OVN_WRITER_CONSUMER
from veg_ovn_writer import tls
from veg_ovn_writer.chassis_watch import ChassisWatch
from veg_ovn_writer.confirm import Pending
from veg_ovn_writer.confirm_watch import ConfirmWatch
from veg_ovn_writer.drift import Ledger
from veg_ovn_writer.handler import Handler, Memory
from veg_ovn_writer.member_watch import MemberWatch
from veg_ovn_writer.nb import Nb
from veg_ovn_writer.port_watch import PortWatch
from veg_ovn_writer.probe import Probe
from veg_ovn_writer.replica import Standing
from veg_ovn_writer.roster import Roster
from veg_ovn_writer.session_watch import SessionWatch
from veg_ovn_writer.southbound import Southbound
from veg_ovn_writer.watch import RowWatch
from veg_runtime import bus, service, tasks
from veg_runtime.service import Health
from veg_runtime.settings import Settings
from veg_runtime.tls import Pem

ROLE = "ovn-writer"
_HEALTH_INTERVAL_S = 0.5
# All gateways wait behind a command whose writer was killed. One that is handed out twice does no harm.
_ACK_WAIT_S = 5.0


class OvnWriterSettings(Settings, frozen=True, kw_only=True):
    """`nb_remote`: where the Northbound database is, as OVN writes it: `unix:…`, `tcp:…` or `ssl:…`, several by commas.

    `ovn_tls_ca`, `ovn_tls_cert`, `ovn_tls_key`: PEM texts; `ssl:` in either database's remote needs all three.
    `sb_remote`: where the Southbound database is, likewise; it is only read. With it, rows count as programmed when
    every chassis that lives has the flows. Empty: when `hv_cfg` says so of every chassis, for one that is dead never.
    `chassis_silent_after_s`: for how long a chassis may lack flows until it counts as dead.
    `chassis_probe_s`: how often chassis are asked whether they live although nothing has changed, while they are
    followed and there is a BFD port of ours; 0: never.
    `transact_timeout_s`: how long the server may take for one transaction.
    """

    nb_remote: str
    sb_remote: str = ""
    ovn_tls_ca: str = ""
    ovn_tls_cert: str = ""
    ovn_tls_key: str = ""
    chassis_silent_after_s: Annotated[float, msgspec.Meta(ge=1, le=60)] = 5.0
    chassis_probe_s: Annotated[float, msgspec.Meta(ge=0, le=300)] = 10.0
    transact_timeout_s: float = 10.0

    def __post_init__(self) -> None:
        """Check what the types cannot say."""
        super().__post_init__()
        tls.check(
            {"VEG_NB_REMOTE": self.nb_remote, "VEG_SB_REMOTE": self.sb_remote},
            {
                "VEG_OVN_TLS_CA": self.ovn_tls_ca,
                "VEG_OVN_TLS_CERT": self.ovn_tls_cert,
                "VEG_OVN_TLS_KEY": self.ovn_tls_key,
            },
        )


async def work(settings: OvnWriterSettings, health: Health, _: asyncio.Event) -> None:
    """Write and watch until cancelled."""
    pem = Pem(prefix="VEG_OVN_TLS", ca=settings.ovn_tls_ca, certificate=settings.ovn_tls_cert, key=settings.ovn_tls_key)
    with tls.used(pem):
        await _work(settings, health)


async def _work(settings: OvnWriterSettings, health: Health) -> None:
    nb = Nb(settings.nb_remote, settings.transact_timeout_s)
    southbound = Southbound(settings.sb_remote, nb.confirmed.set) if settings.sb_remote else None
    try:
        work = (_report(nb, health), _guard(nb, settings.nb_remote), _serve(settings, nb, southbound))
        await tasks.together(*work, again_s=tasks.OUTER_AGAIN_S)
    finally:
        await nb.close()
        if southbound is not None:
            await southbound.close()


async def _guard(nb: Nb, remote: str) -> None:
    """Stay connected to the database, and keep ovn-northd alive: that needs no bus, also not at a start."""
    await nb.connect()
    await tasks.together(PortWatch(nb).run(), tls.tell(remote))


async def _serve(settings: OvnWriterSettings, nb: Nb, southbound: Southbound | None) -> None:
    client = await bus.connect(settings, ROLE)
    try:
        await _write_and_watch(nb, southbound, settings, bus.jetstream(client))
    finally:
        await client.close()


async def _write_and_watch(
    nb: Nb, southbound: Southbound | None, settings: OvnWriterSettings, js: JetStreamContext
) -> None:
    publish = partial(bus.publish, js)
    memory = Memory(Ledger(), Roster(), Pending())
    handler = Handler(nb, memory, publish)
    sessions = SessionWatch(nb, publish)
    chassis = ChassisWatch(settings.chassis_silent_after_s, follows=southbound is not None)
    await tasks.together(
        RowWatch(nb, memory.ledger, handler.turn, publish).run(),
        handler.follow_ports(),
        MemberWatch(nb, memory.roster, handler.turn, publish).run(),
        sessions.run(),
        sessions.follow_flows(),
        ConfirmWatch(nb, southbound, chassis, memory.pending, publish).run(sessions.confirmed),
        *_follow(nb, southbound, settings.chassis_probe_s),
        _write(nb, js, handler),
    )


def _follow(nb: Nb, southbound: Southbound | None, probe_s: float) -> list[Coroutine[Any, Any, None]]:
    if southbound is None:
        return []
    return [southbound.run(), *([Probe(nb, southbound, probe_s).run()] if probe_s else [])]


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
