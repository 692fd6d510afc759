"""Servers and writers that die or hang in the middle: nothing is lost, nothing is done twice."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

from functional.ovn_writer.harness import DOCUMENT, GATEWAY, ROUTER, SCALED, Bus, Writer, command, found
from functional.ovsdb import Ovsdb, schema_without
from functional.servers import Nats, wait_for


def _nexthops(nb: Ovsdb) -> list[object]:
    return [row["nexthops"] for row in found(nb)[ROUTER] if row["priority"] == 29100]


def test_a_database_that_is_away_is_waited_for(nb: Ovsdb, bus: Bus, writer: Writer) -> None:
    bus.send(command(1, DOCUMENT))
    bus.wait_event(f"uid-{GATEWAY}/1/nb/applied")
    nb.kill()
    writer.wait_says('"standing": "lost"')
    bus.send(command(2, SCALED))
    assert bus.event(f"uid-{GATEWAY}/2/nb/applied") is None
    nb.start()
    bus.wait_event(f"uid-{GATEWAY}/2/nb/applied")
    assert _nexthops(nb) == [["10.16.0.12", "10.16.0.15"]]
    assert bus.wait_listed(2).gateways == (GATEWAY,)
    assert bus.observed("drift") == []
    assert writer.alive


def test_a_database_that_comes_after_the_writer(nb: Ovsdb, bus: Bus, make_writer: Callable[[], Writer]) -> None:
    nb.kill()
    writer = make_writer()
    writer.wait_says("not reached")
    bus.send(command(1, DOCUMENT))
    nb.start()
    bus.wait_event(f"uid-{GATEWAY}/1/nb/applied")
    assert writer.alive


def test_changes_made_while_the_writer_could_not_see_are_told(nb: Ovsdb, bus: Bus, writer: Writer) -> None:
    bus.send(command(1, DOCUMENT))
    bus.wait_event(f"uid-{GATEWAY}/1/nb/applied")
    writer.send(signal.SIGSTOP)
    nb.kill()
    nb.start()
    nb.nbctl("lr-policy-del", ROUTER, "29100")
    writer.send(signal.SIGCONT)
    assert bus.wait_listed(2).gateways == ()
    assert bus.observed("drift") == []


def test_a_database_that_hangs_costs_its_commands_time_only(nb: Ovsdb, bus: Bus, writer: Writer) -> None:
    nb.process.send(signal.SIGSTOP)
    bus.send(command(1, DOCUMENT))
    writer.wait_says("no answer to a transaction")
    nb.process.send(signal.SIGCONT)
    bus.wait_event(f"uid-{GATEWAY}/1/nb/applied")
    assert _nexthops(nb) == ["10.16.0.12"]
    assert writer.alive


def test_one_of_two_writers_writes_and_the_other_takes_over(
    nb: Ovsdb, bus: Bus, make_writer: Callable[[], Writer]
) -> None:
    first = make_writer()
    bus.wait_listed()
    second = make_writer()
    second.wait_says("another writer holds the lock")
    bus.send(command(1, DOCUMENT))
    bus.wait_event(f"uid-{GATEWAY}/1/nb/applied")
    first.kill()
    bus.send(command(2, SCALED))
    bus.wait_event(f"uid-{GATEWAY}/2/nb/applied")
    assert _nexthops(nb) == [["10.16.0.12", "10.16.0.15"]]
    bus.wait_listed(2)
    assert bus.observed("drift") == []


def test_a_writer_killed_between_writing_and_telling(
    nb: Ovsdb, bus: Bus, nats_server: Nats, make_writer: Callable[[], Writer]
) -> None:
    first = make_writer()
    bus.wait_listed()
    nb.process.send(signal.SIGSTOP)
    bus.send(command(1, DOCUMENT))
    wait_for("the command to be handed out", lambda: bus.handed_out() == 1)
    nats_server.kill()  # so that it can write, but neither tell nor acknowledge
    nb.process.send(signal.SIGCONT)
    wait_for("the row to be there", lambda: _nexthops(nb) == ["10.16.0.12"])
    first.kill()
    nats_server.start()
    assert bus.event(f"uid-{GATEWAY}/1/nb/applied") is None
    dump = nb.dump()
    make_writer()
    applied = bus.wait_event(f"uid-{GATEWAY}/1/nb/applied")
    assert (applied.detail["inserted"], applied.detail["nb_cfg"]) == ("0", "1")
    assert nb.dump() == dump
    wait_for("the acknowledgement", lambda: bus.unacknowledged() == 0)
    assert bus.observed("drift") == []


def test_a_writer_killed_between_telling_and_acknowledging(
    nb: Ovsdb, bus: Bus, nats_server: Nats, make_writer: Callable[[], Writer]
) -> None:
    first = make_writer()
    bus.wait_listed()
    nb.process.send(signal.SIGSTOP)
    bus.send(command(1, DOCUMENT))
    wait_for("the command to be handed out", lambda: bus.handed_out() == 1)
    nats_server.process.send(signal.SIGSTOP)  # it will find the outcome in its socket, and no acknowledgement
    nb.process.send(signal.SIGCONT)
    wait_for("the row to be there", lambda: _nexthops(nb) == ["10.16.0.12"])
    wait_for("the outcome to be sent", lambda: first.says('"applied"'))
    time.sleep(0.5)  # it says so just before it sends
    first.kill()
    nats_server.process.send(signal.SIGCONT)
    assert bus.wait_event(f"uid-{GATEWAY}/1/nb/applied").detail["inserted"] == "1"
    assert bus.handed_out() == 1
    dump = nb.dump()
    make_writer()
    wait_for("the acknowledgement", lambda: bus.unacknowledged() == 0)
    assert bus.event(f"uid-{GATEWAY}/1/nb/applied") is not None  # still one
    assert nb.dump() == dump


def test_a_bus_that_is_away_is_waited_for(nb: Ovsdb, bus: Bus, nats_server: Nats, writer: Writer) -> None:
    bus.send(command(1, DOCUMENT))
    bus.wait_event(f"uid-{GATEWAY}/1/nb/applied")
    nats_server.kill()
    nb.nbctl("lr-policy-del", ROUTER, "29100")
    nats_server.start()
    assert bus.wait_observed("drift").after == ()
    bus.send(command(2, SCALED))
    bus.wait_event(f"uid-{GATEWAY}/2/nb/applied")
    assert writer.alive


def test_a_schema_without_a_column_that_we_need(tmp_path: Path, nats_server: Nats, bus: Bus) -> None:
    nb = Ovsdb(tmp_path, "old", schema_without(tmp_path, "Logical_Router_Policy", "nexthops"))
    nb.start()
    writer = Writer(nats_server, nb, tmp_path / "writer.log")
    try:
        nb.nbctl("init")
        nb.nbctl("lr-add", ROUTER)
        writer.start()
        bus.send(command(1, DOCUMENT))
        message = bus.wait_event(f"uid-{GATEWAY}/1/nb/failed").message
        assert "has no column Logical_Router_Policy.nexthops" in message
        assert writer.alive
    finally:
        writer.kill()
        nb.kill()


def test_a_stop_is_clean_with_and_without_a_database(nb: Ovsdb, bus: Bus, make_writer: Callable[[], Writer]) -> None:
    first = make_writer()
    bus.wait_listed()
    assert first.stop() == 0
    nb.kill()
    second = make_writer()
    second.wait_says("not reached")
    assert second.stop() == 0
    assert not first.says("Traceback")
    assert not second.says("Traceback")
