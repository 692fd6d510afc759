"""Which chassis live, by rows and times alone; and the same by a plain reading of the whole history."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from veg_contracts.events import ChassisObserved, SilentChassis
from veg_ovn_writer import chassis as decision
from veg_ovn_writer.chassis import Chassis, Moment, Roll, look, observed, reached, renewed

BOUND_S = 5.0


def at(second: float) -> Moment:
    return Moment(1000.0 + second, f"2026-01-01T14:03:{second:09.6f}Z")


def rows(**numbers: int) -> dict[str, Chassis]:
    return {name: Chassis(name, f"host-{name}", number) for name, number in numbers.items()}


def seen(*looks: tuple[float, int, dict[str, Chassis]]) -> Roll:
    """The roll after these looks: second, sb_cfg, rows."""
    roll = Roll()
    for second, sb_cfg, found in looks:
        roll = look(roll, found, sb_cfg, at(second), BOUND_S)
    return roll


def test_a_chassis_that_lacks_a_number_for_the_bound_is_silent_from_then_on() -> None:
    before = seen((0, 3, rows(a=3, b=3)), (1, 4, rows(a=4, b=3)), (5.9, 4, rows(a=4, b=3)))
    assert (before.silent, before.due_s) == ({}, at(6).monotonic_s)
    assert reached(before, rows(a=4, b=3), 4, 3) == 3
    after = look(before, rows(a=4, b=3), 4, at(6), BOUND_S)
    assert after.silent == {"b": SilentChassis(name="b", hostname="host-b", lacks=4, since=at(1).at)}
    assert after.due_s is None
    assert reached(after, rows(a=4, b=3), 4, 3) == 4


def test_a_silent_one_is_left_out_of_what_comes_later_at_once() -> None:
    roll = seen((0, 3, rows(a=3, b=3)), (1, 4, rows(a=4, b=3)), (6, 4, rows(a=4, b=3)), (7, 5, rows(a=5, b=3)))
    assert reached(roll, rows(a=5, b=3), 5, 3) == 5


def test_it_is_back_with_the_newest_number_and_not_before() -> None:
    roll = seen((0, 3, rows(a=3, b=3)), (1, 4, rows(a=4, b=3)), (6, 5, rows(a=5, b=3)), (7, 5, rows(a=5, b=4)))
    assert roll.silent["b"].lacks == 4, "what it lacked first"
    assert look(roll, rows(a=5, b=5), 5, at(8), BOUND_S).silent == {}


def test_one_whose_row_goes_is_forgotten_and_has_the_whole_bound_when_it_comes_again() -> None:
    roll = seen((0, 3, rows(a=3, b=0)), (6, 3, rows(a=3, b=0)), (7, 3, rows(a=3)))
    assert roll.silent == {}
    again = look(roll, rows(a=3, b=0), 3, at(20), BOUND_S)
    assert (again.silent, again.due_s) == ({}, at(25).monotonic_s)
    assert look(again, rows(a=3, b=0), 3, at(25), BOUND_S).silent["b"].since == at(20).at


def test_a_northd_that_does_not_write_makes_nobody_silent() -> None:
    roll = seen((0, 3, rows(a=3)), (100, 3, rows(a=3)))
    assert (roll.silent, roll.due_s) == ({}, None)
    assert reached(roll, rows(a=9), 3, 3) == 3, "nor can a chassis have what it has not written"


def test_if_not_one_lives_hv_cfg_alone_counts() -> None:
    roll = seen((0, 4, rows(a=3, b=3)), (5, 4, rows(a=3, b=3)))
    assert roll.silent.keys() == {"a", "b"}
    assert reached(roll, rows(a=3, b=3), 4, 3) == 3
    assert reached(roll, rows(a=3, b=3), 4, 4) == 4


def test_hv_cfg_is_true_of_all_and_of_no_chassis_at_all() -> None:
    assert reached(Roll(), rows(a=3), 4, 4) == 4
    assert reached(Roll(), {}, 4, 2) == 2


def test_out_of_sight_is_not_counted_and_a_silent_one_stays_so() -> None:
    roll = seen((0, 4, rows(a=4, b=3, c=4)), (5, 5, rows(a=5, b=3, c=4)))
    assert roll.silent.keys() == {"b"}
    later = look(renewed(roll), rows(a=5, b=3, c=4), 5, at(60), BOUND_S)
    assert (set(later.silent), later.due_s) == ({"b"}, at(65).monotonic_s)


def test_a_database_that_was_restored_counts_again_from_there() -> None:
    roll = seen((0, 900, rows(a=900)), (100, 5, rows(a=900)), (104, 6, rows(a=5)))
    assert (roll.silent, roll.due_s) == ({}, at(109).monotonic_s)
    assert reached(roll, rows(a=900), 5, 5) == 5


def test_numbers_that_nobody_lacks_are_forgotten_and_of_too_many_the_first_decide() -> None:
    assert [number.nb_cfg for number in seen((0, 1, rows(a=1)), (1, 2, rows(a=1)), (2, 3, rows(a=2))).asked] == [3]
    roll = Roll()
    for number in range(decision._ASKED_MAX + 500):
        roll = look(roll, rows(a=0), number, at(number / 1000), BOUND_S)
    assert len(roll.asked) == decision._ASKED_MAX
    assert roll.asked[-1].nb_cfg == decision._ASKED_MAX + 499
    assert roll.due_s == at(0.001).monotonic_s + BOUND_S


def test_names_of_strangers_are_cut_and_cleaned() -> None:
    name = "evil\n\x00\ud800\u202e" + "x" * 10_000
    found = {name: Chassis(name, "h\tost", 0)}
    roll = look(look(Roll(), found, 1, at(0), BOUND_S), found, 1, at(5), BOUND_S)
    (silent,) = roll.silent.values()
    assert silent.name == "evil????" + "x" * (decision._NAME_LENGTH_MAX - 8)
    assert silent.hostname == "h?ost"


def test_what_is_told_is_sorted_bounded_and_says_who_is_back() -> None:
    many = {
        f"c{number:03}": SilentChassis(name=f"c{number:03}", hostname="", lacks=1, since="") for number in range(150)
    }
    event = observed({}, dict(reversed(many.items())), {})
    assert [one.name for one in event.silent] == sorted(many)[:100]
    assert (event.left_out, event.back) == (50, ())
    few = {name: many[name] for name in ("c000", "c001", "c002")}
    told = observed(few, {"c001": few["c001"]}, rows(c000=1, c001=0))
    assert told == ChassisObserved(silent=(few["c001"],), back=(few["c000"],)), "c002 is gone"


# The same, read plainly from a history that forgets nothing.


@dataclass(slots=True)
class Plain:
    asked: list[tuple[int, float]] = field(default_factory=list)
    come: dict[str, float] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)

    def look(self, numbers: dict[str, int], sb_cfg: int, second: float) -> None:
        if not self.asked or sb_cfg > self.asked[-1][0]:
            self.asked.append((sb_cfg, second))
        for name, number in numbers.items():
            if name not in self.last or number < self.last[name]:
                self.come[name] = second
            lacks = [when for asked, when in self.asked if asked > number]
            if not lacks:
                self.silent.discard(name)
            elif second - max(min(lacks), self.come[name]) >= BOUND_S:
                self.silent.add(name)
        self.silent &= numbers.keys()
        self.last = dict(numbers)


steps = st.lists(
    st.tuples(
        st.sampled_from(["ask", "report", "all", "go", "wait"]),
        st.sampled_from("abc"),
        st.integers(min_value=0, max_value=6),
    ),
    max_size=60,
)


@given(steps)
def test_nothing_that_is_forgotten_matters(taken: list[tuple[str, str, int]]) -> None:
    roll, plain = Roll(), Plain()
    second, sb_cfg, numbers = 0.0, 1, {"a": 1, "b": 1}
    for what, name, amount in taken:
        match what:
            case "ask":
                sb_cfg += amount
            case "report":
                numbers[name] = max(0, sb_cfg - amount)
            case "all":
                numbers = dict.fromkeys(numbers, sb_cfg)
            case "go":
                numbers.pop(name, None)
            case "wait":
                second += amount
        found = rows(**numbers)
        roll = look(roll, found, sb_cfg, Moment(second, ""), BOUND_S)
        plain.look(numbers, sb_cfg, second)
        assert roll.silent.keys() == plain.silent
        living = [number for name, number in numbers.items() if name not in plain.silent]
        level = reached(roll, found, sb_cfg, 0)
        assert level == (min(sb_cfg, *living) if living else 0)
        assert len(roll.asked) <= sb_cfg
        if roll.due_s is not None:
            assert second < roll.due_s <= second + BOUND_S
            due = look(roll, found, sb_cfg, Moment(roll.due_s, ""), BOUND_S)
            assert due.silent.keys() > roll.silent.keys(), "it is worth looking then"
