"""The command line against a real database that holds the document's example."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result
from functional.planner.harness import head_of_log, on_the_bus, scenario
from functional.servers import Database, Process, wait_for

from veg_contracts.envelope import Envelope, type_name
from veg_contracts.events import CommandFailed, RowsObserved
from veg_contracts.intent import NbRows, Part
from veg_planner.batch import Decider
from veg_planner.store import lease
from veg_planner.store.unit import create_engine
from vegctl.main import main


@pytest.fixture
def decider(database: Database) -> Iterator[Decider]:
    """A database in which the example is ready, and the planner that made it so."""
    engine: sa.Engine = create_engine(database.url())
    held = lease.acquire(engine, "test", 60)
    assert held is not None
    made = Decider(engine, held)
    made.process([*head_of_log(), *on_the_bus(scenario().log)])
    yield made
    engine.dispose()


def event(identity: str, subject: str, data: RowsObserved | CommandFailed) -> Envelope:
    return Envelope(
        id=identity, source="test", type=type_name(data), subject=subject, time="2026-01-01T00:01:00Z", data=data
    )


def vegctl(database: Database, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["--database", database.url("veg_reader"), *arguments])


@pytest.mark.usefixtures("decider")
def test_the_database_may_be_named_by_a_file(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "postgres-url"
    file.write_text(f"{database.url('veg_reader')}\n")
    result = CliRunner().invoke(main, ["get"], env={"VEG_POSTGRES_URL_FILE": str(file)})
    assert result.exit_code == 0, result.output
    missing = CliRunner().invoke(main, ["get"], env={"VEG_POSTGRES_URL_FILE": str(tmp_path / "none")})
    assert missing.exit_code == 2
    assert f"VEG_POSTGRES_URL_FILE={tmp_path}/none: No such file" in missing.output


@pytest.mark.usefixtures("decider")
def test_get_shows_every_gateway_and_how_far_each_part_is(database: Database) -> None:
    result = vegctl(database, "get")
    assert result.exit_code == 0, result.output
    header, row = result.output.splitlines()
    assert header.split()[:9] == [
        "GATEWAY",
        "GENERATION",
        "PHASE",
        "READY",
        "NB",
        "WORKLOAD",
        "FINALIZER",
        "STATUS",
        "CONFIG",
    ]
    cells = row.split()
    assert cells[0] == "default/gateway1"
    assert cells[2:4] == ["Completed", "true"]
    assert "failed" not in row
    assert "of 2 pods" in row


def test_get_of_one_gateway_says_what_it_waits_for(decider: Decider, database: Database) -> None:
    failed = decider.world().part("default/gateway1", Part.NB)
    assert failed is not None
    failure = CommandFailed(
        command_id=failed.command_id,
        gateway="default/gateway1",
        gateway_uid=failed.gateway_uid,
        part="nb",
        generation=failed.generation,
        message="Logical_Router ovn-cluster is gone",
    )
    decider.process([event("failure", "veg.evt.ovn.gateway.default.gateway1", failure)])
    result = vegctl(database, "get", "gateway1")
    assert result.exit_code == 0, result.output
    assert "Logical_Router ovn-cluster is gone" in result.output
    assert "failed" in result.output
    assert failed.command_id in result.output


@pytest.mark.usefixtures("decider")
def test_get_of_an_unknown_gateway_fails_by_name(database: Database) -> None:
    result = vegctl(database, "get", "other/nothing")
    assert result.exit_code == 1
    assert "VpcEgressGateway other/nothing: not found" in result.output


@pytest.mark.usefixtures("decider")
def test_log_tells_the_story_in_order_with_causes(database: Database) -> None:
    result = vegctl(database, "log", "gateway1")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    kinds = [line.split()[3] for line in lines]
    assert {"event", "intent", "report", "command", "outcome"} == set(kinds)
    positions = [int(line.split()[2].removeprefix("#")) for line in lines]
    assert positions == sorted(positions)
    applied = next(line for line in lines if "10.20.0.0/24 reroute 10.16.0.12,10.16.0.13" in line)
    assert "nb " in applied
    assert "<- agent/default/gateway1-1/" in applied


def test_log_names_everything_in_words(decider: Decider, database: Database) -> None:
    rows = NbRows(router="ovn-cluster", port_groups=("group",))
    drift = RowsObserved(gateway="default/gateway1", reason="drift", before=(rows,), after=())
    decider.process([event("drift", "veg.evt.ovn.gateway.default.gateway1", drift)])
    output = vegctl(database, "log").output
    intent = decider.world().intent("default/gateway1")
    assert intent is not None
    assert intent.config is not None
    for words in (
        "Subnet ovn-default at version",
        "drift of default/gateway1: before ovn-cluster[port group group]; after no rows",
        "finalizer 1: have it",
        "Deployment gateway1",
        f"config {intent.config.generation} applied by gateway1-0: 10.20.0.0/24",
        "planner settings: image gw:test",
    ):
        assert words in output, words


@pytest.mark.usefixtures("decider")
def test_log_of_a_gateway_that_never_was_says_so(database: Database) -> None:
    result = vegctl(database, "log", "nope")
    assert result.exit_code == 1
    assert "VpcEgressGateway default/nope: the log has nothing of it" in result.output


@pytest.mark.usefixtures("decider")
def test_log_as_json_holds_everything(database: Database) -> None:
    rows = [json.loads(line) for line in vegctl(database, "log", "--json").output.splitlines()]
    assert len([row for row in rows if row["what"] == "event"]) > 5
    command = next(row for row in rows if row["type"] == "veg.ovn.ensure-nb.v1")
    assert command["data"]["rows"]["router"] == "ovn-cluster"
    assert command["causation_id"]


@pytest.mark.usefixtures("decider")
def test_log_since(database: Database) -> None:
    everything = vegctl(database, "log").output.splitlines()
    recent = vegctl(database, "log", "--since", "1h").output.splitlines()  # the simulation's events are of January
    assert 0 < len(recent) < len(everything)
    assert vegctl(database, "log", "--since", "2100-01-01").output == ""
    assert vegctl(database, "log", "--since", "soon").exit_code == 2


def test_log_follows(decider: Decider, database: Database, tmp_path: Path) -> None:
    output = tmp_path / "follow.log"
    argv = [sys.executable, "-u", "-m", "vegctl", "log", "--follow"]
    following = Process(argv, output, {**os.environ, "VEG_POSTGRES_URL": database.url("veg_reader")})
    following.start()
    try:
        wait_for("what there is", lambda: "planner settings" in output.read_text())
        time.sleep(0.6)
        decider.process([event("late", "veg.evt.ovn.x", RowsObserved(gateway="default/late", reason="resync"))])
        wait_for("what comes", lambda: "resync of default/late" in output.read_text())
    finally:
        following.kill()
    ids = [line.split("[")[-1] for line in output.read_text().splitlines() if " event " in line]
    assert len(ids) == len(set(ids))


@pytest.mark.usefixtures("decider")
def test_replay_is_equal_and_shows_the_past(database: Database) -> None:
    result = vegctl(database, "replay", "--check")
    assert result.exit_code == 0, result.output
    assert "all equal" in result.output
    then = vegctl(database, "replay", "--check", "--until", "8")
    assert then.exit_code == 0, then.output
    assert "Completed" in result.output
    assert "Completed" not in then.output


@pytest.mark.usefixtures("decider")
@pytest.mark.parametrize(
    ("tampering", "said"),
    [
        (
            "update command set digest = 'x' where ordinal = 1 and position = (select min(position) from command)",
            "the documents are equal, only the digest",
        ),
        (
            "alter table intent disable trigger all; delete from intent where generation = 5",
            "\nreplayed: intent/",
        ),
        (
            "update object set data = '{}' where kind = 'report'",
            'first difference at $.gateway\n  stored: nothing\n  replayed: "default/gateway1"\n',
        ),
        (
            "delete from object where kind = 'report'",
            "world entry report/default/gateway1 differs\nfirst difference at $\n  stored: nothing\n  replayed: {",
        ),
    ],
)
def test_replay_finds_the_first_difference(database: Database, tampering: str, said: str) -> None:
    database.sql(tampering)
    result = vegctl(database, "replay", "--check")
    assert result.exit_code == 1
    assert said in result.output
    assert len(result.output) < 1000, "a difference, not two documents"


@pytest.mark.usefixtures("decider")
def test_replay_names_the_path_of_a_difference(database: Database) -> None:
    database.sql("""
        update command set digest = 'x', data = jsonb_set(data, '{rows,policies,0,priority}', '1')
         where data -> 'rows' ? 'policies'
    """)
    result = vegctl(database, "replay", "--check")
    assert result.exit_code == 1
    assert "first difference at $.data.rows.policies[0].priority\n  stored: 1\n  replayed: 29100\n" in result.output


def test_a_database_that_is_not_there_is_one_sentence() -> None:
    result = CliRunner().invoke(main, ["--database", "postgresql+psycopg://x@/x?host=/nowhere", "get"])
    assert result.exit_code == 1
    assert result.output.startswith("Error: database: ")
    assert "Traceback" not in result.output


def test_help_needs_no_database_and_a_command_does() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "VEG_POSTGRES_URL"}
    for words, code in (["--help"], 0), (["get", "--help"], 0), (["get"], 2), (["replay", "--until", "x"], 2):
        done = subprocess.run(
            [sys.executable, "-m", "vegctl", *words], check=False, env=environment, capture_output=True, timeout=20
        )
        assert done.returncode == code, done.stderr
