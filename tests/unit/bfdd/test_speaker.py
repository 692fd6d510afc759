"""The speaker in a world whose time the test turns: what is sent when, and what is told."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, cycle, pairwise
from typing import Any

import pytest

from veg_bfdd.config import Config, Pair
from veg_bfdd.packet import Packet, State
from veg_bfdd.session import Timers
from veg_bfdd.speaker import Change, Speaker

PAIR, PAIR6 = Pair("192.168.0.3", "10.255.255.255"), Pair("fd00::3", "fdff::1")
FAST = Timers(min_rx=100_000, min_tx=100_000, multiplier=3)


class World:
    """A speaker, and what it did."""

    def __init__(self, *draws: float, timers: Timers = FAST, pairs: tuple[Pair, ...] = (PAIR,)) -> None:
        self.now = 0.0
        self.sent: list[tuple[float, Pair, Packet]] = []
        self.told: list[Change] = []
        drawn: Iterator[float] = chain(draws, cycle((0.4, 0.5, 0.6)))
        self.speaker = Speaker(self, lambda: next(drawn))
        self.speaker.configure(Config(timers, pairs), self.now)

    def send(self, pair: Pair, packet: Packet) -> None:
        self.sent.append((self.now, pair, packet))

    def tell(self, change: Change) -> None:
        self.told.append(change)

    def pass_time(self, seconds: float) -> None:
        """Wake the speaker when it wants, as the loop does."""
        end = self.now + seconds
        while (due := self.speaker.due_at()) is not None and due <= end:
            self.now = max(due, self.now)
            self.speaker.wake(self.now)
        self.now = end

    def hear(self, state: State, *, pair: Pair = PAIR, ttl: int = 254, **fields: Any) -> None:
        ours = self.speaker.sessions[PAIR].discriminator
        packet = Packet(state, 3, 9, ours, desired_min_tx=100_000, required_min_rx=100_000)
        self.speaker.hear(pair, ttl, replace(packet, **fields).encode(), self.now)

    def bring_up(self) -> None:
        self.hear(State.DOWN, your_discriminator=0)
        self.hear(State.UP)
        self.hear(State.UP, final=True)
        self.sent.clear()

    @property
    def states(self) -> list[State]:
        return [change.session.state for change in self.told]


def gaps(world: World) -> list[float]:
    return [later[0] - earlier[0] for earlier, later in pairwise(world.sent)]


def test_a_new_session_is_told_and_sends_at_once() -> None:
    world = World()
    world.pass_time(0.0)
    assert world.told[0].previous is None
    assert [(packet.state, packet.poll) for _, _, packet in world.sent] == [(State.DOWN, False)]


def test_each_change_is_told_once_with_what_was_before() -> None:
    world = World()
    world.hear(State.DOWN, your_discriminator=0)
    world.hear(State.UP)
    world.hear(State.UP)
    world.pass_time(1.0)
    assert [(change.previous, change.session.state) for change in world.told] == [
        (None, State.DOWN),
        (State.DOWN, State.INIT),
        (State.INIT, State.UP),
        (State.UP, State.DOWN),
    ]


def test_a_change_is_sent_without_waiting() -> None:
    world = World()
    world.pass_time(0.1)
    world.hear(State.DOWN, your_discriminator=0)
    assert [packet.state for _, _, packet in world.sent] == [State.DOWN, State.INIT]


def test_a_poll_is_answered_at_once_and_a_final_is_not() -> None:
    world = World()
    world.bring_up()
    world.hear(State.UP, poll=True)
    world.hear(State.UP, final=True)
    assert [(packet.final, packet.poll) for _, _, packet in world.sent] == [(True, False)]


@pytest.mark.parametrize(("multiplier", "least", "most"), [(3, 0.075, 0.1), (1, 0.075, 0.09)])
def test_packets_come_up_to_a_quarter_early_and_never_late(multiplier: int, least: float, most: float) -> None:
    draws = [0.5] + [0.0, 0.999999, 0.3] * 40
    world = World(*draws, timers=replace(FAST, multiplier=multiplier))
    world.bring_up()
    for _ in range(20):
        world.pass_time(0.09)
        world.hear(State.UP)
    assert min(gaps(world)) == pytest.approx(least, abs=1e-6)
    assert max(gaps(world)) == pytest.approx(most, abs=1e-6)


def test_not_up_it_sends_once_in_a_second() -> None:
    world = World()
    world.pass_time(10.0)
    assert all(0.75 <= gap <= 1.0 for gap in gaps(world))


@pytest.mark.parametrize(("ttl", "state"), [(255, State.INIT), (254, State.INIT), (253, State.DOWN), (0, State.DOWN)])
def test_a_packet_from_more_than_one_hop_away_is_not_heard(ttl: int, state: State) -> None:
    world = World()
    world.hear(State.DOWN, your_discriminator=0, ttl=ttl)
    assert world.speaker.sessions[PAIR].state is state


def test_only_configured_pairs_are_heard() -> None:
    world = World(pairs=(PAIR, PAIR6))
    for stranger in (Pair(PAIR.local, "10.0.0.1"), Pair("192.168.0.4", PAIR.remote)):
        world.hear(State.DOWN, your_discriminator=0, pair=stranger)
    assert world.states == [State.DOWN] * 2
    assert world.speaker.discarded == 2


def test_a_bad_packet_changes_nothing() -> None:
    world = World()
    world.bring_up()
    before = world.speaker.sessions[PAIR]
    world.hear(State.UP, your_discriminator=before.discriminator ^ 1)
    world.hear(State.DOWN, my_discriminator=0)
    assert world.speaker.sessions[PAIR] == before
    assert (world.sent, world.speaker.discarded) == ([], 2)


def test_sessions_do_not_touch_each_other() -> None:
    world = World(0.1, 0.2, pairs=(PAIR, PAIR6))
    world.bring_up()
    assert world.speaker.sessions[PAIR6].state is State.DOWN
    one, other = (world.speaker.sessions[pair].discriminator for pair in (PAIR, PAIR6))
    assert one != other


def test_a_discriminator_is_never_zero_and_never_taken() -> None:
    world = World(0.0, 0.0, 0.999999999999, pairs=(PAIR, PAIR6))
    assert {session.discriminator for session in world.speaker.sessions.values()} == {1, 0xFFFFFFFE}


def test_other_timers_keep_the_session_and_are_announced_at_once() -> None:
    world = World()
    world.bring_up()
    world.speaker.configure(Config(replace(FAST, min_tx=1_000_000), (PAIR,)), world.now)
    assert [(packet.poll, packet.desired_min_tx) for _, _, packet in world.sent] == [(True, 1_000_000)]
    assert world.states[-1] is State.UP


def test_shorter_timers_do_not_wait_for_the_packet_that_was_scheduled_by_the_longer_ones() -> None:
    world = World(0.5, *[0.5] * 9, timers=replace(FAST, min_tx=1_000_000))
    world.bring_up()
    world.hear(State.UP, required_min_rx=1_000_000)
    world.speaker.configure(Config(FAST, (PAIR,)), world.now)
    world.hear(State.UP, final=True)
    assert world.speaker.due_at() == pytest.approx(world.now + 0.0875)


def test_a_session_that_is_no_longer_wanted_ends_and_a_new_one_has_another_discriminator() -> None:
    world = World(0.1, 0.5, 0.7)
    first = world.speaker.sessions[PAIR].discriminator
    world.speaker.configure(Config(FAST, ()), world.now)
    assert (world.speaker.sessions, world.speaker.due_at()) == ({}, None)
    world.speaker.configure(Config(FAST, (PAIR,)), world.now)
    assert world.speaker.sessions[PAIR].discriminator != first


def test_after_a_long_stop_the_session_times_out_once_and_one_packet_goes_out() -> None:
    world = World()
    world.bring_up()
    world.now += 3600
    world.speaker.wake(world.now)
    assert world.states[-1] is State.DOWN
    assert [packet.state for _, _, packet in world.sent] == [State.DOWN]
