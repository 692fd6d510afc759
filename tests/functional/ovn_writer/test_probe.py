"""Chassis are asked whether they live in a cluster where nothing changes: both databases, and a real northd."""

import time
from collections.abc import Callable
from typing import TypeAlias

import pytest
from functional.ovn_writer.harness import Bus, Writer, command
from functional.ovn_writer.test_chassis import BOUND_S, Node, told
from functional.ovsdb import Northd, Ovsdb
from functional.servers import wait_for

from veg_contracts.events import ChassisObserved
from veg_contracts.intent import BfdRouterPort, NbRows
from veg_contracts.names import bfd_port_mac

VPC = "vpc1"
PROBE_S = 1.0
PORT = NbRows(
    router=VPC,
    bfd_port=BfdRouterPort(
        name=f"bfd@{VPC}", mac=bfd_port_mac(VPC), networks=("10.255.255.255",), chassis=("one", "two")
    ),
)
PEER_ONLY = NbRows(bfd_port=BfdRouterPort(name=f"bfd@{VPC}", mac="", networks=(), chassis=(), peer_only=True))
MakeWriter: TypeAlias = Callable[[float], Writer]


@pytest.fixture(autouse=True)
def router(nb: Ovsdb, bus: Bus) -> None:
    """That of a Vpc; and the streams, which a writer needs at its start."""
    assert bus.events() == []
    nb.nbctl("lr-add", VPC)


@pytest.fixture
def both(northd: Northd) -> tuple[Node, Node]:
    return Node(northd.sb, "one", 2), Node(northd.sb, "two", 3)


@pytest.fixture
def make_asking(make_writer: Callable[..., Writer], northd: Northd, both: tuple[Node, Node]) -> MakeWriter:
    """Writers that ask this often, where there are two chassis."""
    assert len(both) == 2

    def make(probe_s: float) -> Writer:
        return make_writer(
            VEG_SB_REMOTE=northd.sb.remote, VEG_CHASSIS_SILENT_AFTER_S=str(BOUND_S), VEG_CHASSIS_PROBE_S=str(probe_s)
        )

    return make


def apply(bus: Bus, generation: int, rows: NbRows) -> None:
    bus.send(command(generation, rows, VPC))
    bus.wait_event(f"uid-{VPC}/{generation}/nb/applied")


def counted(nb: Ovsdb) -> int:
    return int(nb.rows("NB_Global", "nb_cfg")[0]["nb_cfg"])


def counts_in(nb: Ovsdb, seconds: float) -> int:
    before = counted(nb)
    time.sleep(seconds)
    return counted(nb) - before


@pytest.mark.timed
def test_a_dead_chassis_is_noticed_though_nothing_changes(
    nb: Ovsdb, bus: Bus, make_asking: MakeWriter, both: tuple[Node, Node]
) -> None:
    one, two = both
    make_asking(PROBE_S)
    apply(bus, 1, PORT)
    deadline = time.monotonic() + BOUND_S + 2 * PROBE_S
    while time.monotonic() < deadline:
        for node in both:
            node.report(counted(nb))
        time.sleep(0.1)
    assert told(bus) == [], "who answers is not silent"
    others = [event.id for event in bus.events() if not isinstance(event.data, ChassisObserved)]
    died = time.monotonic()
    while not told(bus) and time.monotonic() < died + 20:
        one.report(counted(nb))
        time.sleep(0.1)
    took_s = time.monotonic() - died
    assert [name for name, _, _ in told(bus)[0]] == ["two"]
    assert BOUND_S - 0.5 < took_s < BOUND_S + PROBE_S + 1.5
    two.report(counted(nb))
    wait_for("two to be back", lambda: [chassis.name for chassis in bus.chassis_observed()[-1].back] == ["two"])
    assert bus.observed("drift") == [], "it changes no row"
    now = [event.id for event in bus.events() if not isinstance(event.data, ChassisObserved)]
    assert now == others, "and is no event of its own"


@pytest.mark.timed
def test_they_are_asked_only_while_a_bfd_port_of_ours_is_there(nb: Ovsdb, bus: Bus, make_asking: MakeWriter) -> None:
    make_asking(PROBE_S)
    bus.wait_listed()
    assert counts_in(nb, 3 * PROBE_S) == 0
    apply(bus, 1, PORT)
    assert counts_in(nb, 4 * PROBE_S) in (3, 4)
    apply(bus, 2, PEER_ONLY)
    assert counts_in(nb, 3 * PROBE_S) == 0, "what is Kube-OVN's has no group of ours"
    apply(bus, 3, NbRows())
    assert counts_in(nb, 3 * PROBE_S) == 0


@pytest.mark.timed
def test_one_writer_asks_and_another_one_goes_on(nb: Ovsdb, bus: Bus, make_asking: MakeWriter) -> None:
    first = make_asking(PROBE_S)
    apply(bus, 1, PORT)
    second = make_asking(PROBE_S)
    wait_for("it to stand by", lambda: second.says("standing by"))
    assert counts_in(nb, 4 * PROBE_S) in (3, 4), "the one that stands by does not count, too"
    first.kill()
    wait_for("it to ask", lambda: counts_in(nb, 1.5 * PROBE_S) > 0)


@pytest.mark.timed
def test_they_are_not_asked_where_that_is_off_or_nobody_would_see_the_answer(
    nb: Ovsdb, northd: Northd, bus: Bus, make_asking: MakeWriter
) -> None:
    writer = make_asking(0)
    apply(bus, 1, PORT)
    assert counts_in(nb, 3 * PROBE_S) == 0
    writer.kill()
    asking = make_asking(PROBE_S)
    wait_for("it to ask", lambda: counts_in(nb, 1.5 * PROBE_S) > 0)
    northd.sb.kill()
    wait_for("chassis to be lost", lambda: asking.says("chassis cannot be followed"))
    assert counts_in(nb, 3 * PROBE_S) <= 1
    assert asking.alive
