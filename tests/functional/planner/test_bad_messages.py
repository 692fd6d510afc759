"""Garbage, messages too large, values the database refuses: named, kept for a look, and nobody else is held up."""

import secrets
import socket

import pytest
from functional.planner.harness import (
    Client,
    Planner,
    assert_replays,
    edits,
    on_the_bus,
    wait_logged,
    wait_relayed,
)
from functional.servers import Database, Nats, wait_for
from support.simulation import Simulation

from veg_contracts.envelope import Envelope, type_name
from veg_contracts.events import RowsObserved
from veg_contracts.intent import NbRows
from veg_runtime import clock


def observed(identity: str, gateway: str) -> Envelope:
    data = RowsObserved(gateway=gateway, reason="drift", after=(NbRows(router="r"),))
    subject = "veg.evt.ovn.test"
    return Envelope(
        id=identity, source="veg/ovn-writer", type=type_name(data), subject=subject, time=clock.now(), data=data
    )


def rejected(database: Database) -> list[str]:
    return database.sql("select reason from rejected order by id").splitlines()


def goes_on(nats_server: Nats, database: Database) -> None:
    """The planner still decides."""
    events = edits(6)
    Client(nats_server).publish(events)
    wait_logged(database, events)
    wait_relayed(database)
    assert_replays(database)


GOOD = {
    "ce-specversion": "1.0",
    "ce-id": "ovn/x",
    "ce-source": "x",
    "ce-type": "veg.ovn.rows-listed.v1",
    "ce-time": "2026-01-01T00:00:00Z",
}


@pytest.mark.parametrize(
    ("headers", "body", "said"),
    [
        ({}, b"", "attribute ce-specversion"),
        ({}, b"\xff\xfe\x00", "attribute ce-specversion"),
        ({**GOOD, "ce-type": "veg.nothing.v1"}, b"{}", "may not appear on subject"),
        ({**GOOD, "ce-type": "veg.ovn.ensure-nb.v1"}, b"{}", "may not appear on subject"),
        (GOOD, b"not json", "data of veg.ovn.rows-listed.v1"),
        (GOOD, b'{"gateways": 5}', "$.gateways"),
        (GOOD, b"[" * 100_000, "data"),
        (GOOD, b'{"x":' * 500 + b"1" + b"}" * 500, "nested deeper than 64 levels"),
        ({**GOOD, "ce-time": "yesterday"}, b"{}", "attribute ce-time: 'yesterday'"),
        ({**GOOD, "ce-time": "2026-01-01T00:00:00"}, b"{}", "has no time zone"),
        ({**GOOD, "ce-time": "0001-01-01T00:00:00+14:00"}, b"{}", "attribute ce-time"),
        ({**GOOD, "ce-id": "i" * 3000}, b"{}", "attribute id: 3000 characters"),
        ({**GOOD, "ce-correlationid": "c" * 3000}, b"{}", "attribute correlation_id: 3000 characters"),
    ],
)
def test_garbage_is_rejected_by_name(
    planner: Planner, nats_server: Nats, database: Database, headers: dict[str, str], body: bytes, said: str
) -> None:
    Client(nats_server).publish_raw("veg.evt.ovn.test", body, headers)
    wait_for("the rejection", lambda: len(rejected(database)) == 1)
    assert said in rejected(database)[0]
    assert planner.alive
    assert database.sql("select subject, size from rejected") == f"veg.evt.ovn.test|{len(body)}"


def test_garbage_between_good_events(planner: Planner, nats_server: Nats, database: Database) -> None:
    client = Client(nats_server)
    for number in range(20):
        client.publish_raw(f"veg.evt.k8s.pod.default.p{number}", secrets.token_bytes(100))
    goes_on(nats_server, database)
    assert len(rejected(database)) == 20
    assert "veg_planner_rejected_total 20.0" in planner.metrics()


def test_a_subject_and_headers_that_are_no_text(planner: Planner, nats_server: Nats, database: Database) -> None:
    login = f'CONNECT {{"verbose":false,"headers":true,"user":"admin","pass":"{Nats.PASSWORD}"}}\r\n'.encode()
    head = b"NATS/1.0\r\n\xff\xfe: \xff\r\nno colon\r\n\r\n"
    with socket.create_connection(("127.0.0.1", nats_server.port)) as connection:
        connection.sendall(login + b"PUB veg.evt.ovn.\xff\xfe 2\r\nhi\r\n")
        connection.sendall(b"HPUB veg.evt.ovn.x %d %d\r\n%shi\r\n" % (len(head), len(head) + 2, head) + b"PING\r\n")
        connection.recv(4096)
        goes_on(nats_server, database)
    assert len(rejected(database)) == 2
    assert planner.alive


def test_a_value_that_the_database_refuses_costs_that_event_only(
    planner: Planner, nats_server: Nats, database: Database
) -> None:
    # Too long for an index: it is logged, and never decided on.
    name = f"default/{secrets.token_hex(4000)}"
    client = Client(nats_server)
    good = edits(4)
    client.publish([*good[:3], observed("ovn/too-long", name), *good[3:]])
    goes_on(nats_server, database)
    assert planner.alive
    assert database.sql("select decided from event where id = 'ovn/too-long'") == "f"
    assert database.sql("select count(*) from event where not decided") == "1"
    assert "index row" in "".join(rejected(database))


def test_nul_and_numbers_are_decided_on_as_the_log_holds_them(
    planner: Planner, nats_server: Nats, database: Database
) -> None:
    simulation = Simulation()
    simulation.prepare()
    simulation.create(vpc="a\0b\\u0000", replicas=1e0, tolerations=[{"x": 1e22, "y": -0.0, "z": 10**30, "\0": "\0"}])
    events = on_the_bus(simulation.log)
    Client(nats_server).publish(events)
    wait_logged(database, events)
    wait_relayed(database)
    assert planner.alive
    assert_replays(database)
    vpc = database.sql("select data -> 'object' -> 'spec' ->> 'vpc' from event where gateway is not null")
    assert vpc == "a\ufffdb\\u0000"


def test_a_command_too_large_for_the_bus_is_failed_and_holds_up_no_other(
    planner: Planner, nats_server: Nats, database: Database
) -> None:
    simulation = Simulation()
    simulation.prepare()
    blocks = [f"100.100.{third}.{fourth}" for third in range(100, 200) for fourth in range(100, 190)]
    several = [{"snat": True, "ipBlocks": blocks[first : first + 1000]} for first in range(0, len(blocks), 1000)]
    simulation.create(name="large", policies=several)
    simulation.create(name="small")
    events = on_the_bus(simulation.log)
    Client(nats_server).publish(events)
    wait_logged(database, events)
    wait_for("the failure in the log", lambda: database.sql(FAILED) != "")
    wait_relayed(database)
    assert planner.alive
    assert "at most 900000 are allowed" in database.sql(FAILED)
    assert database.sql("select gateway from command where note <> ''") == "default/large"
    assert database.sql("select count(*) > 0 from command where gateway = 'default/small' and note = ''") == "t"
    assert_replays(database)


FAILED = "select data ->> 'message' from event where type = 'veg.writer.command-failed.v1'"
