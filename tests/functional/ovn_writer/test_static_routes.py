"""Static routes of custom VPCs: as the document shows them, beside routes of others, and without a column."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from functional.ovn_writer.harness import GATEWAY, Bus, Writer, command, route
from functional.ovsdb import Ovsdb, schema_without
from functional.servers import Nats

from veg_contracts.intent import NbRows, StaticRoute
from veg_contracts.names import route_owner_ids

TABLE = "Logical_Router_Static_Route"
ROUTER = "vpc1"
WANTED = NbRows(
    router=ROUTER,
    static_routes=(
        route("192.168.0.0/24", "192.168.0.2"),
        route("192.168.0.0/24", "192.168.0.3"),
        route("fd00::/64", "fd00::2", family="6"),
    ),
)


@pytest.fixture(autouse=True)
def router(nb: Ovsdb) -> None:
    nb.nbctl("lr-add", ROUTER)


def _found(nb: Ovsdb) -> list[dict[str, Any]]:
    """All routes of the database, with the routers they are on."""
    routers = {uuid: row["name"] for row in nb.rows("Logical_Router") for uuid in _list(row["static_routes"])}
    rows = [row for row in nb.rows(TABLE) if row.pop("_version")]
    for row in rows:
        row["router"] = routers[row.pop("_uuid")]
    return sorted(rows, key=lambda row: (row["ip_prefix"], row["nexthop"]))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _as_the_document(value: StaticRoute) -> dict[str, Any]:
    return {
        "router": ROUTER,
        "ip_prefix": value.ip_prefix,
        "nexthop": value.nexthop,
        "policy": "src-ip",
        "route_table": "",
        "options": {"ecmp_symmetric_reply": "true"},
        "selection_fields": value.selection_fields[0],
        "output_port": [],
        "bfd": [],
        "external_ids": route_owner_ids(GATEWAY, value.family),
    }


def test_the_rows_are_as_the_document_shows_them(nb: Ovsdb, bus: Bus, writer: Writer) -> None:
    bus.send(command(1, WANTED))
    detail = bus.wait_event(f"uid-{GATEWAY}/1/nb/applied").detail
    assert detail == {"nb_cfg": "1", "inserted": "3", "updated": "0", "removed": "0"}
    assert _found(nb) == [_as_the_document(value) for value in WANTED.static_routes]
    shown = nb.nbctl("lr-route-list", ROUTER)
    assert shown.count("src-ip ecmp ecmp-symmetric-reply") == 2, shown
    dump = nb.dump()
    bus.send(command(1, WANTED, number="/again"))
    assert bus.wait_event(f"uid-{GATEWAY}/1/nb/again/applied").detail == detail | {"inserted": "0"}
    assert nb.dump() == dump
    assert bus.observed("drift") == []
    assert writer.alive


def test_a_nexthop_comes_and_goes_and_the_others_stay_as_they_are(nb: Ovsdb, bus: Bus, writer: Writer) -> None:
    bus.send(command(1, WANTED))
    bus.wait_event(f"uid-{GATEWAY}/1/nb/applied")
    before = {row["nexthop"]: row["_uuid"] for row in nb.rows(TABLE)}
    changed = msgspec.structs.replace(
        WANTED, static_routes=(*WANTED.static_routes[:1], route("192.168.0.0/24", "192.168.0.4"))
    )
    bus.send(command(2, changed))
    detail = bus.wait_event(f"uid-{GATEWAY}/2/nb/applied").detail
    assert (detail["inserted"], detail["updated"], detail["removed"]) == ("1", "0", "2")
    after = {row["nexthop"]: row["_uuid"] for row in nb.rows(TABLE)}
    assert after.keys() == {"192.168.0.2", "192.168.0.4"}
    assert after["192.168.0.2"] == before["192.168.0.2"]
    assert writer.alive


def test_routes_of_others_are_left_alone_even_with_the_same_prefix(nb: Ovsdb, bus: Bus, writer: Writer) -> None:
    nb.nbctl("lr-route-add", ROUTER, "192.168.0.0/24", "192.168.0.1")
    nb.nbctl("lr-route-add", ROUTER, "0.0.0.0/0", "192.168.0.254")
    others = _found(nb)
    bus.send(command(1, WANTED))
    bus.wait_event(f"uid-{GATEWAY}/1/nb/applied")
    assert [row for row in _found(nb) if not row["external_ids"]] == others
    bus.send(command(2, NbRows()))
    bus.wait_event(f"uid-{GATEWAY}/2/nb/applied")
    assert _found(nb) == others
    assert writer.alive


EDITS = ("policy=dst-ip", "route_table=elsewhere", "nexthop=192.168.0.9", "options", "selection_fields=ip_dst")


def test_an_edited_column_is_told_and_mended(nb: Ovsdb, bus: Bus, writer: Writer) -> None:
    bus.send(command(1, WANTED))
    bus.wait_event(f"uid-{GATEWAY}/1/nb/applied")
    for number, edit in enumerate(EDITS, 1):
        (row,) = [row for row in nb.rows(TABLE) if row["nexthop"] == "192.168.0.2"]
        nb.nbctl("clear" if edit == "options" else "set", TABLE, row["_uuid"], edit)
        drift = bus.wait_observed("drift", number)
        assert drift.before == (WANTED,), edit
        assert drift.after != (WANTED,), edit
        bus.send(command(1, WANTED, number=f"/repair{number}"))
        bus.wait_event(f"uid-{GATEWAY}/1/nb/repair{number}/applied")
        assert _found(nb) == [_as_the_document(value) for value in WANTED.static_routes], edit
    assert len(bus.observed("drift")) == len(EDITS)
    assert writer.alive


def test_what_is_there_is_observed_as_it_was_wanted(nb: Ovsdb, bus: Bus, writer: Writer) -> None:
    bus.send(command(1, WANTED))
    bus.wait_event(f"uid-{GATEWAY}/1/nb/applied")
    nb.kill()
    nb.start()
    assert bus.wait_listed(2).gateways == (GATEWAY,)
    assert bus.wait_observed("resync").after == (WANTED,)
    assert writer.alive


def test_a_schema_without_selection_fields(tmp_path: Path, nats_server: Nats, bus: Bus) -> None:
    nb = Ovsdb(tmp_path, "old", schema_without(tmp_path, TABLE, "selection_fields"))
    nb.start()
    writer = Writer(nats_server, nb, tmp_path / "writer.log")
    try:
        nb.nbctl("init")
        nb.nbctl("lr-add", ROUTER)
        writer.start()
        bus.send(command(1, WANTED))
        bus.wait_event(f"uid-{GATEWAY}/1/nb/applied")
        expected = [_as_the_document(value) for value in WANTED.static_routes]
        assert _found(nb) == [{name: row[name] for name in row if name != "selection_fields"} for row in expected]
        assert writer.log.read_text().count("has no column Logical_Router_Static_Route.selection_fields") == 1
        bus.send(command(1, WANTED, number="/again"))
        assert bus.wait_event(f"uid-{GATEWAY}/1/nb/again/applied").detail["updated"] == "0"
        assert bus.observed("drift") == []
    finally:
        writer.kill()
        nb.kill()
