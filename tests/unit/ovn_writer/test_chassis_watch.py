"""What a writer tells of chassis, and when: after its start, after a gap, and not twice."""

from veg_contracts.events import ChassisObserved
from veg_ovn_writer.chassis import Chassis, Moment, View
from veg_ovn_writer.chassis_watch import ChassisWatch, Counters

BOUND_S = 5.0


def at(second: float) -> Moment:
    return Moment(1000.0 + second, f"2026-01-01T14:03:{second:09.6f}Z")


def view(epoch: int = 1, **numbers: int) -> View:
    return View(epoch, {name: Chassis(name, "", number) for name, number in numbers.items()})


def names(event: ChassisObserved | None) -> tuple[list[str], list[str]] | None:
    return None if event is None else ([one.name for one in event.silent], [one.name for one in event.back])


def test_a_writer_that_starts_tells_all_there_is_once_the_bound_has_passed() -> None:
    watch = ChassisWatch(BOUND_S, follows=True)
    counters = Counters(epoch=1, sb_cfg=4, hv_cfg=3)
    assert watch.look(view(a=4, b=4), counters, at(0)) == (4, None)
    assert watch.due_s == at(5).monotonic_s, "also if nothing happens"
    assert watch.look(view(a=4, b=4), counters, at(5)) == (4, ChassisObserved())
    assert watch.look(view(a=4, b=4), counters, at(6)) == (4, None)
    assert watch.due_s is None


def test_a_dead_chassis_holds_a_new_writer_for_the_bound_and_is_told_at_its_end() -> None:
    watch = ChassisWatch(BOUND_S, follows=True)
    counters = Counters(epoch=1, sb_cfg=4, hv_cfg=3)
    assert watch.look(view(a=4, b=3), counters, at(0)) == (3, None)
    level, event = watch.look(view(a=4, b=3), counters, at(5))
    assert (level, names(event)) == (4, (["b"], []))
    assert watch.look(view(a=4, b=3), counters, at(6)) == (4, None)
    level, event = watch.look(view(a=4, b=4), counters, at(7))
    assert (level, names(event)) == (4, ([], ["b"]))


def test_without_a_southbound_database_hv_cfg_counts_and_it_is_told_that_nobody_is_silent() -> None:
    watch = ChassisWatch(BOUND_S, follows=False)
    assert watch.look(None, Counters(epoch=1, sb_cfg=4, hv_cfg=3), at(0)) == (3, ChassisObserved())
    assert watch.look(None, Counters(epoch=1, sb_cfg=4, hv_cfg=4), at(9)) == (4, None)


def test_while_the_southbound_database_is_away_hv_cfg_counts_and_nothing_is_told() -> None:
    watch = ChassisWatch(BOUND_S, follows=True)
    counters = Counters(epoch=1, sb_cfg=4, hv_cfg=3)
    watch.look(view(a=4, b=3), counters, at(0))
    watch.look(view(a=4, b=3), counters, at(5))
    assert watch.look(None, counters, at(6)) == (3, None)
    assert watch.due_s is None
    assert watch.look(view(2, a=4, b=3), counters, at(60)) == (4, None), "still silent, and told before"
    level, event = watch.look(view(2, a=4, b=4), counters, at(61))
    assert (level, names(event)) == (4, ([], ["b"]))


def test_a_southbound_database_that_comes_late_is_told_of_after_the_bound() -> None:
    watch = ChassisWatch(BOUND_S, follows=True)
    counters = Counters(epoch=1, sb_cfg=4, hv_cfg=3)
    assert watch.look(None, counters, at(0)) == (3, None)
    assert watch.look(view(a=4, b=3), counters, at(30)) == (3, None)
    level, event = watch.look(view(a=4, b=3), counters, at(35))
    assert (level, names(event)) == (4, (["b"], []))


def test_a_writer_that_serves_again_knows_nobody_and_tells_all_anew() -> None:
    watch = ChassisWatch(BOUND_S, follows=True)
    for second in (0, 5):
        watch.look(view(a=4, b=3), Counters(epoch=1, sb_cfg=4, hv_cfg=3), at(second))
    counters = Counters(epoch=2, sb_cfg=4, hv_cfg=3)
    assert watch.look(view(a=4, b=3), counters, at(20)) == (3, None)
    level, event = watch.look(view(a=4, b=3), counters, at(25))
    assert (level, names(event)) == (4, (["b"], []))
