"""What the planner's functional tests share: the process, its inputs, and what the database says."""

import asyncio
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

import msgspec
import nats
import nats.aio.client
from click.testing import CliRunner
from functional.servers import DEADLINE_S, Database, Nats, Service, wait_for
from nats.js import JetStreamContext
from support.simulation import Simulation, created

from veg_contracts import ids
from veg_contracts.envelope import HEADER_MESSAGE_ID, Envelope, to_body, to_headers
from veg_contracts.events import (
    AnyEvent,
    CommandApplied,
    ConfigApplied,
    ObjectChanged,
    ObjectDeleted,
    PlannerConfigured,
    RowsProgrammed,
    SessionChanged,
    SessionProgrammed,
    StreamsCreated,
)
from veg_contracts.subjects import agent_event, k8s_event, kube_event, ovn_event
from veg_planner.core import Record
from veg_runtime import bus
from vegctl.main import main as vegctl

_OWN = PlannerConfigured | StreamsCreated


class Planner(Service):
    """A planner process."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        super().__init__("veg_planner", environment, log)

    def metrics(self) -> str:
        return self.get("/metrics")[1]

    def wait_leading(self) -> None:
        wait_for(f"planner to lead ({self.log})", lambda: self.readiness()[1].startswith("leading"))

    def wait_standing_by(self) -> None:
        wait_for(f"planner to stand by ({self.log})", lambda: self.readiness() == (200, "standing by\n"))


def scenario() -> Simulation:
    """The document's example, ready with two pods, edited, with its settings at the head of the log."""
    simulation = created(2)
    simulation.create(replicas=2, generation=2, policies=[{"snat": True, "ipBlocks": ["10.20.0.0/24"]}])
    simulation.answer_all()
    simulation.report_config(2)
    simulation.answer_all()
    return simulation


def head_of_log() -> list[Envelope]:
    """What a planner appends itself at its first start: it never travels on the bus."""
    simulation = Simulation()
    simulation.prepare()
    return [record.envelope for record in simulation.log if isinstance(record.envelope.data, _OWN)]


def on_the_bus(records: Iterable[Record]) -> list[Envelope]:
    """The events as services publish them. The planner's own, at the head of a log, are left out."""
    return [
        msgspec.structs.replace(
            record.envelope,
            id=_identity(record.envelope),
            subject=_subject(record.envelope.data),
            causation_id=getattr(record.envelope.data, "command_id", ""),
        )
        for record in records
        if not isinstance(record.envelope.data, _OWN)
    ]


def runs(envelopes: Iterable[Envelope]) -> list[list[Envelope]]:
    """The same in runs of one stream each: between two streams there is no order but that of being logged."""
    return [list(run) for _, run in groupby(envelopes, lambda one: one.subject.startswith("veg.evt.agent."))]


def play(client: "Client", database: Database, envelopes: Iterable[Envelope]) -> None:
    """Have a planner log all of these in this order."""
    for run in runs(envelopes):
        client.publish(run)
        wait_logged(database, run)


def edits(count: int, gateways: int = 3) -> list[Envelope]:
    """Many edits of a few gateways, each of which changes what is decided."""
    simulation = Simulation()
    simulation.prepare()
    for number in range(count):
        blocks = [{"snat": True, "ipBlocks": [f"10.{number // 200}.{number % 200}.0/24"]}]
        simulation.create(name=f"gateway{number % gateways}", generation=number + 1, policies=blocks)
    return on_the_bus(simulation.log)


def _identity(envelope: Envelope) -> str:
    """An id that whoever says this may say, told from all others by the simulation's own."""
    match envelope.data:
        case ObjectChanged() | ObjectDeleted():
            return f"k8s/{envelope.id}"
        case ConfigApplied(gateway=gateway, pod=pod, pod_uid=uid):
            return ids.of_agent(gateway, pod, uid, envelope.id)
        case CommandApplied(command_id=command_id) | RowsProgrammed(command_id=command_id):
            return f"{command_id}/{envelope.id}"
    return f"ovn/{envelope.id}"


def _subject(data: AnyEvent) -> str:
    match data:
        case ObjectChanged(object=projection):
            return k8s_event(projection.KIND, projection.namespace, projection.name)
        case ObjectDeleted():
            return k8s_event(data.kind, data.namespace, data.name)
        case ConfigApplied():
            return agent_event(data.gateway, data.pod)
        case CommandApplied() if data.part != "nb":
            return kube_event(data.gateway)
        case CommandApplied() | RowsProgrammed() | SessionChanged() | SessionProgrammed():
            return ovn_event(data.gateway)
    raise ValueError(f"no subject for {data}")


class Client:
    """A connection to the bus that may do everything, for tests that are not async themselves."""

    def __init__(self, server: Nats) -> None:
        self._server = server

    def publish(self, envelopes: Iterable[Envelope], message_id: str = "") -> None:
        """Publish as a service does; another `message_id` gets past the bus's own dropping of doubles."""
        asyncio.run(self._publish(list(envelopes), {HEADER_MESSAGE_ID: message_id} if message_id else {}))

    def publish_raw(self, subject: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        """Publish anything, without waiting for a stream."""
        asyncio.run(self._publish_raw(subject, body, headers))

    def messages(self, stream: str) -> list[tuple[str, dict[str, str], bytes]]:
        """All messages of a stream: subject, headers, body."""

        async def read(js: JetStreamContext) -> list[tuple[str, dict[str, str], bytes]]:
            state = (await js.stream_info(stream)).state
            found = [await js.get_msg(stream, number) for number in range(state.first_seq or 1, state.last_seq + 1)]
            return [(message.subject or "", message.headers or {}, message.data or b"") for message in found]

        return self._server.ask(read)

    async def _publish(self, envelopes: list[Envelope], more: dict[str, str]) -> None:
        connection, js = await self._connect()
        async with asyncio.timeout(3 * DEADLINE_S):
            for envelope in envelopes:
                headers = {**to_headers(envelope), **more}
                await bus.publish_raw(js, envelope.subject, to_body(envelope), headers)
        await connection.close()

    async def _publish_raw(self, subject: str, body: bytes, headers: dict[str, str] | None) -> None:
        connection, _ = await self._connect()
        await connection.publish(subject, body, headers=headers)
        await connection.flush()
        await connection.close()

    async def _connect(self) -> tuple[nats.aio.client.Client, JetStreamContext]:
        connection = await nats.connect(
            self._server.url, user="admin", password=Nats.PASSWORD, reconnect_time_wait=0.1, max_reconnect_attempts=-1
        )
        return connection, bus.jetstream(connection)


def wait_logged(database: Database, envelopes: Iterable[Envelope]) -> None:
    """Wait until the log has all of these."""
    wanted = {envelope.id for envelope in envelopes}
    wait_for("events to be in the log", lambda: wanted <= set(database.sql("select id from event").splitlines()))


def wait_relayed(database: Database) -> None:
    """Wait until the outbox is empty."""
    query = "select count(*) from command where relayed_at is null"
    wait_for("the outbox to be empty", lambda: database.sql(query) == "0")


def assert_consistent(database: Database, envelopes: Sequence[Envelope]) -> None:
    """Each event once, positions without gaps, and a replay that decides the same."""
    ids = database.sql("select id from event where type not like 'veg.planner.%' order by position").splitlines()
    assert sorted(ids) == sorted({envelope.id for envelope in envelopes})
    assert database.sql("select count(*) - max(position) from event") == "0"
    assert database.sql("select count(*) from rejected") == "0"
    assert_replays(database)


def assert_replays(database: Database) -> None:
    result = CliRunner().invoke(vegctl, ["--database", database.url("veg_reader"), "replay", "--check"])
    assert result.exit_code == 0, result.output
    assert "all equal" in result.output
