"""What a command does to the database, and what is told of it."""

import pytest
from functional.ovn_writer.harness import (
    DOCUMENT,
    GATEWAY,
    ROUTER,
    SCALED,
    TRACE,
    Bus,
    Writer,
    command,
    found,
    policy,
    rows,
)
from functional.ovsdb import Northd, Ovsdb
from functional.servers import wait_for

from veg_contracts.envelope import to_body
from veg_contracts.events import CommandApplied, CommandFailed, CommandRefused, RowsProgrammed
from veg_contracts.intent import NbRows, RoutePolicy
from veg_contracts.names import OWNER_KEY


def test_the_row_is_as_the_document_shows_it(nb: Ovsdb, bus: Bus, writer: Writer) -> None:
    before = found(nb)
    bus.send(command(1, DOCUMENT))
    applied = bus.wait_event(f"uid-{GATEWAY}/1/nb/applied")
    assert applied == CommandApplied(
        command_id=f"uid-{GATEWAY}/1/nb",
        gateway=GATEWAY,
        gateway_uid=f"uid-{GATEWAY}",
        part="nb",
        generation=1,
        detail={"nb_cfg": "1", "inserted": "1", "updated": "0", "removed": "0"},
    )
    after = found(nb)
    (ours,) = [row for row in after[ROUTER] if row["priority"] == 29100]
    assert ours == {
        "priority": 29100,
        "match": "ip4.src == 10.16.0.0/16",
        "action": "reroute",
        "nexthops": "10.16.0.12",
        "nexthop": [],
        "chain": [],
        "jump_chain": [],
        "bfd_sessions": [],
        "options": {},
        "external_ids": {"vendor": "kube-ovn", OWNER_KEY: GATEWAY, "vpc-egress-gateway": GATEWAY, "af": "4"},
    }
    assert [row for row in after[ROUTER] if row != ours] == before[ROUTER]
    assert nb.rows("NB_Global", "nb_cfg") == [{"nb_cfg": 1}]
    envelope = bus.event(f"uid-{GATEWAY}/1/nb/applied")
    assert envelope is not None
    assert (envelope.source, envelope.correlation_id) == ("veg/ovn-writer", "story")
    assert envelope.causation_id == f"uid-{GATEWAY}/1/nb"
    assert envelope.traceparent.split("-")[1] == TRACE.split("-")[1]
    assert writer.alive


def test_an_update_keeps_the_row_and_a_second_one_writes_nothing(nb: Ovsdb, bus: Bus, writer: Writer) -> None:
    bus.send(command(1, DOCUMENT))
    bus.wait_event(f"uid-{GATEWAY}/1/nb/applied")
    uuids = {row["_uuid"] for row in nb.rows("Logical_Router_Policy")}
    bus.send(command(2, SCALED))
    detail = bus.wait_event(f"uid-{GATEWAY}/2/nb/applied").detail
    assert detail == {"nb_cfg": "2", "inserted": "0", "updated": "1", "removed": "0"}
    assert {row["_uuid"] for row in nb.rows("Logical_Router_Policy")} == uuids
    dump = nb.dump()
    bus.send(command(2, SCALED, number="/again"))
    detail = bus.wait_event(f"uid-{GATEWAY}/2/nb/again/applied").detail
    assert detail == {"nb_cfg": "2", "inserted": "0", "updated": "0", "removed": "0"}
    assert nb.dump() == dump
    assert bus.observed("drift") == []
    assert writer.alive


def test_rows_come_change_and_go_in_one_transaction(nb: Ovsdb, bus: Bus, writer: Writer) -> None:
    others = found(nb)
    first = rows(
        policy("10.16.0.0/16", "10.16.0.12"),
        policy("10.17.0.0/16", "10.16.0.12"),
        policy("fd00::/64", "fd00::2", family="6"),
    )
    second = rows(policy("10.17.0.0/16", "10.16.0.13"), policy("10.18.0.0/16", "10.16.0.13"))
    bus.send(command(1, first), command(2, second))
    detail = bus.wait_event(f"uid-{GATEWAY}/2/nb/applied").detail
    assert detail == {"nb_cfg": "2", "inserted": "1", "updated": "1", "removed": "2"}
    bus.send(command(3, NbRows()))
    detail = bus.wait_event(f"uid-{GATEWAY}/3/nb/applied").detail
    assert detail == {"nb_cfg": "3", "inserted": "0", "updated": "0", "removed": "2"}
    assert found(nb) == others
    assert writer.alive


def test_rows_follow_to_another_router_and_go_when_a_router_is_gone(nb: Ovsdb, bus: Bus, writer: Writer) -> None:
    others = found(nb)
    nb.nbctl("lr-add", "vpc1")
    bus.send(command(1, DOCUMENT), command(2, rows(*DOCUMENT.policies, router="vpc1")))
    bus.wait_event(f"uid-{GATEWAY}/2/nb/applied")
    after = found(nb)
    assert after[ROUTER] == others[ROUTER]
    assert [row["priority"] for row in after["vpc1"]] == [29100]
    nb.nbctl("lr-del", "vpc1")
    bus.send(command(3, NbRows()))
    assert bus.wait_event(f"uid-{GATEWAY}/3/nb/applied").generation == 3
    assert found(nb) == others
    assert writer.alive


def test_rows_of_others_are_left_alone_even_with_the_same_match(nb: Ovsdb, bus: Bus, writer: Writer) -> None:
    nb.nbctl("lr-policy-add", ROUTER, "29100", "ip4.src == 10.16.0.0/16", "reroute", "10.16.9.9")
    others = found(nb)
    bus.send(command(1, DOCUMENT), command(2, rows(*DOCUMENT.policies), gateway="other/gateway1"))
    bus.wait_event("uid-other/gateway1/2/nb/applied")
    assert len(found(nb)[ROUTER]) == len(others[ROUTER]) + 2
    bus.send(command(2, NbRows()), command(3, NbRows(), gateway="other/gateway1"))
    bus.wait_event("uid-other/gateway1/3/nb/applied")
    assert found(nb) == others
    assert writer.alive


def test_a_lower_generation_is_refused(nb: Ovsdb, bus: Bus, writer: Writer) -> None:
    bus.send(command(2, SCALED), command(1, DOCUMENT))
    assert bus.wait_event(f"uid-{GATEWAY}/1/nb/refused") == CommandRefused(
        command_id=f"uid-{GATEWAY}/1/nb",
        gateway=GATEWAY,
        gateway_uid=f"uid-{GATEWAY}",
        part="nb",
        generation=1,
        applied_generation=2,
    )
    assert [row["nexthops"] for row in found(nb)[ROUTER] if row["priority"] == 29100] == [["10.16.0.12", "10.16.0.15"]]
    assert writer.alive


def test_programmed_is_told_when_the_chassis_have_it(nb: Ovsdb, bus: Bus, writer: Writer) -> None:
    bus.send(command(1, DOCUMENT), command(2, SCALED))
    bus.wait_event(f"uid-{GATEWAY}/2/nb/applied")
    assert not [envelope for envelope in bus.events() if isinstance(envelope.data, RowsProgrammed)]
    nb.nbctl("set", "NB_Global", ".", "hv_cfg=1")
    assert bus.wait_event(f"uid-{GATEWAY}/1/nb/programmed").nb_cfg == 1
    assert bus.event(f"uid-{GATEWAY}/2/nb/programmed") is None
    nb.nbctl("set", "NB_Global", ".", "hv_cfg=7")
    assert bus.wait_event(f"uid-{GATEWAY}/2/nb/programmed").nb_cfg == 2
    # Nothing to change: the present nb_cfg confirms it, which the chassis have already.
    bus.send(command(2, SCALED, number="/again"))
    assert bus.wait_event(f"uid-{GATEWAY}/2/nb/again/programmed").nb_cfg == 2
    assert writer.alive


def test_northd_confirms(nb: Ovsdb, bus: Bus, writer: Writer, northd: Northd) -> None:
    bus.send(command(1, DOCUMENT))
    assert bus.wait_event(f"uid-{GATEWAY}/1/nb/programmed").generation == 1
    assert northd.process.alive
    assert writer.alive
    assert nb.process.alive


BAD = {
    "router": (rows(*DOCUMENT.policies, router="nowhere"), "Logical_Router 'nowhere' not found"),
    "no-router": (rows(*DOCUMENT.policies, router=""), "Logical_Router '' not found"),
    "priority": (rows(policy("10.16.0.0/16", priority=40000)), "Logical_Router_Policy.priority = 40000"),
    "huge": (rows(policy("10.16.0.0/16", priority=2**70)), "Logical_Router_Policy.priority"),
    "action": (
        rows(RoutePolicy(family="4", priority=1, match="ip4", action="explode")),
        "Logical_Router_Policy.action = 'explode'",
    ),
    "nul": (rows(RoutePolicy(family="4", priority=1, match="a\0b", action="drop")), "NUL"),
    "ambiguous": (rows(policy("10.16.0.0/16", "10.16.0.1"), policy("10.16.0.0/16", "10.16.0.2")), "cannot both"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_can_never_succeed_says_why_and_holds_nobody_up(nb: Ovsdb, bus: Bus, writer: Writer, case: str) -> None:
    bad, words = BAD[case]
    dump = nb.dump()
    bus.send(command(1, bad))
    failed = bus.wait_event(f"uid-{GATEWAY}/1/nb/failed")
    assert isinstance(failed, CommandFailed)
    assert words in failed.message
    assert nb.dump() == dump
    bus.send(command(1, DOCUMENT, gateway="default/good"))
    assert bus.wait_event("uid-default/good/1/nb/applied").generation == 1
    assert writer.alive


def test_two_routers_of_one_name_are_not_guessed_at(nb: Ovsdb, bus: Bus, writer: Writer) -> None:
    nb.nbctl("--add-duplicate", "lr-add", ROUTER)
    bus.send(command(1, DOCUMENT))
    assert "is there 2 times" in bus.wait_event(f"uid-{GATEWAY}/1/nb/failed").message
    assert writer.alive


def test_garbage_is_logged_and_dropped(nb: Ovsdb, bus: Bus, writer: Writer) -> None:
    good = command(1, DOCUMENT, gateway="default/good")
    headers = {"ce-specversion": "1.0", "ce-id": "x", "ce-source": "x", "ce-time": "x", "ce-type": good.type}
    bus.send_raw("veg.cmd.ovn.garbage", b"\xff\xfe")
    bus.send_raw("veg.cmd.ovn.a.b.c", b"{}", headers)
    bus.send_raw("veg.cmd.ovn.a.b.c", b"[" * 100_000, headers)
    bus.send_raw("veg.cmd.ovn.a.b.c", b"{}", {**headers, "ce-type": "veg.kube.ensure-status.v1"})
    for name in ("No-Name", "a b/c", "a/B", "/"):
        unnameable = command(1, DOCUMENT, gateway=name)
        bus.send_raw("veg.cmd.ovn.a.b.c", to_body(unnameable), {**headers, "ce-id": name})
    bus.send(good)
    bus.wait_event("uid-default/good/1/nb/applied")
    wait_for("all to be acknowledged", lambda: bus.unacknowledged() == 0)
    assert writer.log.read_text().count("message dropped") == 8
    assert writer.alive
    assert nb.process.alive
