"""RFC 5880, 6.8, rule by rule."""

from dataclasses import replace
from itertools import product

import pytest

from veg_bfdd.packet import BadPacketError, Diagnostic, Packet, State
from veg_bfdd.session import Session, Timers, configured, elapsed, new, packet, received

DOWN, INIT, UP, ADMIN_DOWN = State.DOWN, State.INIT, State.UP, State.ADMIN_DOWN
OURS, THEIRS = 7, 9
FAST = Timers(min_rx=100_000, min_tx=100_000, multiplier=3)
SLOW = Timers(min_rx=1_000_000, min_tx=1_000_000, multiplier=3)
PEER = Packet(UP, 3, THEIRS, OURS, desired_min_tx=100_000, required_min_rx=100_000)
FINAL = replace(PEER, final=True)


def in_state(state: State, timers: Timers = FAST) -> Session:
    """A session that came into this state by packets, at second 0; an Up one has had its poll answered."""
    session = new(OURS, timers)
    if state is not DOWN:
        session = received(session, replace(PEER, state=DOWN), 0.0)
    if state is UP:
        session = received(received(session, PEER, 0.0), FINAL, 0.0)
    assert session.state is state
    return session


TABLE = {
    (DOWN, ADMIN_DOWN): DOWN,
    (DOWN, DOWN): INIT,
    (DOWN, INIT): UP,
    (DOWN, UP): DOWN,
    (INIT, ADMIN_DOWN): DOWN,
    (INIT, DOWN): INIT,
    (INIT, INIT): UP,
    (INIT, UP): UP,
    (UP, ADMIN_DOWN): DOWN,
    (UP, DOWN): DOWN,
    (UP, INIT): UP,
    (UP, UP): UP,
}


@pytest.mark.parametrize(("ours", "theirs"), list(product((DOWN, INIT, UP), State)))
def test_the_state_table(ours: State, theirs: State) -> None:
    assert received(in_state(ours), replace(PEER, state=theirs), 1.0).state is TABLE[ours, theirs]


@pytest.mark.parametrize("theirs", [DOWN, ADMIN_DOWN])
def test_the_peer_went_down_is_the_diagnostic_of_an_up_session_that_it_takes_down(theirs: State) -> None:
    down = received(in_state(UP), replace(PEER, state=theirs), 1.0)
    assert packet(down).diagnostic is Diagnostic.NEIGHBOR_SIGNALED_DOWN
    again = received(received(down, replace(PEER, state=DOWN), 2.0), PEER, 2.0)
    assert (again.state, again.diagnostic) == (UP, Diagnostic.NONE)


@pytest.mark.parametrize(("state", "detection_s"), [(INIT, 3.0), (UP, 0.3)])
def test_silence_takes_a_session_down_at_the_end_of_the_detection_time_and_not_before(
    state: State, detection_s: float
) -> None:
    session = received(in_state(state), replace(PEER, state=state), 10.0)
    assert session.detect_at == pytest.approx(10 + detection_s)
    assert elapsed(session, 9.99 + detection_s) is session
    lost = elapsed(session, 10.01 + detection_s)
    assert (lost.state, lost.diagnostic) == (DOWN, Diagnostic.DETECTION_TIME_EXPIRED)
    assert packet(lost).your_discriminator == 0
    assert lost.detect_at is None
    assert elapsed(lost, 99.0) is lost


def test_silence_in_down_forgets_the_peers_discriminator_only() -> None:
    lost = elapsed(received(in_state(DOWN), replace(PEER, state=ADMIN_DOWN), 0.0), 9.0)
    assert (lost.state, lost.diagnostic, lost.peer.discriminator) == (DOWN, Diagnostic.NONE, 0)


def test_a_lost_peer_that_wanted_no_packets_is_sent_some_again() -> None:
    session = received(in_state(UP), replace(PEER, required_min_rx=0), 0.0)
    assert session.interval_us == 0
    assert elapsed(session, 9.0).interval_us == 1_000_000


def test_detection_time_is_the_peers_multiplier_times_the_longer_interval() -> None:
    for their_mult, their_tx, our_rx, us in ((3, 50_000, 100_000, 300_000), (5, 400_000, 100_000, 2_000_000)):
        session = replace(new(OURS, replace(FAST, min_rx=our_rx, multiplier=9)), state=UP)
        heard = received(session, replace(PEER, detect_mult=their_mult, desired_min_tx=their_tx), 0.0)
        assert heard.detection_us == us
        assert heard.detect_at == pytest.approx(us / 1e6)


def test_a_shorter_detection_time_counts_from_the_peers_next_packet_on_and_a_longer_one_at_once() -> None:
    session = received(in_state(UP), replace(PEER, desired_min_tx=1_000_000), 10.0)
    assert session.detect_at == pytest.approx(13.0)
    session = received(session, PEER, 11.0)
    assert session.detect_at == pytest.approx(14.0)
    assert received(session, PEER, 11.1).detect_at == pytest.approx(11.4)


# Discriminators.


@pytest.mark.parametrize("theirs", [INIT, UP])
@pytest.mark.parametrize("ours", [DOWN, INIT, UP])
def test_an_unknown_discriminator_is_refused(ours: State, theirs: State) -> None:
    with pytest.raises(BadPacketError, match="your discriminator 8"):
        received(in_state(ours), replace(PEER, state=theirs, your_discriminator=8), 1.0)


@pytest.mark.parametrize("stale", [0, 8])
def test_a_stale_discriminator_in_down_is_taken_for_zero_or_the_session_never_returns(stale: int) -> None:
    assert received(in_state(DOWN), replace(PEER, state=DOWN, your_discriminator=stale), 1.0).state is INIT
    admin_down = replace(PEER, state=ADMIN_DOWN, your_discriminator=stale)
    assert received(in_state(UP), admin_down, 1.0).state is DOWN


def test_the_peers_discriminator_is_echoed_also_when_it_is_another_one() -> None:
    session = received(in_state(UP), replace(PEER, my_discriminator=77), 1.0)
    assert (packet(session).my_discriminator, packet(session).your_discriminator) == (OURS, 77)


# Intervals.


def test_a_session_that_is_not_up_announces_and_keeps_a_second_but_always_its_own_min_rx() -> None:
    for state in (DOWN, INIT):
        session = in_state(state)
        assert (packet(session).desired_min_tx, session.interval_us) == (1_000_000, 1_000_000)
        assert packet(session).required_min_rx == 100_000
    assert (packet(in_state(UP)).desired_min_tx, in_state(UP).interval_us) == (100_000, 100_000)
    assert packet(new(OURS, replace(FAST, min_tx=2_000_000))).desired_min_tx == 2_000_000


def test_the_peers_min_rx_is_respected() -> None:
    assert received(in_state(UP), replace(PEER, required_min_rx=500_000), 1.0).interval_us == 500_000
    assert received(in_state(UP), replace(PEER, required_min_rx=0), 1.0).interval_us == 0


def test_a_peer_in_demand_mode_is_sent_nothing_while_both_are_up_but_polls() -> None:
    session = received(in_state(UP), replace(PEER, demand=True), 1.0)
    assert session.interval_us == 0
    assert configured(session, SLOW).interval_us == 100_000
    assert received(in_state(DOWN), replace(PEER, state=DOWN, demand=True), 1.0).interval_us == 1_000_000
    assert elapsed(session, 9.0).interval_us == 1_000_000


# Poll sequences.


def test_coming_up_begins_a_poll_that_a_final_ends() -> None:
    session = received(in_state(INIT), PEER, 1.0)
    assert packet(session).poll
    assert packet(received(session, PEER, 1.1)).poll
    assert not packet(received(session, FINAL, 1.1)).poll


def test_an_answer_to_a_poll_has_the_final_bit_and_never_both() -> None:
    answer = packet(received(in_state(INIT), replace(PEER, poll=True), 1.0), final=True)
    assert (answer.final, answer.poll) == (True, False)


def test_a_final_that_nobody_asked_for_changes_no_timer() -> None:
    assert received(in_state(UP), FINAL, 1.0) == received(in_state(UP), PEER, 1.0)


def test_slower_when_up_announced_at_once_in_force_when_the_peer_has_agreed() -> None:
    session = configured(in_state(UP), SLOW)
    assert (packet(session).poll, packet(session).desired_min_tx, packet(session).required_min_rx) == (
        True,
        1_000_000,
        1_000_000,
    )
    assert session.interval_us == 100_000  # 6.8.3: not longer before the end of the poll
    assert session.detection_us == 3_000_000  # waiting for longer does no harm
    session = received(session, FINAL, 1.0)
    assert (packet(session).poll, session.interval_us, session.detection_us) == (False, 1_000_000, 3_000_000)


def test_faster_when_up_sent_at_once_expected_when_the_peer_has_agreed() -> None:
    peer = replace(PEER, required_min_rx=50_000)
    session = configured(received(in_state(UP, SLOW), peer, 1.0), FAST)
    assert session.interval_us == 100_000
    assert session.detection_us == 3_000_000  # 6.8.3: not shorter before the end of the poll
    session = received(session, replace(peer, final=True), 1.0)
    assert session.detection_us == 300_000


def test_timers_changed_during_a_poll_are_in_force_only_after_an_answer_that_can_be_to_them() -> None:
    session = configured(configured(in_state(UP), replace(FAST, min_tx=200_000)), SLOW)
    session = received(session, FINAL, 1.0)
    assert (packet(session).poll, session.interval_us) == (True, 100_000)
    session = received(session, FINAL, 2.0)
    assert (packet(session).poll, session.interval_us) == (False, 1_000_000)


def test_a_session_that_falls_down_ends_its_poll() -> None:
    session = received(configured(in_state(UP), SLOW), replace(PEER, state=DOWN), 1.0)
    assert not packet(session).poll


def test_timers_are_in_force_at_once_when_not_up_and_equal_ones_change_nothing() -> None:
    session = configured(in_state(INIT), SLOW)
    assert (session.rx_us, session.tx_us, session.polling) == (1_000_000, 1_000_000, False)
    assert configured(session, SLOW) is session


def test_a_changed_multiplier_is_announced_by_a_poll() -> None:
    session = configured(in_state(UP), replace(FAST, multiplier=5))
    assert (packet(session).poll, packet(session).detect_mult, session.detection_us) == (True, 5, 300_000)


def test_no_change_of_timers_leaves_the_state() -> None:
    for state, timers in product((DOWN, INIT, UP), (SLOW, replace(FAST, multiplier=1))):
        assert configured(in_state(state), timers).state is state
