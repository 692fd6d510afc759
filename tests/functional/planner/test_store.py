"""The store by itself: what it keeps, what it refuses, and who may do what."""

import re
import subprocess
from collections.abc import Iterator

import msgspec
import pytest
import sqlalchemy as sa
from functional.planner.harness import edits, head_of_log, on_the_bus, scenario
from functional.servers import REPOSITORY, Database, Postgres, migrate

from veg_contracts.envelope import Envelope
from veg_planner.batch import Decider
from veg_planner.core import World
from veg_planner.store import effects, lease, outbox, rejected
from veg_planner.store.rejected import Rejection
from veg_planner.store.unit import DatabaseError, create_engine, refuses_value, unit_of_work


@pytest.fixture
def engine(database: Database) -> Iterator[sa.Engine]:
    made = create_engine(database.url())
    yield made
    made.dispose()


@pytest.fixture
def decider(engine: sa.Engine) -> Decider:
    held = lease.acquire(engine, "test", 60)
    assert held is not None
    return Decider(engine, held)


def test_doubles_within_a_batch_and_between_batches_are_dropped(decider: Decider, database: Database) -> None:
    events = edits(3)
    assert decider.process([*events, *events]).appended == len(events)
    assert decider.process(events).appended == 0
    assert database.sql("select count(*), max(position) from event") == f"{len(events)}|{len(events)}"


def test_the_stored_world_is_the_one_in_memory(decider: Decider, engine: sa.Engine) -> None:
    decider.process([*head_of_log(), *on_the_bus(scenario().log)])
    with unit_of_work(engine) as connection:
        loaded = effects.load_world(connection)
    for attribute in ("gateways", "orphans", "wants_tick"):
        assert getattr(loaded, attribute)() == getattr(decider.world(), attribute)()
    assert loaded.intent("default/gateway1") == decider.world().intent("default/gateway1")


def test_batches_of_any_size_decide_the_same(engine: sa.Engine, postgres: Postgres, decider: Decider) -> None:
    events = [*head_of_log(), *on_the_bus(scenario().log)]
    decider.process(events)
    other = Database(postgres)
    second = create_engine(other.url())
    held = lease.acquire(second, "test", 60)
    assert held is not None
    for event in events:
        Decider(second, held).process([event])  # a planner that starts anew for every event
    query = sa.text("select id, digest from command union all select gateway_uid || generation, digest from intent")
    with engine.connect() as one, second.connect() as two:
        assert sorted(one.execute(query).all()) == sorted(two.execute(query).all())
    second.dispose()
    other.remove()


def test_a_batch_that_fails_stores_nothing_of_it(decider: Decider, engine: sa.Engine, database: Database) -> None:
    events = edits(4)
    decider.process(events[:5])
    database.sql("alter table command add constraint broken check (false) not valid")
    result = decider.process(events[5:])
    assert (result.appended, result.commands) == (len(events) - 5, 0)
    assert database.sql("select count(*) from event where not decided") == str(len(events) - 5)
    assert database.sql("select count(*) from rejected") == str(len(events) - 5)
    assert database.sql("select count(*) from object where position > 5") == "0"
    with unit_of_work(engine) as connection:
        assert effects.load_world(connection).gateways() == decider.world().gateways()


def test_the_outbox_is_in_order_and_empties(decider: Decider, engine: sa.Engine) -> None:
    decider.process([*head_of_log(), *on_the_bus(scenario().log)])
    waiting = outbox.waiting(engine, 1000)
    assert [command.id for command in waiting] == [outgoing.id for outgoing in scenario().sent]
    assert len(outbox.waiting(engine, 2)) == 2


def test_rejections_are_bounded_and_take_any_bytes(engine: sa.Engine, database: Database) -> None:
    odd = Rejection(subject="a\0\ud800", reason="r" * 100_000, body=b"\xff\0" * 1000)
    with unit_of_work(engine) as connection:
        for _ in range(11):
            rejected.record(connection, [odd] * 1000)
        connection.commit()
    assert database.sql("select count(*), max(length(reason)), max(size) from rejected") == "10000|8000|2000"


@pytest.mark.parametrize("table", ["event", "intent", "report"])
@pytest.mark.parametrize("statement", ["delete from {}", "update {} set position = 99", "truncate {} cascade"])
@pytest.mark.parametrize("role", ["veg_planner", "veg_owner"])
def test_history_cannot_be_changed(decider: Decider, database: Database, table: str, statement: str, role: str) -> None:
    decider.process([*head_of_log(), *on_the_bus(scenario().log)])
    attempt(database, role, statement.format(table), "permission denied|append-only")


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("veg_planner", "delete from command"),
        ("veg_owner", "delete from command"),
        ("veg_planner", "update command set data = '{}'"),
        ("veg_planner", "drop table event"),
        ("veg_reader", "delete from object"),
        ("veg_reader", "insert into rejected (subject, reason, size, head) values ('', '', 0, '')"),
        ("veg_reader", "update lease set fence = 0"),
    ],
)
def test_roles_may_do_what_they_need_and_no_more(database: Database, role: str, statement: str) -> None:
    attempt(database, role, statement, "permission denied|append-only|must be owner")


def attempt(database: Database, role: str, statement: str, refusal: str) -> None:
    engine = create_engine(database.url(role))
    with engine.connect() as connection, pytest.raises(sa.exc.DBAPIError, match=refusal):
        connection.execute(sa.text(statement))
    engine.dispose()


def test_which_errors_are_the_values_fault(engine: sa.Engine, database: Database) -> None:
    with engine.connect() as connection, pytest.raises(DatabaseError) as bad:
        connection.execute(sa.text("select 'x'::int"))
    assert refuses_value(bad.value)
    away = create_engine(database.url().replace(str(database.postgres.directory), "/nowhere"))
    with pytest.raises(DatabaseError) as lost:
        away.connect()
    assert not refuses_value(lost.value)


def test_migrations_go_up_down_and_up_again_and_twice_is_once(postgres: Postgres) -> None:
    database = Database(postgres)
    url = database.url("veg_owner")
    migrate(url)
    migrate(url, "downgrade", "base")
    assert database.sql("select count(*) from pg_tables where schemaname = 'public'") == "1"  # Alembic's own
    migrate(url)
    assert database.sql("select count(*) from event") == "0"
    database.remove()


def test_an_empty_log_has_an_empty_world(decider: Decider) -> None:
    assert decider.head() == 0
    assert decider.world().gateways() == World().gateways()


def test_the_story_of_an_apply(decider: Decider, database: Database) -> None:
    events = [*head_of_log(), *on_the_bus(scenario().log)]
    caused = {outgoing.id for outgoing in scenario().sent}
    named = [_with_cause(event, caused) for event in events]
    decider.process(named)
    story = run_query(database, "story.sql")
    assert "Story of default/gateway1" in story
    assert "k8s.object-changed VpcEgressGateway gateway1" in story
    for words in ("generation", "ovn.ensure-nb", "writer.command-applied nb", "ovn.rows-programmed", "all done"):
        assert words in story, words
    assert "hv_cfg_after_apply_ms" in story
    (number,) = database.sql("select min(position) from apply").split()
    position = f"position={number}"
    first = run_query(database, "story.sql", "-v", "gateway=default/gateway1", "-v", position)
    assert "kube.ensure-workload" in first
    assert "k8s.object-changed Pod gateway1-0" in first
    screen = run_query(database, "change.sql", "-v", "gateway=default/gateway1", "-v", position)
    for words in (
        "Pod gateway1-0: Running",
        "orders kube.ensure-workload",
        "rows applied",
        "every chassis has the flows",
    ):
        assert words in screen, words
    assert len(screen.splitlines()) <= 36
    assert run_query(database, "change.sql", "-v", "gateway=gateway1", "-v", position) == screen


def test_every_query_of_the_cookbook_runs(decider: Decider, database: Database) -> None:
    decider.process([*head_of_log(), *on_the_bus(scenario().log)])
    text = (REPOSITORY / "docs" / "sql-cookbook.md").read_text()
    queries = re.findall(r"```sql\n(.*?)```", text, re.DOTALL)
    assert len(queries) > 8
    engine = sa.create_engine(database.url("veg_reader"))
    with engine.connect() as connection:
        for query in queries:
            for statement in filter(str.strip, re.sub(r"--.*", "", query).split(";\n")):
                connection.exec_driver_sql(statement.replace("%", "%%"))
    engine.dispose()


def _with_cause(event: Envelope, commands: set[str]) -> Envelope:
    cause = getattr(event.data, "command_id", "")
    return msgspec.structs.replace(event, causation_id=cause) if cause in commands else event


def run_query(database: Database, file: str, *arguments: str) -> str:
    words = ["psql", "-h", str(database.postgres.directory), "-U", "veg_reader", "-d", database.name, "-X"]
    words += ["-v", "ON_ERROR_STOP=1", *arguments, "-f", str(REPOSITORY / "docs" / "sql" / file)]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    return done.stdout
