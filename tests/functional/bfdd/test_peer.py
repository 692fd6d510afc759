"""The speaker against a peer that says what the test wants, over real sockets."""

import time
from itertools import product
from statistics import median

import pytest
from functional.bfdd.link import NEAR, PAIR, PAIR6, Events, Link, Peer, Speaker, until

from veg_bfdd.packet import Diagnostic, State

pytestmark = pytest.mark.timed

ADMIN_DOWN, DOWN, INIT, UP = State
TABLE = {
    DOWN: {ADMIN_DOWN: DOWN, DOWN: INIT, INIT: UP, UP: DOWN},
    INIT: {ADMIN_DOWN: DOWN, DOWN: INIT, INIT: UP, UP: UP},
    UP: {ADMIN_DOWN: DOWN, DOWN: DOWN, INIT: UP, UP: UP},
}
# From each state every packet, and back to that state: the way to it from any other one.
WAY = {DOWN: (ADMIN_DOWN,), INIT: (ADMIN_DOWN, DOWN), UP: (ADMIN_DOWN, INIT)}


def state_after(peer: Peer, said: State) -> State:
    """Say something with a poll: the answer comes at once, and shows the state."""
    peer.say(said, poll=True)
    return peer.hear_where(lambda packet: packet.final).state


@pytest.mark.parametrize("pair", [PAIR, PAIR6], ids=["ipv4", "ipv6"])
def test_every_transition(link: Link, pair: tuple[str, str]) -> None:
    speaker, peer = link.speaker(NEAR, pair), Peer(link, pair)
    peer.hear()
    for ours, theirs in product((DOWN, INIT, UP), State):
        for step in WAY[ours]:
            reached = state_after(peer, step)
        assert reached is ours
        assert state_after(peer, theirs) is TABLE[ours][theirs], f"{ours.text}, the peer says {theirs.text}"
    assert speaker.alive()
    peer.close()


@pytest.mark.parametrize("pair", [PAIR, PAIR6], ids=["ipv4", "ipv6"])
def test_packets_are_sent_as_rfc_5881_wants(link: Link, pair: tuple[str, str]) -> None:
    link.speaker(NEAR, pair)
    peer = Peer(link, pair)
    ports = set()
    for _ in range(3):
        peer.hear()
        assert peer.ttl == 255
        ports.add(peer.source_port)
    assert len(ports) == 1
    assert 49152 <= ports.pop() <= 65535
    peer.close()


@pytest.mark.parametrize(("pair", "via"), [(PAIR, "10.9.0.3"), (PAIR6, "fd09::3")], ids=["ipv4", "ipv6"])
def test_a_session_goes_by_the_way_that_is_configured_and_lives_through_another(
    link: Link, pair: tuple[str, str], via: str
) -> None:
    speaker = link.speaker(NEAR)
    speaker.configure(pair, via=via)
    peer = Peer(link, pair)
    peer.receive_at(via)
    peer.bring_up()
    assert peer.ttl == 255
    assert f"local={pair[0]} (p) remote={pair[1]} state=Up" in speaker.status()
    for way in ("", via, ""):
        speaker.configure(pair, via=way)
        peer.receive_at(way or pair[1])
        assert peer.hear().state is State.UP
    assert speaker.changes()[-1] == ("Init", "Up")
    assert speaker.states() == ["Up"]
    peer.close()


def test_a_poll_is_answered_at_once(up: Peer) -> None:
    took_s = []
    for _ in range(20):
        asked_at = time.monotonic()
        up.say(State.UP, poll=True)
        assert not up.hear_where(lambda packet: packet.final).poll
        took_s.append(time.monotonic() - asked_at)
    assert median(took_s) < 0.02


def test_coming_up_polls_until_it_is_answered(speaker: Speaker, peer: Peer) -> None:
    peer.hear_state(State.DOWN)
    peer.say(State.INIT)
    for _ in range(3):
        assert peer.hear_state(State.UP).poll
    peer.say(State.UP, final=True)
    peer.hear_where(lambda packet: not packet.poll)
    assert speaker.states() == ["Up"]


def test_silence_is_noticed_after_the_detection_time(speaker: Speaker, up: Peer) -> None:
    events = Events(speaker)
    assert events.next()["state"] == "Up"
    up.say(State.UP, detect_mult=3)
    silent_from = time.monotonic()
    up.say(State.UP, detect_mult=3)  # the shorter time counts from the second packet on
    event = events.next()
    assert 0.3 <= time.monotonic() - silent_from < 1.0  # the longer one: 1 s at least
    assert (event["previous"], event["state"], event["diagnostic"]) == ("Up", "Down", "Control Detection Time Expired")
    assert up.hear_state(State.DOWN).diagnostic == Diagnostic.DETECTION_TIME_EXPIRED
    events.close()


@pytest.mark.parametrize("pair", [PAIR, PAIR6], ids=["ipv4", "ipv6"])
def test_a_packet_from_two_hops_away_is_not_heard(link: Link, pair: tuple[str, str]) -> None:
    speaker, peer = link.speaker(NEAR, pair), Peer(link, pair)
    peer.hear()
    for ttl in (253, 64, 1):
        peer.say(State.DOWN, ttl=ttl, poll=True)
    peer.hear_for(0.3)
    assert speaker.states() == ["Down"]
    peer.say(State.DOWN, ttl=254)
    peer.hear_state(State.INIT)
    peer.close()


def test_another_source_and_another_destination_are_not_heard(link: Link, speaker: Speaker, up: Peer) -> None:
    stranger = Peer(link, (PAIR[0], "10.9.0.3"))
    stranger.heard = up.heard
    for state in State:
        stranger.say(state)
        up.say(state, to="10.9.0.4")
    with pytest.raises(TimeoutError):
        stranger.hear(0.3)
    assert speaker.states() == ["Up"]
    assert speaker.changes()[-1] == ("Init", "Up")
    stranger.close()


def test_a_speaker_that_was_restarted_comes_back_though_the_peer_sends_its_old_discriminator(
    speaker: Speaker, up: Peer
) -> None:
    assert up.heard is not None
    old = up.heard.my_discriminator
    speaker.kill()
    speaker.start()
    up.hear_where(lambda packet: packet.my_discriminator != old)
    up.say(State.UP, your_discriminator=old)  # not heard: it is for the predecessor
    up.hear_for(0.2)
    assert speaker.states() == ["Down"]
    up.say(State.DOWN, your_discriminator=old)
    up.hear_state(State.INIT)
    up.say(State.UP)
    up.hear_state(State.UP)


def test_min_rx_is_announced_as_it_is_configured_in_every_state(speaker: Speaker, peer: Peer) -> None:
    assert speaker.states() == ["Down"]
    assert peer.hear_state(State.DOWN).required_min_rx == 100_000
    peer.say(State.DOWN)
    assert peer.hear_state(State.INIT).required_min_rx == 100_000
    peer.say(State.UP)
    assert peer.hear_state(State.UP).required_min_rx == 100_000


def test_other_timers_are_polled_for_and_in_force_when_answered(speaker: Speaker, up: Peer) -> None:
    speaker.configure(PAIR, ms=1000)
    asked = up.hear_where(lambda packet: packet.poll)
    assert (asked.desired_min_tx, asked.required_min_rx) == (1_000_000, 1_000_000)
    heard_at = time.monotonic()
    up.hear()
    assert time.monotonic() - heard_at < 0.5  # as before, as long as the peer has not agreed
    up.say(State.UP, final=True)
    up.hear_where(lambda packet: not packet.poll)
    heard_at = time.monotonic()
    up.hear()
    assert time.monotonic() - heard_at > 0.5
    assert speaker.states() == ["Up"]
    speaker.configure(PAIR, ms=100)
    up.hear_where(lambda packet: packet.poll and packet.desired_min_tx == 100_000)
    up.say(State.UP, final=True)
    until(lambda: not up.hear().poll, "the poll ends")
    assert speaker.changes()[-1] == ("Init", "Up")
