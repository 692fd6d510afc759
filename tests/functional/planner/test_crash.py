"""Killed at any moment: every event is in the log once, every command on the bus, and a replay decides the same."""

import random
import threading
import time
from collections.abc import Callable

import pytest
from functional.planner.harness import (
    Client,
    Planner,
    assert_consistent,
    edits,
    wait_logged,
    wait_relayed,
)
from functional.servers import Database, Nats, Postgres, wait_for
from nats.js.errors import NotFoundError

from veg_contracts.envelope import Envelope
from veg_contracts.subjects import COMMAND_STREAM, CONFIG_STREAM

pytestmark = pytest.mark.slow

KILLS = 3


_AT_MOST = 2000
_BATCH = 5


class Publisher:
    """Publishes in the background, a few events at a time, over all that is killed meanwhile, until told to stop."""

    def __init__(self, server: Nats) -> None:
        self.events: list[Envelope] = []
        self._edits = edits(_AT_MOST)
        self._client = Client(server)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._publish, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def finish(self) -> None:
        assert self._thread.is_alive(), "it was publishing all the while"
        self._stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive()

    def _publish(self) -> None:
        while not self._stop.wait(0.1) and self._edits:
            batch, self._edits = self._edits[:_BATCH], self._edits[_BATCH:]
            self._client.publish(batch)
            self.events += batch


def wait_growing(database: Database) -> None:
    """Wait until the log has more events than now."""
    before = int(database.sql("select count(*) from event"))
    wait_for("more events in the log", lambda: int(database.sql("select count(*) from event")) > before)


def assert_all_relayed(server: Nats, database: Database) -> None:
    """All commands are on the bus. One may be there twice: killed before it was marked, outside the bus's window."""
    relayed = {headers["ce-id"] for _, headers, _ in Client(server).messages(COMMAND_STREAM)}
    wanted = database.sql("select id from command where subject like 'veg.cmd.%'").splitlines()
    assert relayed == set(wanted)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_planner_killed_again_and_again(
    make_planner: Callable[..., Planner], nats_server: Nats, database: Database, seed: int
) -> None:
    chance = random.Random(seed)  # a seed that repeats a failure
    planner = make_planner(VEG_PLANNER_ID="only")
    planner.wait_leading()
    publisher = Publisher(nats_server)
    publisher.start()
    for _ in range(KILLS):
        wait_growing(database)
        time.sleep(chance.uniform(0, 0.3))
        planner.kill()  # at work
        planner.start()
        time.sleep(chance.uniform(0, 1))
        planner.kill()  # while it starts, or a moment later
        planner.start()
        planner.wait_leading()
    publisher.finish()
    wait_logged(database, publisher.events)
    wait_relayed(database)
    assert int(database.sql("select fence from lease")) > KILLS
    assert_consistent(database, publisher.events)
    assert_all_relayed(nats_server, database)


def test_postgres_killed(make_planner: Callable[..., Planner], nats_server: Nats, own_postgres: Postgres) -> None:
    database = Database(own_postgres)
    planner = make_planner(VEG_POSTGRES_URL=database.url())
    planner.wait_leading()
    publisher = Publisher(nats_server)
    publisher.start()
    for _ in range(KILLS):
        wait_growing(database)
        own_postgres.kill()
        own_postgres.start()
    publisher.finish()
    wait_logged(database, publisher.events)
    wait_relayed(database)
    planner.wait_leading()
    assert_consistent(database, publisher.events)
    assert_all_relayed(nats_server, database)


def test_nats_killed(planner: Planner, nats_server: Nats, database: Database) -> None:
    publisher = Publisher(nats_server)
    publisher.start()
    for _ in range(KILLS):
        wait_growing(database)
        nats_server.kill()
        time.sleep(0.3)
        nats_server.start()
    publisher.finish()
    wait_logged(database, publisher.events)
    wait_relayed(database)
    planner.wait_leading()
    assert_consistent(database, publisher.events)
    assert_all_relayed(nats_server, database)


def test_a_bus_that_lost_its_files_gets_its_streams_again(
    planner: Planner, nats_server: Nats, database: Database
) -> None:
    events = edits(10)
    client = Client(nats_server)
    client.publish(events[:5])
    wait_logged(database, events[:5])
    nats_server.kill()
    nats_server.forget()
    nats_server.start()
    client.publish(events[5:])
    wait_logged(database, events)
    wait_relayed(database)
    planner.wait_leading()
    assert_consistent(database, events)


def test_a_bus_that_lost_its_files_gets_again_what_it_should_hold(
    planner: Planner, nats_server: Nats, database: Database
) -> None:
    events = edits(10)
    client = Client(nats_server)
    client.publish(events)
    wait_logged(database, events)
    wait_relayed(database)
    configs, unanswered = newest(client.messages(CONFIG_STREAM)), newest(client.messages(COMMAND_STREAM))
    told = "veg.kube.record-event.v1"  # for the record: it stands for itself, and nobody waits for it
    wanted = {key: body for key, body in {**configs, **unanswered}.items() if told not in key}
    assert len(configs) == 3
    nats_server.kill()
    nats_server.forget()
    nats_server.start()
    wait_for("all of it to be on the bus", lambda: all_of(client) == wanted)
    planner.wait_leading()
    planner.kill()
    planner.start()
    planner.wait_leading()
    lost = "select count(*) from event where type = 'veg.planner.streams-created.v1'"
    assert database.sql(lost) == "2", "the first ones, and those after the loss"
    assert_consistent(database, events)


def newest(messages: list[tuple[str, dict[str, str], bytes]]) -> dict[tuple[str, str], bytes]:
    """The last message for each subject and type."""
    return {(subject, headers["ce-type"]): body for subject, headers, body in messages}


def all_of(client: Client) -> dict[tuple[str, str], bytes]:
    try:
        return newest([*client.messages(CONFIG_STREAM), *client.messages(COMMAND_STREAM)])
    except NotFoundError:  # no stream yet
        return {}


def test_a_bus_that_lost_its_files_in_the_middle_of_a_relay(
    planner: Planner, nats_server: Nats, database: Database
) -> None:
    # All events in one batch, so that the bus goes while hundreds of commands are still to be relayed.
    events = edits(151)
    planner.kill()
    database.sql(
        "create function slow() returns trigger language plpgsql as $$begin perform pg_sleep(0.01); return new; end$$;"
        "create trigger slow before update on command for each row execute function slow()"
    )
    Client(nats_server).publish(events[:-1])
    planner.start()
    wait_logged(database, events[:-1])
    nats_server.kill()
    waiting = int(database.sql("select count(*) from command where relayed_at is null"))
    database.sql("drop trigger slow on command")
    nats_server.forget()
    nats_server.start()
    assert waiting > 0
    wait_relayed(database)
    Client(nats_server).publish(events[-1:])
    wait_logged(database, events)
    planner.wait_leading()
    assert_consistent(database, events)


def test_a_planner_without_its_database_is_not_ready(
    make_planner: Callable[..., Planner], own_postgres: Postgres
) -> None:
    planner = make_planner(VEG_POSTGRES_URL=Database(own_postgres).url())
    planner.wait_leading()
    own_postgres.kill()
    wait_for("the planner to say so", lambda: planner.readiness() == (503, "waits for the database\n"))
    own_postgres.start()
    planner.wait_leading()


def test_a_planner_without_its_bus_is_not_ready(planner: Planner, nats_server: Nats) -> None:
    nats_server.kill()
    wait_for("the planner to say so", lambda: planner.readiness() == (503, "waits for the bus\n"))
    nats_server.start()
    planner.wait_leading()
