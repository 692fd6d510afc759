"""What is known of memberships, and which changes build on it."""

from veg_contracts.commands import ChangeMembers, EnsureMembers, EnsureNb
from veg_contracts.intent import NbRows
from veg_ovn_writer.roster import Membership, Roster


def whole(generation: int, *ports: str, gateway: str = "a/a", uid: str = "u", group: str = "G") -> EnsureMembers:
    return EnsureMembers(gateway=gateway, gateway_uid=uid, generation=generation, port_group=group, ports=ports)


def change(base: int, *added: str, removed: tuple[str, ...] = (), uid: str = "u", group: str = "G") -> ChangeMembers:
    return ChangeMembers(
        gateway="a/a", gateway_uid=uid, generation=base + 1, base=base, port_group=group, added=added, removed=removed
    )


def known(*orders: EnsureMembers) -> Roster:
    roster = Roster()
    for order in orders:
        roster.replace(order)
    return roster


def test_nothing_builds_on_nothing() -> None:
    roster = Roster()
    assert not roster.follows(change(1, "p"))
    assert not roster.follows(change(0, "p"))
    assert roster.known(change(1, "p")) == 0


def test_a_change_builds_on_its_base_only() -> None:
    roster = known(whole(3, "p"))
    assert [roster.follows(change(base, "q")) for base in (1, 2, 3, 4)] == [False, True, True, False]
    assert roster.known(change(1)) == 3


def test_a_change_of_another_gateway_or_group_builds_on_nothing() -> None:
    roster = known(whole(3, "p"))
    assert roster.known(change(3, "q", uid="another")) == 0
    assert roster.known(change(3, "q", group="H")) == 0


def test_a_change_is_remembered_and_the_same_again_changes_nothing() -> None:
    roster = known(whole(1, "p", "q"))
    for _ in range(2):
        assert roster.follows(change(1, "r", removed=("p",)))
        roster.change(change(1, "r", removed=("p",)))
        assert roster.all() == [Membership("a/a", "u", 2, "G", {"q", "r"})]


def test_a_touched_port_is_due_to_whoever_wants_it() -> None:
    roster = known(whole(1, "p", "q"), whole(1, "q", gateway="b/b", group="H"))
    roster.touch({"q", "nobody"})
    assert [(one.gateway, one.due) for one in roster.due()] == [("a/a", {"q"}), ("b/b", {"q"})]
    roster.change(change(1, removed=("q",)))
    assert [one.gateway for one in roster.due()] == ["b/b"]
    roster.settle()
    assert roster.due() == []


def test_a_port_that_left_is_not_due() -> None:
    roster = known(whole(1, "p"))
    roster.replace(whole(2, "q"))
    roster.touch({"p"})
    assert roster.due() == []


def test_a_membership_goes_with_its_group() -> None:
    for rows, uid, left in (
        (NbRows(port_groups=("G",)), "u", 1),
        (NbRows(), "u", 0),
        (NbRows(port_groups=("G",)), "v", 0),
    ):
        roster = known(whole(1, "p"))
        roster.keep(EnsureNb(gateway="a/a", gateway_uid=uid, generation=9, rows=rows))
        assert len(roster.all()) == left
        assert roster.of({"a/a", "x/x"}) == roster.all()
        roster.touch({"p"})
        assert len(roster.due()) == left
