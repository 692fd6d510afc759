"""No BFD row of ours is without its router port: ovn-northd dies of one, again at each start. With a real northd."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from functional.ovn_writer.harness import GATEWAY, Bus, Writer, command
from functional.ovn_writer.test_bfd import ONE, PORT, ROUTER, ROUTER_PORT, TWO, WATCHED, apply, session
from functional.ovn_writer.test_bfd_relay import RELAY, ROWS
from functional.ovsdb import Northd, Ovsdb
from functional.servers import wait_for
from ovs.db import idl

from veg_contracts import names
from veg_contracts.events import SessionChanged
from veg_contracts.intent import NbRows
from veg_ovn_writer import apply as changes
from veg_ovn_writer import portless
from veg_ovn_writer.errors import NotNowError
from veg_ovn_writer.nb import Nb
from veg_ovn_writer.replica import Replica

MAKE = ("lrp-add", ROUTER, PORT, "00:00:00:00:00:01", "10.255.255.255/32")
OURS = f'external_ids:"{names.OWNER_KEY}"="{GATEWAY}"'
MISSING = (
    f'router port "{PORT}" does not exist: the BFD sessions with {ONE}, {TWO} are not written '
    "(ovn-northd would die of it)"
)


@pytest.fixture(autouse=True)
def router(nb: Ovsdb) -> None:
    nb.nbctl("lr-add", ROUTER)


def create(port: str, *ids: str) -> tuple[str, ...]:
    return ("create", "BFD", f'logical_port="{port}"', f'dst_ip="{ONE}"', *ids)


def gone(nb: Ovsdb) -> None:
    wait_for("rows to be gone", lambda: nb.rows("BFD") == [])


def lives(nb: Ovsdb, northd: Northd) -> None:
    """Northd works, started again once at most: it may have seen what was there before the writer did."""
    for _ in range(2):
        if not northd.process.alive:
            northd.process.start()
        number = nb.rows("NB_Global", "nb_cfg")[0]["nb_cfg"] + 1
        nb.nbctl("set", "NB_Global", ".", f"nb_cfg={number}")

        def works(number: int = number) -> bool:
            return bool(nb.rows("NB_Global", "sb_cfg")[0]["sb_cfg"] >= number)

        wait_for("northd to work or die", lambda works=works: works() or not northd.process.alive)  # type: ignore[misc]
        if works() and northd.process.alive:
            return
    raise AssertionError("northd dies again")


def test_northd_dies_of_a_row_without_its_port(nb: Ovsdb, northd: Northd) -> None:
    """What all of this is for: when an OVN no longer does so, it can go."""
    lives(nb, northd)
    nb.nbctl(*create("nonexistent"))
    wait_for("northd to die", lambda: not northd.process.alive)


@pytest.mark.usefixtures("writer")
@pytest.mark.parametrize(
    "damage",
    [
        ("lrp-del", PORT),
        ("set", "Logical_Router_Port", PORT, "name=renamed"),
        ("set", "Logical_Router_Port", PORT, "mac=garbage"),
        ("set", "Logical_Router", ROUTER, "enabled=false"),
        ("lr-del", ROUTER),
    ],
    ids=lambda words: " ".join(words[:2] + words[3:]),
)
def test_sessions_whose_port_somebody_takes_away_go_at_once_and_are_told(
    nb: Ovsdb, bus: Bus, northd: Northd, damage: tuple[str, ...]
) -> None:
    nb.nbctl(*MAKE)
    apply(bus, 1, WATCHED)
    lives(nb, northd)
    nb.nbctl(*damage)
    gone(nb)
    lives(nb, northd)
    seen = bus.wait_observed("drift")
    assert (seen.gateway, seen.before) == (GATEWAY, (WATCHED,))
    assert [rows.sessions for rows in seen.after] in ([()], [])  # nothing is left on a router that is gone
    assert {(r.bfd, r.nexthop) for rows in seen.after for r in rows.static_routes} <= {("", ONE), ("", TWO)}


def test_the_planner_and_the_bus_are_not_waited_for(nb: Ovsdb, bus: Bus, writer: Writer, northd: Northd) -> None:
    nb.nbctl(*MAKE)
    apply(bus, 1, WATCHED)
    bus.server.kill()
    nb.nbctl("lrp-del", PORT)
    gone(nb)
    lives(nb, northd)
    writer.wait_says("BFD rows removed")
    writer.kill()
    nb.nbctl(*create("nonexistent", OURS))
    writer.start()
    gone(nb)
    lives(nb, northd)


@pytest.mark.usefixtures("writer")
def test_a_session_without_a_port_is_left_out_and_comes_by_itself(nb: Ovsdb, bus: Bus, northd: Northd) -> None:
    bus.send(command(1, WATCHED))
    assert bus.wait_event(f"uid-{GATEWAY}/1/nb/failed").message == MISSING
    assert nb.rows("BFD") == []
    routes = nb.rows("Logical_Router_Static_Route")
    assert sorted((row["nexthop"], str(row["bfd"])) for row in routes) == [(ONE, "[]"), (TWO, "[]")]
    lives(nb, northd)
    nb.nbctl(*MAKE)
    bus.wait_event(f"uid-{GATEWAY}/1/nb/applied", 5.0)
    assert {row["dst_ip"] for row in nb.rows("BFD")} == {ONE, TWO}
    assert all(row["bfd"] != [] for row in nb.rows("Logical_Router_Static_Route"))
    lives(nb, northd)
    assert bus.observed("drift") == []


@pytest.mark.usefixtures("writer")
def test_what_is_left_out_is_forgotten_with_the_next_command(nb: Ovsdb, bus: Bus) -> None:
    bus.send(command(1, WATCHED))
    bus.wait_event(f"uid-{GATEWAY}/1/nb/failed")
    apply(bus, 2, msgspec.structs.replace(WATCHED, sessions=(), policies=(), static_routes=()))
    nb.nbctl(*MAKE)
    apply(bus, 3, NbRows())
    assert nb.rows("BFD") == []
    assert bus.event(f"uid-{GATEWAY}/1/nb/applied") is None


@pytest.mark.usefixtures("writer")
def test_sessions_of_gateways_go_with_a_port_that_is_not_wanted_any_more(nb: Ovsdb, bus: Bus, northd: Northd) -> None:
    apply(bus, 1, NbRows(router=ROUTER, bfd_port=ROUTER_PORT), ROUTER)
    apply(bus, 1, WATCHED)
    lives(nb, northd)
    apply(bus, 2, NbRows(), ROUTER)
    assert (nb.rows("BFD"), nb.rows("Logical_Router_Port")) == ([], [])
    lives(nb, northd)
    seen = bus.wait_observed("drift")
    assert (seen.gateway, seen.before) == (GATEWAY, (WATCHED,))
    assert northd.process.alive


@pytest.mark.usefixtures("writer")
def test_a_port_of_ours_with_a_session_of_somebody_else_stays_and_it_is_said_why(
    nb: Ovsdb, bus: Bus, northd: Northd
) -> None:
    apply(bus, 1, NbRows(router=ROUTER, bfd_port=ROUTER_PORT), ROUTER)
    nb.nbctl(*create(PORT, "external_ids:vendor=kube-ovn"))
    bus.send(command(2, NbRows(), ROUTER))
    message = bus.wait_event(f"uid-{ROUTER}/2/nb/failed").message
    for text in (f'router port "{PORT}" is not removed', ONE, "kube-ovn", "ovn-nbctl destroy BFD"):
        assert text in message
    lives(nb, northd)
    nb.nbctl(*message.partition("ovn-nbctl ")[2].split())
    bus.send(command(2, NbRows(), ROUTER, number="/again"))
    bus.wait_event(f"uid-{ROUTER}/2/nb/again/applied")
    assert nb.rows("Logical_Router_Port") == []
    lives(nb, northd)


@pytest.mark.usefixtures("writer")
@pytest.mark.parametrize("damage", [("lr-del", RELAY), ("lrp-del", RELAY)])
def test_the_row_of_a_relay_goes_with_its_port_and_comes_with_it(
    nb: Ovsdb, bus: Bus, northd: Northd, damage: tuple[str, ...]
) -> None:
    apply(bus, 1, ROWS, ROUTER)
    lives(nb, northd)
    nb.nbctl(*damage)
    gone(nb)
    lives(nb, northd)
    bus.wait_observed("drift")
    bus.send(command(1, ROWS, ROUTER, number="-again"))
    bus.wait_event(f"uid-{ROUTER}/1/nb-again/applied")
    assert [row["logical_port"] for row in nb.rows("BFD")] == [RELAY]
    apply(bus, 2, NbRows(router=ROUTER, bfd_port=ROUTER_PORT), ROUTER)
    assert nb.rows("BFD") == []
    lives(nb, northd)


def test_a_writer_that_starts_removes_what_is_ours_and_names_what_is_not(
    nb: Ovsdb, bus: Bus, make_writer: Callable[[], Writer], northd: Northd
) -> None:
    nb.nbctl(*create("nonexistent", OURS), "--", *create("theirs", "external_ids:vendor=kube-ovn"))
    writer = make_writer()
    wait_for("ours to be gone", lambda: [row["logical_port"] for row in nb.rows("BFD")] == ["theirs"])
    writer.wait_says("theirs with 192.168.0.2: the port does not exist")
    nb.nbctl("--all", "destroy", "BFD")
    lives(nb, northd)
    nb.nbctl(*create("nonexistent", OURS))
    gone(nb)
    assert all(not isinstance(event.data, SessionChanged) or event.data.dst_ip == ONE for event in bus.events())


@pytest.mark.parametrize("moment", ["the port goes", "a session of somebody else comes"])
async def test_what_happens_a_moment_before_a_transaction_refuses_it(nb: Ovsdb, moment: str) -> None:
    nb.nbctl(*MAKE, "--", "lr-add", "another")
    connection = Nb(nb.remote, 10.0)
    await connection.connect()
    await connection.serving.wait()
    own = NbRows(router=ROUTER, bfd_port=msgspec.structs.replace(ROUTER_PORT, name="bfd@vpc2"))
    try:
        await connection.transact(lambda replica, txn: changes.ensure(replica, txn, "vpc2", own))

        def behind(replica: Replica, txn: idl.Transaction) -> Any:
            # The copy cannot follow: it is kept up by the thread that this runs in.
            if moment == "the port goes":
                nb.nbctl("lrp-del", PORT)
                return changes.ensure(replica, txn, GATEWAY, NbRows(router=ROUTER, sessions=(session(ONE),)))
            nb.nbctl(*create("bfd@vpc2"))
            return changes.ensure(replica, txn, "vpc2", NbRows())

        with pytest.raises(NotNowError, match="try again"):
            await connection.transact(behind)
        assert len(nb.rows("BFD")) == (moment != "the port goes")
        assert (await connection.transact(portless.remove))[0].removed == ()
    finally:
        await connection.close()
