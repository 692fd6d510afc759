"""Port groups as rows: they come with the policies that use them, go with them, and are never taken from others."""

from typing import Any

from functional.ovn_writer.harness import (
    DOCUMENT,
    GATEWAY,
    GROUP,
    ROUTER,
    SELECTING,
    Bus,
    Writer,
    add_ports,
    command,
    found,
    grouped,
    members,
    told_to,
)
from functional.ovsdb import Ovsdb

from veg_contracts.events import RowsObserved
from veg_contracts.intent import NbRows
from veg_contracts.names import OWNER_KEY, port_group_owner_ids

APPLIED = f"uid-{GATEWAY}/1/nb/applied"


def _groups(nb: Ovsdb) -> list[dict[str, Any]]:
    rows = [row for row in nb.rows("Port_Group") if row.pop("_version") and row.pop("_uuid")]
    return sorted(rows, key=lambda row: str(row["name"]))


def test_a_group_comes_and_goes_with_its_policy(nb: Ovsdb, bus: Bus, writer: Writer) -> None:
    nb.nbctl("pg-add", "others")
    others = (found(nb), _groups(nb))
    bus.send(command(1, SELECTING))
    detail = bus.wait_event(APPLIED).detail
    assert detail == {"nb_cfg": "1", "inserted": "2", "updated": "0", "removed": "0"}
    assert [row for row in _groups(nb) if row["name"] == GROUP] == [
        {"name": GROUP, "ports": [], "acls": [], "external_ids": port_group_owner_ids(GATEWAY)}
    ]
    assert f"ip4.src == ${GROUP}_ip4" in [row["match"] for row in found(nb)[ROUTER]]
    dump = nb.dump()
    bus.send(command(1, SELECTING, number="/again"))
    assert bus.wait_event(f"uid-{GATEWAY}/1/nb/again/applied").detail == detail | {"inserted": "0"}
    assert nb.dump() == dump
    bus.send(command(2, NbRows()))
    detail = bus.wait_event(f"uid-{GATEWAY}/2/nb/applied").detail
    assert detail == {"nb_cfg": "2", "inserted": "0", "updated": "0", "removed": "2"}
    assert (found(nb), _groups(nb)) == others
    assert bus.observed("drift") == []
    assert writer.alive


def test_what_is_there_is_observed_as_it_was_wanted(nb: Ovsdb, bus: Bus, writer: Writer) -> None:
    bus.send(command(1, SELECTING))
    bus.wait_event(APPLIED)
    nb.kill()
    nb.start()
    assert bus.wait_observed("resync").after == (SELECTING,)
    assert bus.wait_listed(2).gateways == (GATEWAY,)
    assert writer.alive


def test_a_group_without_any_router(nb: Ovsdb, bus: Bus, writer: Writer) -> None:
    bus.send(command(1, NbRows(router=ROUTER, port_groups=(GROUP,))))
    bus.wait_event(APPLIED)
    nb.nbctl("pg-del", GROUP)
    expected = NbRows(router="", port_groups=(GROUP,))
    assert bus.wait_observed("drift") == RowsObserved(gateway=GATEWAY, reason="drift", before=(expected,), after=())
    assert writer.alive


def test_a_deleted_group_is_told_and_mended(nb: Ovsdb, bus: Bus, writer: Writer) -> None:
    bus.send(command(1, SELECTING))
    bus.wait_event(APPLIED)
    nb.nbctl("pg-del", GROUP)
    drift = bus.wait_observed("drift")
    assert drift.before == (SELECTING,)
    assert drift.after == (NbRows(router=ROUTER, policies=SELECTING.policies),)
    bus.send(command(1, SELECTING, number="/repair"))
    bus.wait_event(f"uid-{GATEWAY}/1/nb/repair/applied")
    assert [row["name"] for row in _groups(nb)] == [GROUP]
    assert writer.alive


def test_k2_a_group_that_lost_its_owner_is_ours_when_somebody_says_so(nb: Ovsdb, bus: Bus, writer: Writer) -> None:
    bus.send(command(1, SELECTING))
    bus.wait_event(APPLIED)
    nb.nbctl("remove", "Port_Group", GROUP, "external_ids", OWNER_KEY)
    bus.wait_observed("drift")
    before = _groups(nb)
    bus.send(command(1, SELECTING, number="/repair"))
    message = bus.wait_event(f"uid-{GATEWAY}/1/nb/repair/failed").message
    assert _groups(nb) == before
    nb.nbctl(*told_to(message))
    assert bus.wait_observed("drift", 2).after == (SELECTING,)
    bus.send(command(1, SELECTING, number="/again"))
    detail = bus.wait_event(f"uid-{GATEWAY}/1/nb/again/applied").detail
    assert (detail["inserted"], detail["updated"], detail["removed"]) == ("0", "0", "0")
    assert [row["external_ids"] for row in _groups(nb)] == [port_group_owner_ids(GATEWAY)]
    assert writer.alive


def test_a_group_of_somebody_else_is_not_taken(nb: Ovsdb, bus: Bus, writer: Writer) -> None:
    add_ports(nb, "pod1.default")
    nb.nbctl("pg-add", GROUP, "--", "set", "Port_Group", GROUP, "external_ids:sg=theirs")
    others = (found(nb), _groups(nb))
    bus.send(command(1, SELECTING), members(1, "pod1.default"))
    for part in ("nb", "members"):
        message = bus.wait_event(f"uid-{GATEWAY}/1/{part}/failed").message
        assert GROUP in message
        assert "theirs" in message
    assert (found(nb), _groups(nb)) == others
    bus.send(command(2, DOCUMENT))
    assert bus.wait_event(f"uid-{GATEWAY}/2/nb/applied").generation == 2
    assert grouped(nb) == set()
    assert writer.alive
