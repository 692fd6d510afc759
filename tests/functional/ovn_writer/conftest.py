"""A Northbound database with a router and rows of others, a bus with its streams, and writers."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from functional.ovn_writer.harness import ROUTER, Bus, Writer
from functional.ovsdb import Northd, Ovsdb
from functional.servers import Nats


@pytest.fixture
def nb(tmp_path: Path) -> Iterator[Ovsdb]:
    """As Kube-OVN leaves it: the router of the default VPC with policies of its own."""
    server = Ovsdb(tmp_path)
    server.start()
    server.nbctl("init")
    server.nbctl("lr-add", ROUTER)
    server.nbctl("lr-policy-add", ROUTER, "31000", "ip4.dst == 10.16.0.0/16", "allow")
    server.nbctl("lr-policy-add", ROUTER, "29000", "ip4.src == 10.16.0.0/16", "reroute", "100.64.0.2")
    yield server
    server.kill()


@pytest.fixture
def northd(tmp_path: Path, nb: Ovsdb) -> Iterator[Northd]:
    daemon = Northd(tmp_path, nb)
    daemon.start()
    yield daemon
    daemon.kill()


@pytest.fixture
def bus(nats_server: Nats) -> Bus:
    return Bus(nats_server)


@pytest.fixture
def make_writer(nats_server: Nats, nb: Ovsdb, tmp_path: Path) -> Iterator[Callable[..., Writer]]:
    """Starts a writer of this database, with these settings beside."""
    made: list[Writer] = []

    def make(**settings: str) -> Writer:
        writer = Writer(nats_server, nb, tmp_path / f"writer-{len(made)}.log", **settings)
        made.append(writer)
        writer.start()
        return writer

    yield make
    for writer in made:
        writer.kill()


@pytest.fixture
def writer(make_writer: Callable[[], Writer], bus: Bus) -> Writer:
    """One writer that has seen the database."""
    started = make_writer()
    bus.wait_listed()
    return started
