"""The documented query of failovers, on a log in which both kinds of rows fail over."""

import subprocess
from pathlib import Path

import pytest
import sqlalchemy as sa
from functional.planner.harness import head_of_log, on_the_bus
from functional.servers import Database
from support.sessions import Policies, StaticRoutes

from veg_contracts.events import SessionChanged, SessionProgrammed
from veg_planner.batch import Decider
from veg_planner.store import lease
from veg_planner.store.unit import create_engine

QUERY = Path(__file__).parents[3] / "docs" / "sql" / "failovers.sql"


@pytest.fixture
def decider(database: Database) -> Decider:
    engine: sa.Engine = create_engine(database.url())
    held = lease.acquire(engine, "test", 60)
    assert held is not None
    return Decider(engine, held)


def fail_over(gateway: Policies, *statuses: str) -> None:
    """The first pod's session goes through these; the chassis have what OVN made of it before the rows are written."""
    for ip in gateway.ips:
        gateway.session(ip, "up")
    for status in statuses:
        gateway.simulation.session(gateway.ips[0], status, gateway=gateway.key, vpc=gateway.vpc)
    down = next(
        record.envelope.data
        for record in gateway.simulation.log
        if isinstance(record.envelope.data, SessionChanged)
        and (record.envelope.data.previous, record.envelope.data.status) == ("up", statuses[0])
    )
    gateway.simulation.happen(
        SessionProgrammed(
            gateway=gateway.key, logical_port=down.logical_port, dst_ip=down.dst_ip, down_at=down.at, nb_cfg=1
        )
    )
    gateway.simulation.answer_all()
    gateway.session(gateway.ips[0], "up")


def told(decider: Decider, database: Database, gateway: Policies) -> list[list[str]]:
    """What the query says of a gateway, once its log is in the database."""
    decider.process([*head_of_log(), *on_the_bus(gateway.simulation.log)])
    words = ["psql", "-h", str(database.postgres.directory), "-U", "postgres", "-d", database.name, "-qAtX"]
    words += ["-v", "ON_ERROR_STOP=1", "-v", f"gateway={gateway.key}", "-f", str(QUERY)]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [line.split("|") for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("made", "statuses", "alone"),
    [
        (Policies, ["down"], False),
        (StaticRoutes, ["down"], True),
        (StaticRoutes, ["down", "init"], False),
        (StaticRoutes, ["init"], False),
    ],
)
def test_it_tells_when_the_rows_were_written_and_when_traffic_had_moved(
    decider: Decider, database: Database, made: type[Policies], statuses: list[str], alone: bool
) -> None:
    gateway = made()
    fail_over(gateway, *statuses)
    (line,) = told(decider, database, gateway)
    _, name, address, pod, _, cause, detect_ms, written_ms, flows_ms, at_most_ms, back_s = line
    assert (name, address, pod, detect_ms) == (gateway.key, gateway.ips[0], f"{gateway.key.partition('/')[2]}-0", "300")
    assert cause == "OVN heard nothing of the pod any more"
    assert (float(flows_ms) < float(written_ms)) == alone, "OVN takes a route out by itself, if it can"
    assert float(at_most_ms) == 500 + float(flows_ms)
    assert back_s


@pytest.mark.parametrize("made", [Policies, StaticRoutes])
@pytest.mark.parametrize("at_once", [True, False])
def test_k11_panic_is_no_outage_that_ended_by_a_withdrawal(
    decider: Decider, database: Database, made: type[Policies], at_once: bool
) -> None:
    gateway = made()
    one, two = gateway.ips
    for ip in gateway.ips:
        gateway.session(ip, "up")
    gateway.simulation.session(one, "down", gateway=gateway.key, vpc=gateway.vpc)
    if not at_once:  # the first one was a failover like any other: its traffic went to the second
        gateway.simulation.answer_all()
    gateway.session(two, "down")
    gateway.session(two, "up")
    gateway.session(one, "up")
    lines = told(decider, database, gateway)
    panicked = [line[5] == "no session was up any more: panic mode, traffic goes on to all pods" for line in lines]
    assert [line[2] for line in lines] == [one, two]
    assert panicked == [at_once, True]
    assert [line[9] == "" for line in lines] == panicked, "there is no bound"
    assert all(line[10] for line in lines), "when it was back is told"
