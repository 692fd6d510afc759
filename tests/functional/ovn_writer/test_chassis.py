"""Rows count as programmed when every chassis that lives has the flows (CASES T16): both databases, and a real northd.

The test plays the chassis: it writes their rows as ovn-controller does.
"""

import time
from collections.abc import Callable
from typing import TypeAlias

import pytest
from functional.ovn_writer.harness import DOCUMENT, GATEWAY, SCALED, Bus, Writer, command, rows
from functional.ovsdb import Northd, Ovsdb, run
from functional.servers import wait_for

from veg_contracts.events import ChassisObserved, RowsProgrammed, SessionProgrammed
from veg_contracts.intent import BfdSession, NbRows

BOUND_S = 2.0
MakeWriter: TypeAlias = Callable[[], Writer]


class Node:
    """A chassis, and how far its ovn-controller says that it is."""

    def __init__(self, sb: Ovsdb, name: str, number: int) -> None:
        self.name, self._sb = name, sb
        sb.sbctl("chassis-add", name, "geneve", f"172.18.0.{number}")
        sb.sbctl("set", "Chassis", name, f"hostname=host-{name}")
        sb.sbctl("create", "Chassis_Private", f"name={name}", f"chassis={self._uuid()}", "nb_cfg=0")

    def report(self, nb_cfg: int) -> None:
        self._sb.sbctl("set", "Chassis_Private", self.name, f"nb_cfg={nb_cfg}")

    def go(self) -> None:
        """As Kube-OVN removes a node: what is private stays."""
        self._sb.sbctl("chassis-del", self.name)

    def _uuid(self) -> str:
        return self._sb.sbctl("--bare", "--columns=_uuid", "find", "Chassis", f"name={self.name}")


@pytest.fixture
def sb(northd: Northd) -> Ovsdb:
    return northd.sb


@pytest.fixture
def one(sb: Ovsdb) -> Node:
    return Node(sb, "one", 2)


@pytest.fixture
def two(sb: Ovsdb) -> Node:
    return Node(sb, "two", 3)


@pytest.fixture
def make_following(make_writer: Callable[..., Writer], sb: Ovsdb, bus: Bus, one: Node) -> MakeWriter:
    """Writers that follow both databases, in which there is a chassis."""
    assert one.name
    made: list[Writer] = []

    def make() -> Writer:
        made.append(make_writer(VEG_SB_REMOTE=sb.remote, VEG_CHASSIS_SILENT_AFTER_S=str(BOUND_S)))
        bus.wait_listed(len(made))
        return made[-1]

    return make


@pytest.fixture
def writer(make_following: MakeWriter, two: Node) -> Writer:
    """One that has seen two of them."""
    assert two.name
    return make_following()


def programmed(bus: Bus) -> list[int]:
    return [event.data.generation for event in bus.events() if isinstance(event.data, RowsProgrammed)]


def silent(event: ChassisObserved) -> list[tuple[str, str, int]]:
    return [(chassis.name, chassis.hostname, chassis.lacks) for chassis in event.silent]


def told(bus: Bus) -> list[list[tuple[str, str, int]]]:
    """What was told, without what a writer says after its start if nobody is silent yet."""
    return [silent(event) for event in bus.chassis_observed() if event != ChassisObserved()]


def test_it_is_told_when_every_chassis_that_lives_has_it(bus: Bus, writer: Writer, one: Node, two: Node) -> None:
    bus.send(command(1, DOCUMENT))
    bus.wait_event(f"uid-{GATEWAY}/1/nb/applied")
    one.report(1)
    time.sleep(BOUND_S / 2)
    assert programmed(bus) == []
    two.report(1)
    assert bus.wait_event(f"uid-{GATEWAY}/1/nb/programmed").nb_cfg == 1
    assert bus.wait_chassis_observed() == ChassisObserved()
    assert writer.alive


def test_t16_a_dead_chassis_is_named_and_holds_nobody_longer_than_the_bound(
    bus: Bus, writer: Writer, one: Node, two: Node
) -> None:
    bus.send(command(1, DOCUMENT))
    bus.wait_event(f"uid-{GATEWAY}/1/nb/applied")
    applied = time.monotonic()
    one.report(1)
    bus.wait_event(f"uid-{GATEWAY}/1/nb/programmed")
    assert time.monotonic() - applied > BOUND_S - 1
    assert told(bus) == [[("two", "host-two", 1)]]
    kinds = [type(envelope.data) for envelope in bus.events()]
    assert kinds.index(ChassisObserved) < kinds.index(RowsProgrammed), "who is left out is in the log before"

    bus.send(command(2, SCALED))
    bus.wait_event(f"uid-{GATEWAY}/2/nb/applied")
    one.report(2)
    asked = time.monotonic()
    bus.wait_event(f"uid-{GATEWAY}/2/nb/programmed")
    assert time.monotonic() - asked < BOUND_S - 0.5, "it is left out at once"
    assert metric(writer, "veg_ovn_writer_chassis_silent") == 1

    two.report(1)
    time.sleep(0.3)
    assert len(told(bus)) == 1, "it is not yet where the others are"
    two.report(2)
    wait_for("two to be back", lambda: len(told(bus)) == 2)
    back = bus.chassis_observed()[-1]
    assert (silent(back), [chassis.name for chassis in back.back]) == ([], ["two"])
    bus.send(command(3, DOCUMENT))
    bus.wait_event(f"uid-{GATEWAY}/3/nb/applied")
    one.report(3)
    time.sleep(BOUND_S / 2)
    assert programmed(bus) == [1, 2], "it is waited for again"
    two.report(3)
    bus.wait_event(f"uid-{GATEWAY}/3/nb/programmed")
    assert writer.alive


def test_t16_a_chassis_that_is_removed_is_forgotten_also_with_its_private_row_left(
    bus: Bus, writer: Writer, one: Node, two: Node
) -> None:
    bus.send(command(1, DOCUMENT))
    bus.wait_event(f"uid-{GATEWAY}/1/nb/applied")
    one.report(1)
    wait_for("two to be silent", lambda: any(event.silent for event in bus.chassis_observed()))
    two.go()
    wait_for("two to be forgotten", lambda: bus.chassis_observed()[-1] == ChassisObserved())
    assert programmed(bus) == [1]
    assert writer.alive


def test_t16_a_new_writer_waits_once_more_and_tells_only_then(
    bus: Bus, make_following: MakeWriter, one: Node, two: Node
) -> None:
    first = make_following()
    bus.send(command(1, DOCUMENT))
    bus.wait_event(f"uid-{GATEWAY}/1/nb/applied")
    one.report(1)
    bus.wait_event(f"uid-{GATEWAY}/1/nb/programmed")
    first.kill()
    bus.send(command(2, SCALED))
    second = make_following()
    bus.wait_event(f"uid-{GATEWAY}/2/nb/applied")
    applied = time.monotonic()
    one.report(2)
    bus.wait_event(f"uid-{GATEWAY}/2/nb/programmed")
    assert time.monotonic() - applied > BOUND_S - 1
    assert [[name for name, _, _ in chassis] for chassis in told(bus)] == [[two.name], [two.name]]
    assert second.alive


def test_t16_without_the_southbound_database_hv_cfg_counts_and_with_it_again_the_chassis(
    bus: Bus, writer: Writer, nb: Ovsdb, northd: Northd, one: Node, two: Node
) -> None:
    bus.send(command(1, DOCUMENT))
    bus.wait_event(f"uid-{GATEWAY}/1/nb/applied")
    one.report(1)
    bus.wait_event(f"uid-{GATEWAY}/1/nb/programmed")
    northd.kill()
    writer.wait_says("chassis cannot be followed")
    wait_for("the metric", lambda: metric(writer, "veg_ovn_writer_southbound_followed") == 0)
    bus.send(command(2, SCALED))
    bus.wait_event(f"uid-{GATEWAY}/2/nb/applied")
    time.sleep(BOUND_S + 0.5)
    assert programmed(bus) == [1]
    nb.nbctl("set", "NB_Global", ".", "hv_cfg=2")
    bus.wait_event(f"uid-{GATEWAY}/2/nb/programmed")
    northd.start()
    wait_for("the metric", lambda: metric(writer, "veg_ovn_writer_southbound_followed") == 1)
    bus.send(command(3, DOCUMENT))
    bus.wait_event(f"uid-{GATEWAY}/3/nb/applied")
    one.report(3)
    bus.wait_event(f"uid-{GATEWAY}/3/nb/programmed")
    assert told(bus) == [[(two.name, "host-two", 1)]]
    assert writer.alive


def test_t16_if_not_one_lives_only_hv_cfg_confirms(bus: Bus, writer: Writer, one: Node, two: Node) -> None:
    bus.send(command(1, DOCUMENT))
    bus.wait_event(f"uid-{GATEWAY}/1/nb/applied")
    wait_for("both to be silent", lambda: any(len(event.silent) == 2 for event in bus.chassis_observed()))
    time.sleep(0.5)
    assert programmed(bus) == []
    one.report(1)
    bus.wait_event(f"uid-{GATEWAY}/1/nb/programmed")
    assert [name for name, _, _ in silent(bus.chassis_observed()[-1])] == [two.name]
    assert writer.alive


def test_t16_flows_of_a_lost_session_are_told_without_the_dead_chassis(
    bus: Bus, writer: Writer, nb: Ovsdb, northd: Northd, one: Node, two: Node
) -> None:
    nb.nbctl("lrp-add", DOCUMENT.router, "bfd@vpc", "02:00:00:00:00:01", "10.255.255.255/32")
    watched = BfdSession(
        family="4", logical_port="bfd@vpc", dst_ip="10.16.0.12", min_tx=1000, min_rx=1000, detect_mult=3
    )
    bus.send(command(1, NbRows(router=DOCUMENT.router, policies=DOCUMENT.policies, sessions=(watched,))))
    bus.wait_event(f"uid-{GATEWAY}/1/nb/applied")
    one.report(1)
    bus.wait_event(f"uid-{GATEWAY}/1/nb/programmed")
    northd.process.kill()  # it would write what the sessions in its own database come to; the test plays it from here
    (session,) = [row["_uuid"] for row in nb.rows("BFD")]
    for status in ("up", "down"):
        nb.nbctl("set", "BFD", session, f"status={status}")
    wait_for("nb_cfg to be counted up", lambda: nb.rows("NB_Global", "nb_cfg")[0]["nb_cfg"] == 2)
    nb.nbctl("set", "NB_Global", ".", "sb_cfg=2")
    one.report(2)
    wait_for("flows told", lambda: any(isinstance(event.data, SessionProgrammed) for event in bus.events()))
    assert two.name in {chassis.name for chassis in bus.chassis_observed()[-1].silent}
    assert writer.alive


def test_t16_names_of_strangers_do_no_harm_and_remote_chassis_are_not_waited_for(
    bus: Bus, writer: Writer, sb: Ovsdb, one: Node, two: Node
) -> None:
    strange = 'x"\u202e\n' + "y" * 5000
    far = Node(sb, "far", 4)
    sb.sbctl("set", "Chassis", far.name, "other_config:is-remote=true")
    words = [f'{{"op": "insert", "table": "Chassis_Private", "row": {{"name": {quoted(strange)}}}}}']
    encap = '{"op": "insert", "table": "Encap", "uuid-name": "e", "row": {"type": "geneve", "ip": "1.1.1.1"}}'
    row = f'{{"name": {quoted(strange)}, "encaps": ["named-uuid", "e"]}}'
    words += [encap, f'{{"op": "insert", "table": "Chassis", "row": {row}}}']
    run("ovsdb-client", "transact", sb.remote, f'["OVN_Southbound", {", ".join(words)}]')
    bus.send(command(1, rows(*DOCUMENT.policies)))
    bus.wait_event(f"uid-{GATEWAY}/1/nb/applied")
    for node in (one, two):
        node.report(1)
    bus.wait_event(f"uid-{GATEWAY}/1/nb/programmed")
    wait_for("it to be told", lambda: bool(told(bus)))
    ((name, hostname, lacks),) = told(bus)[0]
    assert (name[:6], len(name) < 200, hostname, lacks) == ('x"??yy', True, "", 1)
    assert writer.alive


def quoted(text: str) -> str:
    return '"' + text.replace('"', '\\"').replace("\n", "\\n") + '"'


def metric(writer: Writer, name: str) -> float:
    lines = writer.get("/metrics")[1].splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))
