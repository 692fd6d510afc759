"""The relay of a BFD port, made, repaired, handed over and given up as one thing with the port (decision 0017)."""

from typing import Any

import msgspec
import pytest
from functional.ovn_writer.harness import Bus, command, told_to
from functional.ovn_writer.test_bfd import PEER_ONLY, PORT, ROUTER, ROUTER_PORT, apply
from functional.ovsdb import Northd, Ovsdb, run
from functional.servers import wait_for

from veg_contracts import names
from veg_contracts.events import SessionChanged
from veg_contracts.intent import NbRows
from veg_planner.plan import bfd_relay

RELAY = names.bfd_relay(ROUTER)
RELAY_PEER = names.bfd_peer(RELAY)
IPS = ("169.254.37.84", "fd37:84::1")
WITHOUT = NbRows(router=ROUTER, bfd_port=ROUTER_PORT)
ROWS = bfd_relay.attach(WITHOUT, ROUTER, ROUTER, IPS)
BEHIND_ANOTHERS = bfd_relay.attach(PEER_ONLY, ROUTER, ROUTER, IPS)
OWNED = {names.OWNER_KEY: ROUTER, names.GATEWAY_KEY: ROUTER}
TABLES = (
    "Logical_Router",
    "Logical_Router_Port",
    "Logical_Switch",
    "Logical_Switch_Port",
    "HA_Chassis_Group",
    "Logical_Router_Static_Route",
    "Logical_Router_Policy",
    "BFD",
)

pytestmark = pytest.mark.usefixtures("writer")


@pytest.fixture(autouse=True)
def router(nb: Ovsdb) -> None:
    nb.nbctl("lr-add", ROUTER)


def ours(nb: Ovsdb, *columns: str) -> list[Any]:
    """What of each of our rows: some columns, or all that is the same each time that it is made."""
    volatile = {"_uuid", "_version", "ports", "static_routes", "policies", "ha_chassis", "ha_chassis_group"}
    found = [(table, row) for table in TABLES for row in nb.rows(table) if names.OWNER_KEY in row["external_ids"]]
    return sorted(
        (table, sorted((name, str(row[name])) for name in columns or row.keys() - volatile if name in row))
        for table, row in found
    )


def one(nb: Ovsdb, table: str, name: str) -> Any:
    (row,) = [row for row in nb.rows(table) if row["name"] == name]
    return row


def placed(nb: Ovsdb) -> None:
    """The relay's port is on its router, and its peer on the stub switch."""
    assert one(nb, "Logical_Router", RELAY)["ports"] == one(nb, "Logical_Router_Port", RELAY)["_uuid"]
    peers = {one(nb, "Logical_Switch_Port", name)["_uuid"] for name in (f"{PORT}.peer", RELAY_PEER)}
    assert set(one(nb, "Logical_Switch", PORT)["ports"]) == peers


def test_a_relay_is_behind_the_stub_switch_and_the_way_there_goes_by_the_port(nb: Ovsdb, bus: Bus) -> None:
    applied = apply(bus, 1, ROWS, ROUTER)
    assert (applied.detail["bfd_port"], applied.detail["bfd_relay"]) == ("ours", ",".join(IPS))
    placed(nb)
    port = one(nb, "Logical_Router_Port", RELAY)
    assert (port["mac"], port["networks"]) == (names.bfd_relay_mac(ROUTER), list(IPS))
    assert port["ha_chassis_group"] == []
    assert one(nb, "Logical_Router", RELAY)["external_ids"] == {**OWNED, "lr": ROUTER}
    for row in (one(nb, "Logical_Router", RELAY), port, one(nb, "Logical_Switch_Port", RELAY_PEER)):
        assert "vendor" not in row["external_ids"], "Kube-OVN removes what is of its vendor and unknown"
    routes = {row["ip_prefix"]: row for row in nb.rows("Logical_Router_Static_Route")}
    assert routes.keys() == {f"{IPS[0]}/32", f"{IPS[1]}/128"}
    for ip, (_, row) in zip(IPS, sorted(routes.items()), strict=True):
        assert (row["nexthop"], row["output_port"], row["policy"], row["bfd"]) == (ip, PORT, "dst-ip", [])
    policies = [(row["match"], row["action"]) for row in nb.rows("Logical_Router_Policy") if row["priority"] == 31500]
    assert sorted(policies) == [
        (f"ip4.dst == {IPS[0]} && udp.dst == 3784", "allow"),
        (f"ip6.dst == {IPS[1]} && udp.dst == 3784", "allow"),
    ]
    (session,) = nb.rows("BFD")
    assert (session["logical_port"], session["dst_ip"]) == (RELAY, IPS[0])
    nb.nbctl("set", "BFD", str(session["_uuid"]), "status=admin_down")
    apply(bus, 2, NbRows(), ROUTER)
    assert ours(nb) == []
    assert not [event for event in bus.events() if isinstance(event.data, SessionChanged)], "it is no session"
    assert bus.observed("drift") == []


def test_a_relay_comes_and_goes_while_the_port_and_its_peer_stay(nb: Ovsdb, bus: Bus) -> None:
    assert "bfd_relay" not in apply(bus, 1, WITHOUT, ROUTER).detail
    before = ours(nb, "_uuid")
    apply(bus, 2, ROWS, ROUTER)
    placed(nb)
    kept = [row for row in ours(nb, "_uuid") if row in before]
    assert kept == before
    apply(bus, 3, bfd_relay.attach(WITHOUT, ROUTER, ROUTER, ("169.254.99.99",)), ROUTER)
    assert one(nb, "Logical_Router_Port", RELAY)["networks"] == "169.254.99.99"
    placed(nb)
    assert "bfd_relay" not in apply(bus, 4, WITHOUT, ROUTER).detail
    assert ours(nb, "_uuid") == before
    assert bus.observed("drift") == []


@pytest.mark.parametrize(
    "damage",
    [
        ("lr-del", RELAY),
        ("lrp-del", RELAY),
        ("lsp-del", RELAY_PEER),
        ("lsp-del", f"{PORT}.peer"),
        ("ls-del", PORT),
        ("lr-route-del", ROUTER, f"{IPS[0]}/32"),
        ("lr-policy-del", ROUTER, "31500", f"ip6.dst == {IPS[1]} && udp.dst == 3784"),
        ("--all", "destroy", "BFD"),
        ("set", "Logical_Router_Port", RELAY, "networks=10.1.1.1"),
        ("set", "Logical_Router_Port", RELAY, 'mac="00:00:00:00:00:09"'),
        ("set", "Logical_Router_Port", RELAY, "name=renamed"),
        ("set", "Logical_Router", RELAY, "name=renamed"),
        ("remove", "Logical_Router", RELAY, "external_ids", names.GATEWAY_KEY),
        ("remove", "Logical_Router_Port", RELAY, "external_ids", "lr"),
    ],
    ids=lambda words: " ".join(words[:3]),
)
@pytest.mark.parametrize("rows", [ROWS, BEHIND_ANOTHERS], ids=["ours", "another one's port"])
def test_a_part_of_a_relay_that_somebody_changes_is_drift_and_repaired(
    nb: Ovsdb, bus: Bus, rows: NbRows, damage: tuple[str, ...]
) -> None:
    if rows is BEHIND_ANOTHERS:
        nb.nbctl("lrp-add", ROUTER, PORT, "00:00:00:00:00:01", "10.255.255.255/32")
    apply(bus, 1, rows, ROUTER)
    before = ours(nb)
    nb.nbctl(*damage)
    seen = bus.wait_observed("drift")
    assert (seen.gateway, seen.before) == (ROUTER, (rows,))
    assert seen.after != (rows,)
    bus.send(command(1, rows, ROUTER, number="-again"))
    bus.wait_event(f"uid-{ROUTER}/1/nb-again/applied")
    assert ours(nb) == before
    placed(nb)


def test_a_route_that_no_more_goes_by_the_port_is_drift_and_repaired(nb: Ovsdb, bus: Bus) -> None:
    apply(bus, 1, ROWS, ROUTER)
    for row in nb.rows("Logical_Router_Static_Route"):
        nb.nbctl("clear", "Logical_Router_Static_Route", str(row["_uuid"]), "output_port")
    bus.wait_observed("drift")
    bus.send(command(1, ROWS, ROUTER, number="-again"))
    bus.wait_event(f"uid-{ROUTER}/1/nb-again/applied")
    assert {row["output_port"] for row in nb.rows("Logical_Router_Static_Route")} == {PORT}


def test_a_port_that_is_handed_over_keeps_its_relay(nb: Ovsdb, bus: Bus) -> None:
    apply(bus, 1, ROWS, ROUTER)
    gone = ("Logical_Router_Port", [("name", PORT)]), ("HA_Chassis_Group", [("name", PORT)])
    before = [row for row in ours(nb, "_uuid", "name") if (row[0], row[1][1:]) not in gone]
    applied = apply(bus, 2, BEHIND_ANOTHERS, ROUTER)
    assert (applied.detail["bfd_port"], applied.detail["bfd_relay"]) == ("peer", ",".join(IPS))
    assert ours(nb, "_uuid", "name") == before
    placed(nb)
    apply(bus, 3, PEER_ONLY, ROUTER)
    assert {table for table, _ in ours(nb)} == {"Logical_Switch", "Logical_Switch_Port"}
    apply(bus, 4, BEHIND_ANOTHERS, ROUTER)
    placed(nb)
    apply(bus, 5, NbRows(), ROUTER)
    assert ours(nb) == []
    assert one(nb, "Logical_Router_Port", PORT)
    assert bus.observed("drift") == []


def test_beside_a_port_of_somebody_else_there_is_no_relay(nb: Ovsdb, bus: Bus) -> None:
    apply(bus, 1, ROWS, ROUTER)
    nb.nbctl("lrp-del", PORT, "--", "lrp-add", ROUTER, PORT, "00:00:00:00:00:01", "10.255.255.255/32")
    bus.wait_observed("drift")
    detail = apply(bus, 2, ROWS, ROUTER).detail
    assert detail["bfd_port"] == "foreign"
    assert "bfd_relay" not in detail
    assert ours(nb) == []
    nb.nbctl("lrp-del", PORT)
    bus.wait_observed("drift", 2)
    bus.send(command(2, ROWS, ROUTER, number="-again"))
    assert bus.wait_event(f"uid-{ROUTER}/2/nb-again/applied").detail["bfd_relay"] == ",".join(IPS)
    placed(nb)


STRANGERS = {
    "Logical_Router": ("lr-add", RELAY),
    "Logical_Router_Port": ("lr-add", "theirs", "--", "lrp-add", "theirs", RELAY, "00:00:00:00:00:01", "10.1.1.1/24"),
    "Logical_Switch_Port": ("ls-add", "theirs", "--", "lsp-add", "theirs", RELAY_PEER),
    "BFD": ("create", "BFD", f'logical_port="{RELAY}"', f'dst_ip="{IPS[0]}"'),
}


@pytest.mark.parametrize("table", STRANGERS)
def test_a_row_of_that_name_that_is_not_ours_is_named_and_left_alone(nb: Ovsdb, bus: Bus, table: str) -> None:
    nb.nbctl(*STRANGERS[table])
    before = nb.dump()
    bus.send(command(1, ROWS, ROUTER))
    message = bus.wait_event(f"uid-{ROUTER}/1/nb/failed").message
    assert nb.dump() == before
    for text in (table, RELAY, f"does not belong to {ROUTER}", "unknown owner"):
        assert text in message
    nb.nbctl(*told_to(message))
    bus.send(command(1, ROWS, ROUTER, number="/given"))
    bus.wait_event(f"uid-{ROUTER}/1/nb/given/applied")
    placed(nb)


def test_ovn_takes_bfd_packets_for_either_address_though_one_row_is_there(nb: Ovsdb, bus: Bus, northd: Northd) -> None:
    apply(bus, 1, ROWS, ROUTER)

    def taken() -> list[str]:
        (answer,) = msgspec.json.decode(run("ovsdb-client", "transact", northd.sb.remote, _FLOWS))
        return [row["match"] for row in answer["rows"] if "handle_bfd_msg" in row["actions"]]

    def has(ip: str) -> bool:
        return any(ip in match and "udp.dst == 3784" in match for match in taken())

    for ip in IPS:
        wait_for(f"flows for {ip}", lambda ip=ip: has(ip))  # type: ignore[misc]
    wait_for("a row that runs nothing", lambda: [row["status"] for row in nb.rows("BFD")] == ["admin_down"])


_FLOWS = msgspec.json.encode(
    ["OVN_Southbound", {"op": "select", "table": "Logical_Flow", "where": [], "columns": ["match", "actions"]}]
).decode()
