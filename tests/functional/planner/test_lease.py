"""One planner leads. A second one takes over, and the first one cannot do any harm."""

import signal
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from functional.planner.harness import Client, Planner, assert_consistent, edits, wait_logged, wait_relayed
from functional.servers import Database, Nats, wait_for

from veg_planner.batch import Decider
from veg_planner.store import lease, outbox
from veg_planner.store.lease import LeaseLostError
from veg_planner.store.unit import create_engine, unit_of_work

TTL_S = 0.5


@pytest.fixture
def engine(database: Database) -> Iterator[sa.Engine]:
    made = create_engine(database.url())
    yield made
    made.dispose()


def take_over(engine: sa.Engine, holder: str) -> lease.Lease:
    taken: list[lease.Lease] = []

    def attempt() -> bool:
        taken.extend(filter(None, [lease.acquire(engine, holder, TTL_S)]))
        return bool(taken)

    wait_for(f"{holder} to get the lease", attempt, TTL_S * 4)
    return taken[0]


def test_it_is_given_to_one_until_it_runs_out(engine: sa.Engine, database: Database) -> None:
    first = lease.acquire(engine, "a", 60)
    assert first is not None
    assert lease.acquire(engine, "b", TTL_S) is None
    database.sql("update lease set expires_at = clock_timestamp()")
    second = take_over(engine, "b")
    assert (first.fence, second.fence) == (1, 2)


def test_a_renewed_lease_is_kept_and_a_released_one_is_free_at_once(engine: sa.Engine) -> None:
    held = lease.acquire(engine, "a", 60)
    assert held is not None
    lease.renew(engine, held)
    assert lease.acquire(engine, "b", TTL_S) is None
    lease.release(engine, held)
    assert lease.acquire(engine, "b", TTL_S) is not None


def test_the_same_holder_gets_it_back_at_once_and_its_former_self_is_refused(engine: sa.Engine) -> None:
    before = lease.acquire(engine, "a", 60)
    after = lease.acquire(engine, "a", 60)
    assert before is not None
    assert after is not None
    assert after.fence == before.fence + 1
    with pytest.raises(LeaseLostError):
        lease.renew(engine, before)
    lease.renew(engine, after)


def test_a_leader_that_was_overtaken_stores_nothing(engine: sa.Engine, database: Database) -> None:
    old = take_over(engine, "a")
    decider = Decider(engine, old)
    decider.process(edits(2))
    head = decider.head()
    new = take_over(engine, "b")
    with pytest.raises(LeaseLostError):
        decider.process(edits(4))
    with pytest.raises(LeaseLostError):
        outbox.mark_relayed(engine, old, [])
    assert decider.head() == head
    lease.release(engine, old)  # another one's by now: nothing happens
    lease.renew(engine, new)
    assert database.sql("select holder from lease") == "b"


def test_nobody_takes_over_in_the_middle_of_a_transaction(engine: sa.Engine) -> None:
    held = take_over(engine, "a")
    with unit_of_work(engine) as connection:
        lease.lock(connection, held)
        connection.execute(sa.text("set local lock_timeout = 0"))
        connection.execute(sa.text(f"select pg_sleep({TTL_S * 2})"))
        with engine.connect() as other:
            other.execute(sa.text("set lock_timeout = '50ms'"))
            with pytest.raises(sa.exc.OperationalError, match="lock timeout"):
                other.execute(sa.text("select * from lease for update"))
        lease.extend(connection, held)
        connection.commit()
    assert lease.acquire(engine, "b", TTL_S) is None


def test_a_second_planner_takes_over_from_a_killed_one(
    make_planner: Callable[..., Planner], nats_server: Nats, database: Database
) -> None:
    first = make_planner()
    first.wait_leading()
    second = make_planner()
    second.wait_standing_by()
    events, client = edits(60), Client(nats_server)
    client.publish(events[:30])
    first.kill()
    client.publish(events[30:])
    second.wait_leading()
    wait_logged(database, events)
    wait_relayed(database)
    assert_consistent(database, events)


def test_a_frozen_leader_that_wakes_up_stands_by(
    make_planner: Callable[..., Planner], nats_server: Nats, database: Database
) -> None:
    first = make_planner()
    first.wait_leading()
    second = make_planner()
    second.wait_standing_by()
    events, client = edits(40), Client(nats_server)
    client.publish(events[:20])
    first.send(signal.SIGSTOP)
    second.wait_leading()
    client.publish(events[20:])
    wait_logged(database, events)
    first.send(signal.SIGCONT)
    first.wait_standing_by()
    wait_relayed(database)
    assert_consistent(database, events)
