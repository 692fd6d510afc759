"""The streams on a real server: their bounds, and what a planner takes from them when agents flood theirs."""

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial

import nats
import pytest
from functional.planner.harness import Client, Planner, assert_consistent, edits, wait_logged
from functional.servers import DEADLINE_S, Database, Nats, wait_for
from nats.js import JetStreamContext
from nats.js.errors import APIError

from veg_contracts import ids, subjects
from veg_contracts.envelope import Envelope, to_body, to_headers, type_name
from veg_contracts.events import ConfigFailed
from veg_planner.bus.streams import ensure_streams
from veg_runtime import bus, clock

GATEWAY = "default/gateway1"
_FLOOD = 20_000
_PODS = 100
_SMALL = 64 * 1024


def report(pod: str, number: int) -> Envelope:
    """One of the many things that an agent may say."""
    data = ConfigFailed(
        gateway=GATEWAY, gateway_uid="uid", pod=pod, pod_uid=f"uid-{pod}", generation=1, message=f"failure {number}"
    )
    return Envelope(
        id=ids.of_agent(GATEWAY, pod, data.pod_uid, str(number)),
        source="veg/gw-agent",
        type=type_name(data),
        subject=subjects.agent_event(GATEWAY, pod),
        time=clock.now(),
        data=data,
    )


def flood(server: Nats, envelopes: Iterable[Envelope]) -> None:
    """Publish as fast as the server takes it, and wait until the stream has it all."""

    async def publish() -> int:
        client, number = await nats.connect(server.url, user="admin", password=Nats.PASSWORD), 0
        for number, envelope in enumerate(envelopes, start=1):
            await client.publish(envelope.subject, to_body(envelope), headers=to_headers(envelope))
            if number % 1000 == 0:
                await client.flush()
        await client.flush()
        await client.close()
        return number

    wanted = newest(server) + asyncio.run(publish())
    wait_for("the stream to have it all", lambda: newest(server) >= wanted)


def newest(server: Nats) -> int:
    """The sequence number of the last message that agents have sent."""

    async def look(js: JetStreamContext) -> int:
        return (await js.stream_info(subjects.AGENT_EVENT_STREAM)).state.last_seq

    return server.ask(look)


def waiting(server: Nats, stream: str) -> int:
    """How many messages the stream holds: those that nobody has acknowledged."""

    async def count(js: JetStreamContext) -> int:
        return (await js.stream_info(stream)).state.messages

    return server.ask(count)


def test_a_pod_that_floods_pushes_out_its_own_messages_only(nats_server: Nats) -> None:
    nats_server.ask(ensure_streams)
    others = [report(f"quiet-{number}", 1) for number in range(3)]
    Client(nats_server).publish(others)
    flood(nats_server, (report("loud", number) for number in range(1000)))
    left = [headers["ce-id"] for _, headers, _ in stored(nats_server)]
    assert left[:3] == [envelope.id for envelope in others]
    assert left[3:] == [report("loud", number).id for number in range(744, 1000)]


def stored(server: Nats) -> list[tuple[str, dict[str, str], bytes]]:
    """What the stream of agents holds, without what it has thrown away."""

    last = newest(server)

    async def read(js: JetStreamContext) -> list[tuple[str, dict[str, str], bytes]]:
        found, number = [], 0
        while number < last:
            message = await js.get_msg(
                subjects.AGENT_EVENT_STREAM, number + 1, next=True, subject=subjects.AGENT_EVENTS
            )
            number = message.seq or last
            found.append((message.subject or "", message.headers or {}, message.data or b""))
        return found

    return server.ask(read)


def test_a_message_of_an_agent_is_64_kib_at_most(nats_server: Nats) -> None:
    nats_server.ask(ensure_streams)
    subject = subjects.agent_event(GATEWAY, "pod")
    nats_server.publish(subject, b"x" * 65_000)
    with pytest.raises(APIError, match="message size exceeds maximum allowed"):
        nats_server.publish(subject, b"x" * 65_537)
    with pytest.raises(bus.MessageTooLargeError, match="70000 bytes, its stream refuses it"):
        nats_server.ask(lambda js: bus.publish_raw(js, subject, b"x" * 70_000, {}))


def test_an_id_that_another_pod_has_sent_is_no_double_on_the_bus(nats_server: Nats) -> None:
    nats_server.ask(ensure_streams)
    mine = report("mine", 1)
    nats_server.publish(subjects.agent_event(GATEWAY, "other"), b"x", {"Nats-Msg-Id": mine.id})
    Client(nats_server).publish([mine])
    assert [body for _, _, body in stored(nats_server)] == [b"x", to_body(mine)]


def test_when_nobody_reads_publishers_wait_and_nothing_is_lost(
    make_planner: Callable[..., Planner], nats_server: Nats, database: Database
) -> None:
    nats_server.ask(ensure_streams)
    nats_server.ask(lambda js: shrink(js, _SMALL))
    events = edits(200)
    publishing = threading.Thread(target=Client(nats_server).publish, args=(events,), daemon=True)
    publishing.start()
    wait_for("the stream to be full", lambda: size(nats_server) > _SMALL - 2048)
    time.sleep(1)
    held = waiting(nats_server, subjects.EVENT_STREAM)
    assert publishing.is_alive()
    assert 0 < held < len(events)
    make_planner()  # it reads, and gives the stream its size again
    publishing.join(3 * DEADLINE_S)
    assert not publishing.is_alive()
    wait_logged(database, events)
    assert_consistent(database, events)
    wait_for("all to be acknowledged", lambda: waiting(nats_server, subjects.EVENT_STREAM) == 0)


async def shrink(js: JetStreamContext, bytes_max: int) -> None:
    config = (await js.stream_info(subjects.EVENT_STREAM)).config
    await js.update_stream(config, max_bytes=bytes_max)


def size(server: Nats) -> int:
    """How many bytes the stream of events holds."""

    async def look(js: JetStreamContext) -> int:
        return (await js.stream_info(subjects.EVENT_STREAM)).state.bytes

    return server.ask(look)


def test_a_flood_of_agents_holds_up_nobody_else(
    make_planner: Callable[..., Planner], nats_server: Nats, database: Database
) -> None:
    nats_server.ask(ensure_streams)
    flood(nats_server, (report(f"pod-{number % _PODS}", number) for number in range(_FLOOD)))
    assert waiting(nats_server, subjects.AGENT_EVENT_STREAM) == _FLOOD
    make_planner().wait_leading()
    client, took_s = Client(nats_server), []
    for event in edits(20):
        began = time.monotonic()
        client.publish([event])
        wait_logged(database, [event])
        took_s.append(time.monotonic() - began)
    left = waiting(nats_server, subjects.AGENT_EVENT_STREAM)
    print(
        f"decided after {max(took_s):.2f} s at most, {sorted(took_s)[10]:.2f} s as a rule; {left} of agents still wait"
    )
    assert left > 0, "agents still have a queue"
    assert sorted(took_s)[10] < 2


def is_empty(server: Nats, stream: str) -> bool:
    return waiting(server, stream) == 0


def test_a_takeover_loses_nothing_on_either_stream(
    make_planner: Callable[..., Planner], nats_server: Nats, database: Database
) -> None:
    first = make_planner(VEG_PLANNER_ID="first")
    first.wait_leading()
    first.send(signal.SIGSTOP)
    # The bus hands these to the first one, which will never acknowledge them.
    mixed = [*edits(30), *(report("pod", number) for number in range(30))]
    Client(nats_server).publish(mixed)
    make_planner(VEG_PLANNER_ID="second").wait_leading()
    wait_logged(database, mixed)
    for stream in (subjects.EVENT_STREAM, subjects.AGENT_EVENT_STREAM):
        wait_for(f"{stream} to be acknowledged", partial(is_empty, nats_server, stream))
    assert_consistent(database, mixed)


def test_a_consumer_that_is_gone_is_made_again_while_the_other_one_delivers(
    planner: Planner, nats_server: Nats, database: Database
) -> None:
    assert planner.alive
    nats_server.ask(lambda js: js.delete_consumer(subjects.EVENT_STREAM, subjects.PLANNER_CONSUMER))
    events = edits(3)
    Client(nats_server).publish(events)
    stop = threading.Event()

    def chatter() -> None:
        number = 0
        while not stop.wait(0.05):
            flood(nats_server, [report("pod", number := number + 1)])

    talking = threading.Thread(target=chatter, daemon=True)
    talking.start()
    wait_logged(database, events)
    stop.set()
    talking.join(DEADLINE_S)


def test_an_agent_cannot_take_an_id_of_the_watcher(planner: Planner, nats_server: Nats, database: Database) -> None:
    assert planner.alive
    (event,) = edits(1)[-1:]
    stolen = report("pod", 1)
    nats_server.publish(stolen.subject, to_body(stolen), {**to_headers(stolen), "ce-id": event.id})
    wait_for("the refusal", lambda: database.sql("select count(*) from rejected") == "1")
    assert f"'{event.id}' may not appear on subject" in database.sql("select reason from rejected")
    Client(nats_server).publish([event])
    wait_logged(database, [event])
    assert database.sql("select type from event where id like 'k8s/%'") == event.type
