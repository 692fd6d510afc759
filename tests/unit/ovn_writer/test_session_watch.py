"""What is said of sessions: each change once, in its order, and all of it again after a gap."""

from dataclasses import replace
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from veg_contracts.envelope import Envelope
from veg_contracts.events import SessionChanged
from veg_ovn_writer.nb import Nb
from veg_ovn_writer.replica import SessionRow
from veg_ovn_writer.session_watch import SessionWatch, rounds

ROW = SessionRow(UUID(int=1), "default/gateway2", "bfd@vpc1", "192.168.0.2", "up", "2026-01-01T00:00:00Z")
OTHER = replace(ROW, uuid=UUID(int=2), dst_ip="192.168.0.3")


async def publish(_: Envelope) -> None:
    raise AssertionError("nothing is published here")


def watch() -> SessionWatch:
    return SessionWatch(Nb("unix:/nonexistent", 1), publish)


def said(events: list[SessionChanged]) -> list[tuple[str, str, str]]:
    return [(event.dst_ip, event.previous, event.status) for event in events]


def test_a_change_is_said_once_with_what_was_before() -> None:
    sessions = watch()
    assert sessions.events(ROW) == [
        SessionChanged(
            gateway="default/gateway2",
            logical_port="bfd@vpc1",
            dst_ip="192.168.0.2",
            status="up",
            previous="",
            at="2026-01-01T00:00:00Z",
        )
    ]
    assert sessions.events(ROW) == []
    assert said(sessions.events(replace(ROW, status="down"))) == [(ROW.dst_ip, "up", "down")]
    assert said(sessions.events(replace(ROW, status=""))) == [(ROW.dst_ip, "down", "")]
    assert sessions.events(replace(ROW, status="")) == []


def test_after_a_gap_what_is_there_is_said_again_and_what_is_not_has_gone() -> None:
    sessions = watch()
    assert said(sessions.events((ROW, OTHER))) == [(ROW.dst_ip, "", "up"), (OTHER.dst_ip, "", "up")]
    assert said(sessions.events((OTHER,))) == [(ROW.dst_ip, "up", ""), (OTHER.dst_ip, "", "up")]
    assert said(sessions.events(())) == [(OTHER.dst_ip, "up", "")]


def test_the_row_of_a_relay_is_no_session() -> None:
    sessions = watch()
    relay = replace(ROW, owner="vpc1", logical_port="bfd-relay@vpc1", dst_ip="169.254.37.84", status="admin_down")
    assert sessions.events(relay) == []
    assert sessions.events((relay,)) == []
    assert sessions.events(replace(relay, status="")) == []


def test_rows_of_an_owner_that_cannot_be_are_not_spoken_of() -> None:
    sessions = watch()
    assert sessions.events(replace(ROW, owner="No Gateway")) == []
    assert sessions.events(replace(ROW, owner="No Gateway", status="")) == []


changes = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["up", "down"])), max_size=20).map(
    lambda pairs: [
        SessionChanged(gateway="a/b", logical_port="p", dst_ip=peer, status=status, previous=str(number), at="")
        for number, (peer, status) in enumerate(pairs)
    ]
)


@given(changes)
def test_rounds_keep_the_order_of_each_session_and_have_it_once_each(events: list[SessionChanged]) -> None:
    parts = rounds(events)
    flat = [event for part in parts for event in part]
    for peer in "abc":
        assert [event for event in flat if event.dst_ip == peer] == [event for event in events if event.dst_ip == peer]
    assert all(len({event.dst_ip for event in part}) == len(part) > 0 for part in parts)
    assert len(flat) == len(events)
