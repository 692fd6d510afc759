"""Who is in a port group: one port at a time, ports that come later, and what somebody else does to it."""

from collections.abc import Callable

import pytest
from functional.ovn_writer.harness import (
    GATEWAY,
    GROUP,
    SELECTING,
    Bus,
    Writer,
    add_ports,
    change,
    command,
    grouped,
    members,
)
from functional.ovsdb import Ovsdb
from functional.servers import wait_for

from veg_contracts.commands import members_part
from veg_contracts.events import CommandApplied, CommandRefused, MembersObserved
from veg_contracts.intent import NbRows

PORTS = ("pod1.default", "pod2.default")


def _uid(generation: int, outcome: str) -> str:
    return f"uid-{GATEWAY}/{generation}/members/{outcome}"


@pytest.fixture
def selected(nb: Ovsdb, bus: Bus, writer: Writer) -> Writer:
    """A writer that has put two ports into a group; a third one exists."""
    add_ports(nb, *PORTS, "pod3.default")
    bus.send(command(1, SELECTING), members(1, *PORTS))
    bus.wait_event(_uid(1, "applied"))
    assert grouped(nb) == set(PORTS)
    return writer


def test_the_whole_and_a_change_of_it(nb: Ovsdb, bus: Bus, selected: Writer) -> None:
    assert bus.wait_event(_uid(1, "applied")) == CommandApplied(
        command_id=f"uid-{GATEWAY}/1/members",
        gateway=GATEWAY,
        gateway_uid=f"uid-{GATEWAY}",
        part=members_part(GROUP),
        generation=1,
        detail={"nb_cfg": "2", "added": "2", "removed": "0", "awaited": "0"},
    )
    bus.send(change(1, ("pod3.default",), ("pod1.default",)))
    detail = bus.wait_event(_uid(2, "applied")).detail
    assert detail == {"nb_cfg": "3", "added": "1", "removed": "1", "awaited": "0"}
    assert grouped(nb) == {"pod2.default", "pod3.default"}
    # Delivered twice, as after a kill before the acknowledgement.
    bus.send(change(1, ("pod3.default",), ("pod1.default",), number="/again"))
    assert bus.wait_event(f"uid-{GATEWAY}/2/members/again/applied").detail["added"] == "0"
    bus.send(members(3, "pod1.default"))
    assert bus.wait_event(_uid(3, "applied")).detail["removed"] == "2"
    assert grouped(nb) == {"pod1.default"}
    assert bus.observed("drift") == []
    assert bus.members_observed() == []
    assert selected.alive


def test_a_change_costs_what_it_changes(nb: Ovsdb, bus: Bus, writer: Writer) -> None:
    many = [f"pod{number}.default" for number in range(1000)]
    add_ports(nb, *many, "one-more.default")
    nb.trace()
    bus.send(command(1, SELECTING), members(1, *many))
    assert bus.wait_event(_uid(1, "applied")).detail["added"] == "1000"
    bus.send(change(1, ("one-more.default",)))
    assert bus.wait_event(_uid(2, "applied")).detail["added"] == "1"
    assert len(grouped(nb)) == 1001
    whole, one = [line for line in nb.traced("Port_Group") if '"ports"' in line and '"lock"' in line]
    assert whole.count("uuid") > 1000
    assert '"op":"mutate"' in one
    assert one.count('["ports","insert",["set",[["uuid",') == 1
    assert len(one) < 1500, one
    assert writer.alive


def test_a_port_joins_when_it_comes(nb: Ovsdb, bus: Bus, selected: Writer) -> None:
    bus.send(members(2, *PORTS, "late1.default"), change(2, ("late2.default",)))
    assert bus.wait_event(_uid(2, "applied")).detail["awaited"] == "1"
    assert bus.wait_event(_uid(3, "applied")).detail["awaited"] == "1"
    add_ports(nb, "late1.default", "late2.default", "nobodys.default")
    wait_for("late ports to join", lambda: grouped(nb) == {*PORTS, "late1.default", "late2.default"})
    bus.send(change(3, (), ("late1.default", "never.default")))
    assert bus.wait_event(_uid(4, "applied")).detail["removed"] == "1"
    assert bus.members_observed() == []
    assert selected.alive


def test_a_port_that_goes_is_no_drift_and_joins_again(nb: Ovsdb, bus: Bus, selected: Writer) -> None:
    nb.nbctl("lsp-del", "pod1.default")
    assert grouped(nb) == {"pod2.default"}
    add_ports(nb, "pod1.default")
    wait_for("the port to join again", lambda: grouped(nb) == set(PORTS))
    nb.nbctl("lsp-del", "pod1.default", "--", "lsp-add", "subnet1", "pod1.default")
    wait_for("the port to join again", lambda: grouped(nb) == set(PORTS))
    assert bus.members_observed() == []
    assert bus.observed("drift") == []
    assert selected.alive


def test_what_somebody_else_does_is_told(nb: Ovsdb, bus: Bus, selected: Writer) -> None:
    nb.nbctl("pg-set-ports", GROUP, "pod2.default", "pod3.default")
    assert bus.wait_members_observed() == MembersObserved(
        gateway=GATEWAY, port_group=GROUP, generation=1, missing=("pod1.default",), foreign=("pod3.default",)
    )
    bus.send(members(1, *PORTS, number="/repair"))
    bus.wait_event(f"uid-{GATEWAY}/1/members/repair/applied")
    assert grouped(nb) == set(PORTS)
    assert len(bus.members_observed()) == 1
    assert bus.observed("drift") == []
    assert selected.alive


def test_what_somebody_did_while_we_could_not_see_is_told(nb: Ovsdb, bus: Bus, selected: Writer) -> None:
    nb.kill()
    selected.wait_says('"standing": "lost"')
    nb.start()
    bus.wait_listed(2)
    bus.send(change(1, ("pod3.default",)))
    assert bus.wait_event(_uid(2, "applied")).detail["added"] == "1"
    assert bus.members_observed() == []
    nb.process.stop()
    nb.kill()
    nb.start()
    nb.nbctl("pg-set-ports", GROUP, "pod2.default")
    assert bus.wait_members_observed().missing == ("pod1.default", "pod3.default")
    assert selected.alive


def test_a_writer_that_starts_is_sent_the_whole(
    nb: Ovsdb, bus: Bus, selected: Writer, make_writer: Callable[[], Writer]
) -> None:
    selected.kill()
    bus.send(change(1, ("pod3.default",)))
    second = make_writer()
    assert bus.wait_event(_uid(2, "refused")) == CommandRefused(
        command_id=f"uid-{GATEWAY}/2/members",
        gateway=GATEWAY,
        gateway_uid=f"uid-{GATEWAY}",
        part=members_part(GROUP),
        generation=2,
        applied_generation=0,
    )
    assert grouped(nb) == set(PORTS)
    bus.send(members(3, *PORTS, "pod3.default"), change(3, (), ("pod1.default",)))
    assert bus.wait_event(_uid(3, "applied")).detail["added"] == "1"
    assert bus.wait_event(_uid(4, "applied")).detail["removed"] == "1"
    assert grouped(nb) == {"pod2.default", "pod3.default"}
    assert second.alive


def test_what_does_not_build_on_what_is_known_is_refused(nb: Ovsdb, bus: Bus, selected: Writer) -> None:
    bus.send(members(5, *PORTS), change(3, ("pod3.default",)), change(7, ("pod3.default",)), members(2))
    assert bus.wait_event(_uid(2, "refused")).applied_generation == 5
    assert bus.wait_event(_uid(4, "refused")).applied_generation == 5
    assert bus.wait_event(_uid(8, "refused")).applied_generation == 5
    assert grouped(nb) == set(PORTS)
    # The generations of rows are others.
    bus.send(command(2, SELECTING))
    assert bus.wait_event(f"uid-{GATEWAY}/2/nb/applied").generation == 2
    assert selected.alive


def test_a_group_that_was_deleted(nb: Ovsdb, bus: Bus, selected: Writer) -> None:
    nb.nbctl("pg-del", GROUP)
    bus.wait_observed("drift")
    bus.send(change(1, ("pod3.default",)))
    assert bus.wait_event(_uid(2, "refused")).applied_generation == 1
    bus.send(members(3, *PORTS))
    assert bus.wait_event(_uid(3, "applied")).detail["added"] == "2"
    assert bus.wait_observed("drift", 2).after == (SELECTING,)
    # Deleted once more; this time its row comes back first.
    nb.nbctl("pg-del", GROUP)
    bus.wait_observed("drift", 3)
    bus.send(command(1, SELECTING, number="/repair"))
    assert bus.wait_members_observed().missing == PORTS
    assert selected.alive


def test_a_membership_ends_with_its_group(nb: Ovsdb, bus: Bus, selected: Writer) -> None:
    bus.send(command(2, NbRows()), change(1, ("pod3.default",)))
    assert bus.wait_event(_uid(2, "refused")).applied_generation == 0
    assert nb.rows("Port_Group") == []
    assert bus.members_observed() == []
    assert bus.observed("drift") == []
    assert selected.alive
