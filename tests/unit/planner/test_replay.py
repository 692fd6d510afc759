"""A replay decides what was decided, and names the first place where it does not."""

import msgspec
from support.simulation import Simulation, created

from veg_contracts.base import encode
from veg_planner.replay import Decided, decided, first_difference, outcomes, replay
from veg_planner.world import World


def test_the_same_log_gives_the_same_bytes() -> None:
    simulation = created(2)
    intents, commands = replay(simulation.log)
    assert encode(intents) == encode([intent for outcome in simulation.outcomes for intent in outcome.intents])
    assert encode(commands) == encode([outgoing.data for outgoing in simulation.sent])


def test_no_difference_position_by_position() -> None:
    simulation = created(1)
    for (record, again), then in zip(outcomes(World(), simulation.log), simulation.outcomes, strict=True):
        assert first_difference(record.position, decided(record, again), decided(record, then)) is None


def test_a_difference_names_what_is_missing_added_or_changed() -> None:
    one, two = (Decided(position=3, name=name, digest="d") for name in ("a", "b"))
    changed = msgspec.structs.replace(one, digest="other")
    missing = first_difference(3, [one], [one, two])
    assert missing is not None
    assert (missing.replayed, missing.stored) == (None, two)
    added = first_difference(3, [one, two], [one])
    assert added is not None
    assert (added.replayed, added.stored) == (two, None)
    other = first_difference(3, [changed], [one])
    assert other is not None
    assert (other.replayed, other.stored) == (changed, one)


def test_an_empty_log_decides_nothing() -> None:
    assert replay([]) == ([], [])
    assert Simulation().outcomes == []
