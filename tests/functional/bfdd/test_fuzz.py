"""Packets that no peer would send: none of them may end the speaker, and no bad one may change a session."""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from functional.bfdd.link import Peer, Speaker

from veg_bfdd.config import Config, Pair
from veg_bfdd.packet import Packet, State
from veg_bfdd.session import Timers
from veg_bfdd.speaker import Change
from veg_bfdd.speaker import Speaker as Sessions

PACKETS = 120_000
BATCH = 100
OURS = 0x11223344
PAIR = Pair("10.9.0.1", "10.9.0.2")


def is_bad(data: bytes, ours: int) -> bool:
    """By RFC 5880, 6.8.6, but for what OVN needs: with Down and AdminDown any discriminator of ours may come."""
    if len(data) < 24 or data[0] >> 5 != 1 or not 24 <= data[3] <= len(data):
        return True
    state, yours = data[1] >> 6, int.from_bytes(data[8:12], "big")
    flags_bad = data[1] & 0x05 or data[1] & 0x30 == 0x30
    return bool(flags_bad or data[2] == 0 or data[4:8] == bytes(4) or (state >= 2 and yours != ours))


def samples(good: bytes, seed: int) -> Iterator[bytes]:
    """Noise, and packets that are right but for a few bits or bytes, or their length."""
    rng = random.Random(seed)
    while True:
        data = bytearray(good)
        match rng.randrange(5):
            case 0:
                data = bytearray(rng.randbytes(rng.randrange(60)))
            case 1:
                data = data[: rng.randrange(24)]
            case 2:
                data[rng.randrange(24)] ^= 1 << rng.randrange(8)
            case 3:
                for _ in range(rng.randint(1, 4)):
                    data[rng.randrange(12)] = rng.randrange(256)
            case _:
                data[1] = rng.randrange(256)
                data += rng.randbytes(rng.randrange(8))
        yield bytes(data)


class Recorder:
    """What the speaker did since it was last asked."""

    def __init__(self) -> None:
        self.did = 0

    def send(self, _pair: Pair, _packet: Packet) -> None:
        self.did += 1

    def tell(self, _change: Change) -> None:
        self.did += 1


@pytest.mark.parametrize("ttl", [255, 253])
def test_in_every_state_a_bad_packet_changes_nothing_and_none_is_fatal(ttl: int) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    rng, outside = random.Random(seed), Recorder()
    sessions = Sessions(outside, rng.random)
    sessions.configure(Config(Timers(100_000, 100_000, 3), (PAIR,)), 0.0)
    ours = sessions.sessions[PAIR].discriminator
    good = Packet(State.UP, 3, 9, ours, desired_min_tx=100_000, required_min_rx=100_000).encode()
    bad, seen = 0, set()
    for number, data in zip(range(PACKETS), samples(good, seed), strict=False):
        before, outside.did = sessions.sessions[PAIR], 0
        seen.add(before.state)
        sessions.hear(PAIR, ttl, data, number / 1000)
        if ttl < 254 or is_bad(data, ours):
            bad += 1
            assert sessions.sessions[PAIR] is before, data.hex()
            assert outside.did == 0, data.hex()
        if number % 50 == 0:
            sessions.wake(number / 1000)
    print(f"{bad} of {PACKETS} were bad, states {seen}")
    assert sessions.discarded == bad
    assert ttl < 254 or (bad < PACKETS and seen == {State.DOWN, State.INIT, State.UP})


def lost(speaker: Speaker) -> int:
    """Packets that the kernel had no room for."""
    return sum(
        int(line.split()[-1]) for line in Path(f"/proc/{speaker.process.pid}/net/udp").read_text().splitlines()[1:]
    )


@pytest.mark.slow
def test_a_hundred_thousand_bad_packets_over_the_wire_leave_the_session_up(speaker: Speaker, up: Peer) -> None:
    assert up.heard is not None
    ours, seed = up.heard.my_discriminator, random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    bad = (data for data in samples(up.packet(State.UP).encode(), seed) if is_bad(data, ours))
    began, sent = time.monotonic(), 0
    while sent < 100_000:
        for _ in range(BATCH):
            up.send(next(bad))
        sent += BATCH
        assert speaker.states() == ["Up"]  # the answer comes when the packets before it are read
        if sent % 500 == 0:
            up.say(State.UP)
    print(f"{sent} packets in {time.monotonic() - began:.1f} s, {lost(speaker)} lost")
    assert lost(speaker) < 1000
    assert speaker.changes() == [("", "Down"), ("Down", "Init"), ("Init", "Up")]
    up.hear_for(0.2)
    up.say(State.UP, poll=True)
    assert up.hear_where(lambda packet: packet.final).state is State.UP
