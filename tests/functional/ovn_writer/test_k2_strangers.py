"""Rows that are not ours by our own key are never touched, whatever they are called (CASES K2)."""

from collections.abc import Callable
from random import Random
from typing import Any

import msgspec
import pytest
from functional.ovn_writer.harness import GATEWAY, GROUP, Bus, Writer, command, members, policy, route, told_to
from functional.ovn_writer.strangers import Strangers, commit, everything
from functional.ovsdb import Ovsdb
from functional.servers import wait_for

from veg_contracts import names
from veg_contracts.events import CommandApplied, CommandFailed
from veg_contracts.intent import BfdRouterPort, BfdSession, NbRows, RoutePolicy

_SEED = 20250917
_STRANGERS, _STEPS = 200, 60
OURS = (GATEWAY, "default/gateway2", "kube-system/gateway1")
THEIRS = ("default/kgw", "kube-system/kgw", "default/gateway3")
PORT = "bfd@vpc1"
PEER = "192.168.0.2"
ROUTER_PORT = BfdRouterPort(name=PORT, mac=names.bfd_port_mac("vpc1"), networks=("10.255.255.255",), chassis=("a", "b"))
SESSION = BfdSession(family="4", logical_port=PORT, dst_ip=PEER, min_rx=1000, min_tx=1000, detect_mult=3)
GIVEN = names.OWNER_KEY


@pytest.fixture(autouse=True)
def router(nb: Ovsdb) -> None:
    nb.nbctl("lr-add", "vpc1")


class Storm:
    """Commands as a planner in trouble gives them, damage to our rows, and writers that are killed."""

    def __init__(self, nb: Ovsdb, bus: Bus, start: Callable[[], Writer]) -> None:
        self._random = Random(_SEED)
        self._nb, self._bus, self._start = nb, bus, start
        self._writer = start()
        self._generation = 0
        self.outcomes: list[CommandApplied | CommandFailed] = []

    def blow(self, steps: int) -> None:
        for _ in range(steps):
            kind = self._random.choice((self._edit, self._edit, self._edit, self._damage, self._prune, self._vpc))
            kind()
            if self._random.random() < 0.1:  # every tenth time
                self._writer.kill()
                self._writer = self._start()
        for gateway in (*OURS, *THEIRS, "vpc1"):
            self._send(NbRows(), gateway)

    def _edit(self) -> None:
        wanted = self._rows(self._random.choice(OURS))
        self._send(wanted, self._random.choice(OURS))

    def _damage(self) -> None:
        """Somebody takes a row of ours away, or changes it; the planner sends the whole again."""
        gateway = self._random.choice(OURS)
        wanted = self._rows(gateway)
        self._send(wanted, gateway)
        table = self._random.choice(("Logical_Router_Policy", "Logical_Router_Static_Route", "BFD", "Port_Group"))
        ours = [row["_uuid"] for row in self._nb.rows(table) if row["external_ids"].get(GIVEN) == gateway]
        for uuid in self._random.sample(ours, min(len(ours), 2)):
            how = self._random.choice((("set", "external_ids:af=9"), ("remove", "external_ids", "af")))
            self._nb.nbctl(how[0], table, uuid, *how[1:])
        self._send(wanted, gateway)

    def _prune(self) -> None:
        """Of a gateway that we know nothing of, as the planner does with orphans."""
        self._send(NbRows(), self._random.choice((*OURS, *THEIRS)))

    def _vpc(self) -> None:
        chassis = tuple(self._random.sample(("a", "b", "c", "d"), self._random.randint(0, 3)))
        port = msgspec.structs.replace(ROUTER_PORT, chassis=chassis)
        self._send(self._random.choice((NbRows(), NbRows(router="vpc1", bfd_port=port))), "vpc1")

    def _rows(self, gateway: str) -> NbRows:
        pods = self._random.sample(("192.168.0.2", "192.168.0.3", "192.168.0.4"), self._random.randint(1, 3))
        group = names.port_group(gateway)
        selected = RoutePolicy(
            family="4", priority=29160, match=f"ip4.src == ${group}_ip4", action="reroute", nexthops=tuple(pods)
        )
        return NbRows(
            router=self._random.choice(("vpc1", "ovn-cluster")),
            policies=(policy("10.16.0.0/16", *pods), policy("192.168.0.0/24", *pods), selected),
            static_routes=tuple(route("192.168.0.0/24", pod) for pod in pods if gateway == GATEWAY),
            port_groups=(group,),
            sessions=tuple(msgspec.structs.replace(SESSION, dst_ip=pod) for pod in pods if gateway == GATEWAY),
        )

    def _send(self, wanted: NbRows, gateway: str) -> None:
        self._generation += 1
        outcome = f"uid-{gateway}/{self._generation}/nb"
        self._bus.send(command(self._generation, wanted, gateway))
        wait_for(outcome, lambda: any(self._bus.event(f"{outcome}/{word}") for word in ("applied", "failed")))
        event = self._bus.event(f"{outcome}/applied") or self._bus.event(f"{outcome}/failed")
        assert event is not None
        self.outcomes.append(event.data)


@pytest.mark.slow
def test_k2_200_foreign_rows_survive_a_storm(nb: Ovsdb, bus: Bus, make_writer: Callable[[], Writer]) -> None:
    before = everything(nb)
    made = Strangers(Random(_SEED), (*OURS, *THEIRS), ("ovn-cluster", "vpc1")).operations(_STRANGERS)
    commit(nb, made)
    theirs = everything(nb)
    assert len(theirs) - len(before) >= _STRANGERS
    storm = Storm(nb, bus, make_writer)
    storm.blow(_STEPS)
    assert everything(nb) == theirs, f"seed {_SEED}"
    failed = [outcome for outcome in storm.outcomes if isinstance(outcome, CommandFailed)]
    # Two gateways of ours may want one session: the second is told so. While there is no BFD port there is no session.
    expected = ("by our own key", f'router port "{PORT}" does not exist')
    assert all(any(text in outcome.message for text in expected) for outcome in failed), failed
    applied = [outcome.detail for outcome in storm.outcomes if isinstance(outcome, CommandApplied)]
    assert len(applied) > len(failed)
    assert sum(int(detail["removed"]) for detail in applied) > _STEPS
    told = {gateway for listed in bus.listed() for gateway in listed.gateways}
    assert told <= {*OURS, "vpc1"}


def _send(bus: Bus, wanted: NbRows, gateway: str, number: str) -> None:
    bus.send(command(1, wanted, gateway, number))


class Conflict(msgspec.Struct):
    """A row of somebody else in the place of one that we need: what makes it, and what we want there."""

    table: str
    make: tuple[str, ...]
    wanted: NbRows
    gateway: str
    says: tuple[str, ...]


_KUBE = ("vendor=kube-ovn", f"vpc-egress-gateway={GATEWAY}")
_IDS = [f"external_ids:{pair}" for pair in _KUBE]
CONFLICTS = {
    "Port_Group": Conflict(
        "Port_Group",
        ("create", "Port_Group", f"name={GROUP}", *_IDS),
        NbRows(router="vpc1", port_groups=(GROUP,)),
        GATEWAY,
        (GROUP, f"vpc-egress-gateway={GATEWAY}", "of somebody else"),
    ),
    "BFD": Conflict(
        "BFD",
        (
            *("lrp-add", "vpc1", PORT, "00:00:00:00:00:01", "10.255.255.255/32"),
            *("--", "create", "BFD", f"logical_port={PORT}", f'dst_ip="{PEER}"', *_IDS),
        ),
        NbRows(router="vpc1", sessions=(SESSION,)),
        GATEWAY,
        (PORT, PEER, f"vpc-egress-gateway={GATEWAY}"),
    ),
    "HA_Chassis_Group": Conflict(
        "HA_Chassis_Group",
        (
            *("ha-chassis-group-add", PORT, "--", "ha-chassis-group-add-chassis", PORT, "a", "1"),
            *("--", "set", "HA_Chassis_Group", PORT, "external_ids:vendor=kube-ovn", f"external_ids:lrp={PORT}"),
        ),
        NbRows(router="vpc1", bfd_port=ROUTER_PORT),
        "vpc1",
        (PORT, "does not belong to vpc1; it appears to belong to kube-ovn", f"lrp={PORT}"),
    ),
    "Logical_Switch_Port": Conflict(
        "Logical_Switch_Port",
        ("ls-add", "theirs", "--", "lsp-add", "theirs", f"{PORT}.peer"),
        NbRows(router="vpc1", bfd_port=ROUTER_PORT),
        "vpc1",
        (f"{PORT}.peer", "appears to belong to an unknown owner"),
    ),
    "Logical_Router_Port": Conflict(
        "Logical_Router_Port",
        ("lrp-add", "vpc1", PORT, ROUTER_PORT.mac, "10.9.9.9/24"),
        NbRows(router="vpc1", bfd_port=ROUTER_PORT),
        "vpc1",
        (PORT, "appears to belong to an unknown owner"),
    ),
}


@pytest.mark.parametrize("conflict", CONFLICTS.values(), ids=CONFLICTS)
def test_k2_a_name_that_a_stranger_has_is_told_and_taken_over_by_a_command(
    nb: Ovsdb, bus: Bus, writer: Writer, conflict: Conflict
) -> None:
    nb.nbctl(*conflict.make)
    before = nb.dump()
    _send(bus, conflict.wanted, conflict.gateway, "")
    message = bus.wait_event(f"uid-{conflict.gateway}/1/nb/failed").message
    assert nb.dump() == before
    for text in (conflict.table, conflict.gateway, *conflict.says):
        assert text in message
    nb.nbctl(*told_to(message))
    if conflict.table != "Logical_Switch_Port":  # of those no copy of all is kept: the planner tries again in time
        assert bus.wait_observed("drift").gateway == conflict.gateway
    _send(bus, conflict.wanted, conflict.gateway, "/given")
    bus.wait_event(f"uid-{conflict.gateway}/1/nb/given/applied")
    assert _rows_of(nb, conflict) == _made_by_us(nb, bus, conflict)
    assert writer.alive


def _made_by_us(nb: Ovsdb, bus: Bus, conflict: Conflict) -> list[Any]:
    """The same rows without a stranger before."""
    bus.send(command(2, NbRows(), conflict.gateway))
    bus.wait_event(f"uid-{conflict.gateway}/2/nb/applied")
    assert _rows_of(nb, conflict) == []
    bus.send(command(3, conflict.wanted, conflict.gateway))
    bus.wait_event(f"uid-{conflict.gateway}/3/nb/applied")
    return _rows_of(nb, conflict)


def _rows_of(nb: Ovsdb, conflict: Conflict) -> list[Any]:
    """Our rows of the tables that are concerned, without what differs each time."""
    bfd_port = ("Logical_Router_Port", "HA_Chassis_Group", "HA_Chassis", "Logical_Switch", "Logical_Switch_Port")
    tables = bfd_port if conflict.wanted.bfd_port is not None else (conflict.table,)
    volatile = {"_uuid", "_version", "ha_chassis_group", "ha_chassis", "ports", "status"}
    rows = (row for table in tables for row in nb.rows(table) if row["external_ids"].get(GIVEN) == conflict.gateway)
    shown = [{name: value for name, value in row.items() if name not in volatile} for row in rows]
    return sorted(shown, key=str)


def test_k2_members_do_not_go_into_a_group_of_a_stranger(nb: Ovsdb, bus: Bus, writer: Writer) -> None:
    nb.nbctl("create", "Port_Group", f"name={GROUP}", "external_ids:vendor=kube-ovn")
    nb.nbctl("ls-add", "subnet1", "--", "lsp-add", "subnet1", "pod1.default")
    before = nb.dump()
    bus.send(members(1, "pod1.default"))
    assert GROUP in bus.wait_event(f"uid-{GATEWAY}/1/members/failed").message
    assert nb.dump() == before
    assert writer.alive


def test_k2_a_stub_switch_that_lost_its_key_is_left_and_our_port_leaves_it(nb: Ovsdb, bus: Bus, writer: Writer) -> None:
    wanted = NbRows(router="vpc1", bfd_port=ROUTER_PORT)
    bus.send(command(1, wanted, "vpc1"))
    bus.wait_event("uid-vpc1/1/nb/applied")
    nb.nbctl("clear", "Logical_Switch", PORT, "external_ids")
    bus.wait_observed("drift")
    bus.send(command(1, wanted, "vpc1", "/again"))
    bus.wait_event("uid-vpc1/1/nb/again/applied")
    switches = {bool(row["external_ids"]): row["ports"] for row in nb.rows("Logical_Switch")}
    (port,) = nb.rows("Logical_Switch_Port")
    assert switches == {False: [], True: port["_uuid"]}
    assert writer.alive


def test_k2_a_router_port_that_lost_its_key_stops_nothing_and_is_told(nb: Ovsdb, bus: Bus, writer: Writer) -> None:
    wanted = NbRows(router="vpc1", bfd_port=ROUTER_PORT)
    bus.send(command(1, wanted, "vpc1"))
    bus.wait_event("uid-vpc1/1/nb/applied")
    nb.nbctl("clear", "Logical_Router_Port", PORT, "external_ids")
    bus.wait_observed("drift")
    before = nb.dump()
    bus.send(command(1, wanted, "vpc1", "/again"))
    message = bus.wait_event("uid-vpc1/1/nb/again/failed").message
    assert nb.dump() == before
    nb.nbctl(*told_to(message))
    bus.send(command(1, wanted, "vpc1", "/given"))
    assert bus.wait_event("uid-vpc1/1/nb/given/applied").detail["bfd_port"] == "ours"
    (port,) = nb.rows("Logical_Router_Port")
    assert port["external_ids"] == names.bfd_port_owner_ids("vpc1")
    assert writer.alive


def test_k2_the_rows_of_a_bfd_port_carry_the_keys_of_the_reference(nb: Ovsdb, bus: Bus, writer: Writer) -> None:
    """CASES T13 as well."""
    bus.send(command(1, NbRows(router="vpc1", bfd_port=ROUTER_PORT), "vpc1"))
    bus.wait_event("uid-vpc1/1/nb/applied")
    ours = {names.OWNER_KEY: "vpc1", names.GATEWAY_KEY: "vpc1"}
    kube = {"vendor": "kube-ovn", **ours}
    wanted = {
        "Logical_Router_Port": {**kube, "lr": "vpc1"},
        "HA_Chassis_Group": {**kube, "lrp": PORT},
        "HA_Chassis": {**kube, "group": PORT},
        "Logical_Switch": {**ours, "lr": "vpc1"},
        "Logical_Switch_Port": {**ours, "lr": "vpc1"},
    }
    for table, ids in wanted.items():
        assert [row["external_ids"] for row in nb.rows(table)] == [ids] * len(nb.rows(table)), table
    assert writer.alive
