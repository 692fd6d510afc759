"""BFD sessions and what refers to them, the BFD port of a Vpc, and what is told of a session that changes."""

import time
from typing import Any

import msgspec
import pytest
from functional.ovn_writer.harness import GATEWAY, Bus, Writer, command, policy, route, told_to
from functional.ovsdb import Ovsdb
from functional.servers import wait_for

from veg_contracts import names
from veg_contracts.events import SessionChanged, SessionProgrammed
from veg_contracts.intent import BfdRouterPort, BfdSession, NbRows

ROUTER = "vpc1"
PORT = "bfd@vpc1"
ONE, TWO = "192.168.0.2", "192.168.0.3"
OWNED = {names.OWNER_KEY: GATEWAY, names.GATEWAY_KEY: GATEWAY}


def session(peer: str, **changes: Any) -> BfdSession:
    made = BfdSession(family="4", logical_port=PORT, dst_ip=peer, min_rx=1000, min_tx=1000, detect_mult=3)
    return msgspec.structs.replace(made, **changes)


WATCHED = NbRows(
    router=ROUTER,
    policies=(msgspec.structs.replace(policy("10.0.0.0/8", ONE, TWO), bfd_sessions=(ONE, TWO)),),
    static_routes=tuple(msgspec.structs.replace(route("192.168.0.0/24", ip), bfd=ip) for ip in (ONE, TWO)),
    sessions=(session(ONE), session(TWO)),
)
ROUTER_PORT = BfdRouterPort(
    name=PORT, mac=names.bfd_port_mac("vpc1"), networks=("10.255.255.255", "fdff::1"), chassis=("b", "a", "c")
)


PEER_ONLY = NbRows(bfd_port=BfdRouterPort(name=PORT, mac="", networks=(), chassis=(), peer_only=True))

pytestmark = pytest.mark.usefixtures("writer")


@pytest.fixture(autouse=True)
def router(nb: Ovsdb) -> None:
    nb.nbctl("lr-add", ROUTER)


@pytest.fixture
def port(nb: Ovsdb) -> None:
    """Somebody's BFD port: there is no session without one."""
    nb.nbctl("lrp-add", ROUTER, PORT, "00:00:00:00:00:01", "10.255.255.255/32")


def apply(bus: Bus, generation: int, rows: NbRows, gateway: str = GATEWAY) -> Any:
    bus.send(command(generation, rows, gateway))
    return bus.wait_event(f"uid-{gateway}/{generation}/nb/applied")


def changes(bus: Bus, peer: str = ONE) -> list[tuple[str, str]]:
    events = [event.data for event in bus.events() if isinstance(event.data, SessionChanged)]
    return [(event.previous, event.status) for event in events if event.dst_ip == peer]


def set_status(nb: Ovsdb, peer: str, status: str) -> None:
    (uuid,) = [row["_uuid"] for row in nb.rows("BFD") if row["dst_ip"] == peer]
    nb.nbctl("set", "BFD", str(uuid), f"status={status}")


@pytest.mark.usefixtures("port")
def test_sessions_are_as_the_document_shows_them_and_others_refer_to_them(nb: Ovsdb, bus: Bus) -> None:
    apply(bus, 1, WATCHED)
    found = {row["dst_ip"]: row for row in nb.rows("BFD")}
    assert found.keys() == {ONE, TWO}
    for peer, row in found.items():
        uuid = row.pop("_uuid")
        assert row.pop("_version")
        assert row == {
            "detect_mult": 3,
            "dst_ip": peer,
            "external_ids": {**OWNED, "af": "4", "vendor": "kube-ovn"},
            "logical_port": PORT,
            "min_rx": 1000,
            "min_tx": 1000,
            "options": {},
            "status": [],
        }
        (referring,) = [row for row in nb.rows("Logical_Router_Static_Route") if row["nexthop"] == peer]
        assert referring["bfd"] == uuid
    assert "ecmp ecmp-symmetric-reply bfd" in nb.nbctl("lr-route-list", ROUTER)
    (row,) = [row for row in nb.rows("Logical_Router_Policy") if row["priority"] == 29100]
    assert len(row["bfd_sessions"]) == 2


@pytest.mark.usefixtures("port")
def test_timers_change_in_place_and_all_of_it_goes(nb: Ovsdb, bus: Bus) -> None:
    apply(bus, 1, WATCHED)
    before = {row["dst_ip"]: row["_uuid"] for row in nb.rows("BFD")}
    faster = tuple(session(peer, min_rx=100, min_tx=200, detect_mult=5) for peer in (ONE, TWO))
    applied = apply(bus, 2, msgspec.structs.replace(WATCHED, sessions=faster))
    assert (applied.detail["updated"], applied.detail["inserted"], applied.detail["removed"]) == ("2", "0", "0")
    after = nb.rows("BFD")
    assert {row["dst_ip"]: row["_uuid"] for row in after} == before
    assert {(row["min_rx"], row["min_tx"], row["detect_mult"]) for row in after} == {(100, 200, 5)}
    apply(bus, 3, NbRows(router=ROUTER))
    assert nb.rows("BFD") == []
    assert nb.rows("Logical_Router_Static_Route") == []


@pytest.mark.usefixtures("port")
def test_a_reference_that_somebody_cuts_is_drift_and_repaired(nb: Ovsdb, bus: Bus) -> None:
    apply(bus, 1, WATCHED)
    (uuid,) = [row["_uuid"] for row in nb.rows("Logical_Router_Static_Route") if row["nexthop"] == ONE]
    nb.nbctl("clear", "Logical_Router_Static_Route", str(uuid), "bfd")
    seen = bus.wait_observed("drift")
    assert {route.nexthop: route.bfd for rows in seen.after for route in rows.static_routes} == {ONE: "", TWO: TWO}
    bus.send(command(1, WATCHED, number="-again"))
    bus.wait_event(f"uid-{GATEWAY}/1/nb-again/applied")
    assert all(row["bfd"] for row in nb.rows("Logical_Router_Static_Route"))


@pytest.mark.usefixtures("port")
def test_a_session_of_another_one_is_named_and_left_alone(nb: Ovsdb, bus: Bus) -> None:
    nb.nbctl("create", "BFD", f"logical_port={PORT}", f'dst_ip="{ONE}"', "external_ids:owner=somebody")
    bus.send(command(1, WATCHED))
    message = bus.wait_event(f"uid-{GATEWAY}/1/nb/failed").message
    assert ONE in message
    assert "somebody" in message
    assert len(nb.rows("BFD")) == 1


@pytest.mark.usefixtures("port")
@pytest.mark.timed
def test_what_becomes_of_a_session_is_told_at_once_and_once(nb: Ovsdb, bus: Bus) -> None:
    apply(bus, 1, WATCHED)
    for status in ("down", "up", "down"):
        set_status(nb, ONE, status)
        started = time.monotonic()
        wait_for(f"session {status}", lambda status=status: changes(bus)[-1:] != [] and changes(bus)[-1][1] == status)  # type: ignore[misc]
        assert time.monotonic() - started < 1
    assert changes(bus) == [("", "init"), ("init", "down"), ("down", "up"), ("up", "down")]
    assert bus.observed("drift") == []
    apply(bus, 2, NbRows(router=ROUTER))
    wait_for("session to be gone", lambda: changes(bus)[-1] == ("down", ""))


@pytest.mark.usefixtures("port")
def test_a_new_writer_tells_how_sessions_stand(nb: Ovsdb, bus: Bus, writer: Writer, make_writer: Any) -> None:
    apply(bus, 1, WATCHED)
    set_status(nb, ONE, "up")
    wait_for("session up", lambda: changes(bus)[-1:] == [("init", "up")])
    writer.kill()
    set_status(nb, ONE, "down")
    make_writer()
    wait_for("session down", lambda: changes(bus)[-1:] == [("", "down")])


def test_a_bfd_port_has_a_group_and_a_peer_and_goes_with_them(nb: Ovsdb, bus: Bus) -> None:
    applied = apply(bus, 1, NbRows(router=ROUTER, bfd_port=ROUTER_PORT), "vpc1")
    assert applied.detail["bfd_port"] == "ours"
    (port,) = nb.rows("Logical_Router_Port")
    assert (port["name"], port["networks"], port["options"]) == (
        PORT,
        ["10.255.255.255", "fdff::1"],
        {"bfd-only": "true"},
    )
    (group,) = nb.rows("HA_Chassis_Group")
    assert (group["name"], group["_uuid"]) == (PORT, port["ha_chassis_group"])
    members = sorted(nb.rows("HA_Chassis"), key=lambda row: -row["priority"])
    assert [(row["chassis_name"], row["priority"]) for row in members] == [("b", 100), ("a", 99), ("c", 98)]
    (peer,) = nb.rows("Logical_Switch_Port")
    assert (peer["type"], peer["options"]) == ("router", {"router-port": PORT})
    fewer = msgspec.structs.replace(ROUTER_PORT, chassis=("a", "d"))
    apply(bus, 2, NbRows(router=ROUTER, bfd_port=fewer), "vpc1")
    members = sorted(nb.rows("HA_Chassis"), key=lambda row: -row["priority"])
    assert [(row["chassis_name"], row["priority"]) for row in members] == [("a", 100), ("d", 99)]
    assert nb.rows("Logical_Router_Port")[0]["_uuid"] == port["_uuid"]
    apply(bus, 3, NbRows(), "vpc1")
    for table in ("Logical_Router_Port", "HA_Chassis_Group", "HA_Chassis", "Logical_Switch_Port", "Logical_Switch"):
        assert nb.rows(table) == [], table


@pytest.mark.parametrize(
    "damage",
    [
        ("lrp-del", PORT),
        ("ls-del", PORT),
        ("clear", "Logical_Router_Port", PORT, "ha_chassis_group"),
        ("remove", "Logical_Router_Port", PORT, "options", "bfd-only"),
        ("set", "Logical_Router_Port", PORT, "networks=10.1.1.1"),
        ("set", "Logical_Router_Port", PORT, "name=renamed"),
        ("remove", "Logical_Router_Port", PORT, "external_ids", "lr"),
        ("remove", "HA_Chassis_Group", PORT, "external_ids", "lrp"),
        ("ha-chassis-group-add-chassis", PORT, "foreign", "7"),
        ("remove", "Logical_Switch", PORT, "external_ids", names.GATEWAY_KEY),
    ],
)
def test_a_part_of_a_bfd_port_that_somebody_changes_is_drift_and_repaired(
    nb: Ovsdb, bus: Bus, damage: tuple[str, ...]
) -> None:
    rows = NbRows(router=ROUTER, bfd_port=ROUTER_PORT)
    apply(bus, 1, rows, "vpc1")
    tables = ("Logical_Router_Port", "HA_Chassis_Group", "HA_Chassis", "Logical_Switch_Port", "Logical_Switch")

    def shape() -> list[list[str]]:
        return [
            sorted(
                str(sorted((k, v) for k, v in row.items() if k in ("name", "networks", "options", "priority")))
                for row in nb.rows(table)
            )
            for table in tables
        ]

    before = shape()
    nb.nbctl(*damage)
    seen = bus.wait_observed("drift")
    assert (seen.gateway, seen.before) == ("vpc1", (rows,))
    assert seen.after != (rows,)
    bus.send(command(1, rows, "vpc1", number="-again"))
    bus.wait_event("uid-vpc1/1/nb-again/applied")
    assert shape() == before
    (port,) = nb.rows("Logical_Router_Port")
    (group,) = nb.rows("HA_Chassis_Group")
    assert port["ha_chassis_group"] == group["_uuid"]


def test_a_bfd_port_of_another_one_is_used_and_not_touched(nb: Ovsdb, bus: Bus) -> None:
    nb.nbctl("lrp-add", ROUTER, PORT, "00:00:00:00:00:01", "10.255.255.255/32")
    before = nb.rows("Logical_Router_Port")
    applied = apply(bus, 1, NbRows(router=ROUTER, bfd_port=ROUTER_PORT), "vpc1")
    assert applied.detail["bfd_port"] == "foreign"
    assert nb.rows("Logical_Router_Port") == before
    assert nb.rows("HA_Chassis_Group") == []
    assert nb.rows("Logical_Switch") == []
    nb.nbctl("lrp-del", PORT)
    seen = bus.wait_observed("drift")
    assert (seen.gateway, seen.after) == ("vpc1", ())
    bus.send(command(1, NbRows(router=ROUTER, bfd_port=ROUTER_PORT), "vpc1", number="-again"))
    assert bus.wait_event("uid-vpc1/1/nb-again/applied").detail["bfd_port"] == "ours"


def test_a_port_that_another_one_makes_in_place_of_ours_keeps_our_group_if_it_uses_it(nb: Ovsdb, bus: Bus) -> None:
    rows = NbRows(router=ROUTER, bfd_port=ROUTER_PORT)
    apply(bus, 1, rows, "vpc1")
    (group,) = nb.rows("HA_Chassis_Group")
    again = ("lrp-add", ROUTER, PORT, "00:00:00:00:00:01", "10.255.255.255/32")
    nb.nbctl(
        "lrp-del", PORT, "--", *again, "--", "set", "Logical_Router_Port", PORT, f"ha_chassis_group={group['_uuid']}"
    )
    before = nb.rows("Logical_Router_Port")
    assert apply(bus, 2, rows, "vpc1").detail["bfd_port"] == "foreign"
    assert nb.rows("Logical_Router_Port") == before
    assert nb.rows("Logical_Switch") == []
    assert_handed_over(nb)
    assert_at_rest(nb, bus)


def test_a_port_of_another_one_that_uses_our_group_gets_a_stub_peer_once(nb: Ovsdb, bus: Bus) -> None:
    rows = NbRows(router=ROUTER, bfd_port=ROUTER_PORT)
    apply(bus, 1, rows, "vpc1")
    nb.nbctl("remove", "Logical_Router_Port", PORT, "external_ids", names.OWNER_KEY)
    bus.wait_observed("drift")
    assert apply(bus, 2, PEER_ONLY, "vpc1").detail["bfd_port"] == "peer"
    assert_handed_over(nb)
    assert_at_rest(nb, bus)


def test_a_group_that_another_ones_port_uses_stays_when_no_port_is_wanted(nb: Ovsdb, bus: Bus) -> None:
    apply(bus, 1, NbRows(router=ROUTER, bfd_port=ROUTER_PORT), "vpc1")
    nb.nbctl("remove", "Logical_Router_Port", PORT, "external_ids", names.OWNER_KEY)
    bus.wait_observed("drift")
    before = nb.rows("Logical_Router_Port")
    apply(bus, 2, NbRows(), "vpc1")
    assert (nb.rows("Logical_Router_Port"), nb.rows("Logical_Switch")) == (before, [])
    assert_handed_over(nb)


def assert_handed_over(nb: Ovsdb) -> None:
    """The router port and its group are there, with their chassis, and not ours."""
    (port,), (group,) = nb.rows("Logical_Router_Port"), nb.rows("HA_Chassis_Group")
    assert port["ha_chassis_group"] == group["_uuid"]
    kept = [port, group, *nb.rows("HA_Chassis")]
    assert len(kept) == 2 + len(ROUTER_PORT.chassis)
    assert not any(names.OWNER_KEY in row["external_ids"] for row in kept)


def assert_at_rest(nb: Ovsdb, bus: Bus) -> None:
    """A change of rows that is none of ours makes the writer look, and it has nothing to tell."""
    told = len(bus.observed("drift"))
    nb.nbctl("lr-add", "another")
    time.sleep(0.3)
    assert len(bus.observed("drift")) == told


def test_a_port_of_kube_ovn_gets_a_stub_peer_and_is_not_touched(nb: Ovsdb, bus: Bus) -> None:
    nb.nbctl("lrp-add", ROUTER, PORT, "00:00:00:00:00:01", "10.255.255.255/32")
    before = nb.rows("Logical_Router_Port")
    rows = NbRows(bfd_port=BfdRouterPort(name=PORT, mac="", networks=(), chassis=(), peer_only=True))
    assert apply(bus, 1, rows, "vpc1").detail["bfd_port"] == "peer"
    (switch,) = nb.rows("Logical_Switch")
    assert switch["name"] == PORT
    assert "vendor" not in switch["external_ids"], "Kube-OVN removes switches of its vendor that it does not know"
    (peer,) = nb.rows("Logical_Switch_Port")
    assert (peer["type"], peer["options"]) == ("router", {"router-port": PORT})
    nb.nbctl("ls-del", PORT)
    seen = bus.wait_observed("drift")
    assert (seen.gateway, seen.before, seen.after) == ("vpc1", (rows,), ())
    bus.send(command(1, rows, "vpc1", number="-again"))
    bus.wait_event("uid-vpc1/1/nb-again/applied")
    assert len(nb.rows("Logical_Switch_Port")) == 1
    apply(bus, 2, NbRows(), "vpc1")
    assert (nb.rows("Logical_Switch"), nb.rows("Logical_Router_Port")) == ([], before)


def test_a_port_of_ours_is_handed_over_and_its_peer_stays(nb: Ovsdb, bus: Bus) -> None:
    tables = ("Logical_Router_Port", "HA_Chassis_Group", "HA_Chassis", "Logical_Switch", "Logical_Switch_Port")

    def rows() -> list[tuple[str, object, dict[str, str]]]:
        return sorted((table, row["_uuid"], row["external_ids"]) for table in tables for row in nb.rows(table))

    apply(bus, 1, NbRows(router=ROUTER, bfd_port=ROUTER_PORT), "vpc1")
    before = rows()
    assert apply(bus, 2, PEER_ONLY, "vpc1").detail["bfd_port"] == "peer"
    ours = ("Logical_Switch", "Logical_Switch_Port")
    kept = [
        (table, uuid, {key: value for key, value in ids.items() if table in ours or key != names.OWNER_KEY})
        for table, uuid, ids in before
    ]
    assert rows() == kept
    assert_at_rest(nb, bus)
    apply(bus, 3, NbRows(), "vpc1")
    assert [row for row in kept if row[0] not in ours] == rows()


@pytest.mark.usefixtures("port")
def test_a_session_that_others_refer_to_goes_all_the_same(nb: Ovsdb, bus: Bus) -> None:
    apply(bus, 1, WATCHED)
    nb.nbctl("--policy=dst-ip", "lr-route-add", ROUTER, "10.9.0.0/16", ONE)
    (theirs,) = [row["_uuid"] for row in nb.rows("Logical_Router_Static_Route") if row["ip_prefix"] == "10.9.0.0/16"]
    (uuid,) = [row["_uuid"] for row in nb.rows("BFD") if row["dst_ip"] == ONE]
    nb.nbctl("set", "Logical_Router_Static_Route", str(theirs), f"bfd={uuid}")
    apply(bus, 2, NbRows())
    assert nb.rows("BFD") == []
    (left,) = nb.rows("Logical_Router_Static_Route")
    assert (left["_uuid"], left["bfd"]) == (theirs, [])


@pytest.mark.usefixtures("port")
def test_k2_a_session_that_lost_its_owner_is_ours_when_somebody_says_so_and_told_of(nb: Ovsdb, bus: Bus) -> None:
    apply(bus, 1, WATCHED)
    (uuid,) = [row["_uuid"] for row in nb.rows("BFD") if row["dst_ip"] == ONE]
    nb.nbctl("clear", "BFD", str(uuid), "external_ids")
    bus.wait_observed("drift")
    nb.nbctl("set", "BFD", str(uuid), "status=down")
    bus.send(command(1, WATCHED, number="-repair"))
    nb.nbctl(*told_to(bus.wait_event(f"uid-{GATEWAY}/1/nb-repair/failed").message))
    bus.wait_observed("drift", 2)
    bus.send(command(1, WATCHED, number="-again"))
    bus.wait_event(f"uid-{GATEWAY}/1/nb-again/applied")
    assert {row["_uuid"] for row in nb.rows("BFD") if row["dst_ip"] == ONE} == {uuid}
    wait_for("session down", lambda: changes(bus)[-1:] == [("init", "down")])


@pytest.mark.usefixtures("port")
@pytest.mark.slow
def test_sessions_that_change_together_are_all_told_each_in_its_order(nb: Ovsdb, bus: Bus) -> None:
    peers = [f"192.168.0.{number}" for number in range(2, 34)]
    apply(bus, 1, NbRows(router=ROUTER, sessions=tuple(session(peer) for peer in peers)))
    uuids = [str(row["_uuid"]) for row in nb.rows("BFD")]
    wanted = ["up", "down", "up", "down"]
    for status in wanted:
        words = [word for uuid in uuids for word in ("--", "set", "BFD", uuid, f"status={status}")]
        nb.nbctl(*words[1:])
    for peer in peers:
        wait_for(f"{peer} to be down", lambda peer=peer: len(changes(bus, peer)) == 1 + len(wanted))  # type: ignore[misc]
        assert [status for _, status in changes(bus, peer)] == ["init", *wanted]


@pytest.mark.usefixtures("port")
def test_it_is_told_when_the_chassis_have_the_flows_of_a_session_that_went_down(nb: Ovsdb, bus: Bus) -> None:
    apply(bus, 1, WATCHED)
    for status in ("up", "down"):
        set_status(nb, ONE, status)
    wait_for("session down", lambda: changes(bus)[-1:] == [("up", "down")])

    def told() -> list[SessionProgrammed]:
        return [event.data for event in bus.events() if isinstance(event.data, SessionProgrammed)]

    wait_for("nb_cfg to be counted up", lambda: nb.rows("NB_Global", "nb_cfg")[0]["nb_cfg"] == 2)
    assert told() == []
    nb.nbctl("set", "NB_Global", ".", "hv_cfg=2")
    wait_for("flows to be told", lambda: [event.dst_ip for event in told()] == [ONE])
