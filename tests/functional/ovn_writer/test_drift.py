"""What somebody else does to our rows is noticed, and told with before and after."""

from collections.abc import Callable

from functional.ovn_writer.harness import DOCUMENT, GATEWAY, ROUTER, Bus, Writer, command, found, policy, rows
from functional.ovsdb import Ovsdb

from veg_contracts.events import RowsListed, RowsObserved
from veg_contracts.names import OWNER_KEY

OURS = "priority=29100"


def _uuid(nb: Ovsdb) -> str:
    return nb.nbctl("--bare", "--columns=_uuid", "find", "Logical_Router_Policy", OURS)


def _apply(bus: Bus) -> None:
    bus.send(command(1, DOCUMENT))
    bus.wait_event(f"uid-{GATEWAY}/1/nb/applied")


def test_an_edited_column(nb: Ovsdb, bus: Bus, writer: Writer) -> None:
    _apply(bus)
    nb.nbctl("set", "Logical_Router_Policy", _uuid(nb), "nexthops=10.16.0.99")
    drift = bus.wait_observed("drift")
    edited = rows(policy("10.16.0.0/16", "10.16.0.99"))
    assert drift == RowsObserved(gateway=GATEWAY, reason="drift", before=(DOCUMENT,), after=(edited,))
    # The planner answers with the same generation once more.
    bus.send(command(1, DOCUMENT, number="/repair"))
    assert bus.wait_event(f"uid-{GATEWAY}/1/nb/repair/applied").detail["updated"] == "1"
    assert [row["nexthops"] for row in found(nb)[ROUTER] if row["priority"] == 29100] == ["10.16.0.12"]
    assert len(bus.observed("drift")) == 1
    assert writer.alive


def test_a_deleted_row(nb: Ovsdb, bus: Bus, writer: Writer) -> None:
    _apply(bus)
    nb.nbctl("lr-policy-del", ROUTER, "29100")
    drift = bus.wait_observed("drift")
    assert drift == RowsObserved(gateway=GATEWAY, reason="drift", before=(DOCUMENT,), after=())
    assert writer.alive


def test_a_lost_owner_looks_like_a_lost_row(nb: Ovsdb, bus: Bus, writer: Writer) -> None:
    _apply(bus)
    nb.nbctl("remove", "Logical_Router_Policy", _uuid(nb), "external_ids", OWNER_KEY)
    drift = bus.wait_observed("drift")
    assert drift == RowsObserved(gateway=GATEWAY, reason="drift", before=(DOCUMENT,), after=())
    assert writer.alive


def test_a_row_moved_to_another_router(nb: Ovsdb, bus: Bus, writer: Writer) -> None:
    _apply(bus)
    nb.nbctl("lr-add", "vpc1")
    uuid = _uuid(nb)
    nb.nbctl(
        "add", "Logical_Router", "vpc1", "policies", uuid, "--", "remove", "Logical_Router", ROUTER, "policies", uuid
    )
    drift = bus.wait_observed("drift")
    assert drift.after == (rows(*DOCUMENT.policies, router="vpc1"),)
    assert writer.alive


def test_a_copy_of_a_row(nb: Ovsdb, bus: Bus, writer: Writer) -> None:
    _apply(bus)
    ids = [f"external_ids:{key}={value}" for key, value in ((OWNER_KEY, f'"{GATEWAY}"'), ("af", '"4"'))]
    nb.nbctl(
        *("--id=@copy", "create", "Logical_Router_Policy", OURS, 'match="ip4.src == 10.16.0.0/16"', "action=reroute"),
        *("nexthops=10.16.0.12", *ids, "--", "add", "Logical_Router", ROUTER, "policies", "@copy"),
    )
    drift = bus.wait_observed("drift")
    assert drift.after == (rows(*DOCUMENT.policies, *DOCUMENT.policies),)
    bus.send(command(1, DOCUMENT, number="/repair"))
    detail = bus.wait_event(f"uid-{GATEWAY}/1/nb/repair/applied").detail
    assert (detail["inserted"], detail["updated"], detail["removed"]) == ("0", "0", "1")
    assert writer.alive


def test_an_owner_that_is_no_gateway_nor_vpc_is_ignored(nb: Ovsdb, bus: Bus, writer: Writer) -> None:
    for owner in ("No-Name", "", "a b/c"):
        match = f'match="{owner or "empty"}"'
        nb.nbctl(
            *("--id=@x", "create", "Logical_Router_Policy", "priority=1", match, "action=drop"),
            *(f'external_ids:{OWNER_KEY}="{owner}"', "--", "add", "Logical_Router", ROUTER, "policies", "@x"),
        )
    writer.wait_says("their owner is no gateway")
    _apply(bus)
    assert bus.observed("drift") == []
    assert writer.alive


def test_what_is_there_is_told_after_a_start(nb: Ovsdb, bus: Bus, make_writer: Callable[[], Writer]) -> None:
    first = make_writer()
    assert bus.wait_listed() == RowsListed()
    wanted = rows(policy("fd00::/64", "fd00::2", family="6"), policy("10.16.0.0/16", "10.16.0.3", "10.16.0.2"))
    bus.send(command(1, wanted))
    bus.wait_event(f"uid-{GATEWAY}/1/nb/applied")
    first.kill()
    nb.nbctl("set", "Logical_Router_Policy", _uuid_of_v4(nb), "priority=29101")
    make_writer()
    assert bus.wait_listed(2) == RowsListed(gateways=(GATEWAY,))
    sorted_rows = rows(
        policy("10.16.0.0/16", "10.16.0.2", "10.16.0.3", priority=29101), policy("fd00::/64", "fd00::2", family="6")
    )
    assert bus.wait_observed("resync") == RowsObserved(gateway=GATEWAY, reason="resync", after=(sorted_rows,))
    assert bus.observed("drift") == []


def _uuid_of_v4(nb: Ovsdb) -> str:
    return nb.nbctl("--bare", "--columns=_uuid", "find", "Logical_Router_Policy", OURS, "external_ids:af=4")
