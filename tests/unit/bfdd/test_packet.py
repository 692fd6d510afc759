from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from veg_bfdd.packet import BadPacketError, Packet, State, decode

UP = Packet(
    state=State.UP,
    detect_mult=3,
    my_discriminator=0x01020304,
    your_discriminator=0x0A0B0C0D,
    desired_min_tx=100_000,
    required_min_rx=200_000,
)
WIRE = bytes.fromhex("20c00318 01020304 0a0b0c0d 000186a0 00030d40 00000000")


def broken(offset: int, value: int) -> bytes:
    return WIRE[:offset] + bytes([value]) + WIRE[offset + 1 :]


def test_the_bytes_are_those_of_the_rfc() -> None:
    assert UP.encode() == WIRE
    assert decode(WIRE) == UP


@pytest.mark.parametrize(
    ("change", "byte"),
    [
        ({"diagnostic": 7}, (0, 0x27)),
        ({"state": State.ADMIN_DOWN}, (1, 0x00)),
        ({"state": State.DOWN}, (1, 0x40)),
        ({"state": State.INIT}, (1, 0x80)),
        ({"poll": True}, (1, 0xE0)),
        ({"final": True}, (1, 0xD0)),
        ({"demand": True}, (1, 0xC2)),
        ({"detect_mult": 255}, (2, 255)),
    ],
)
def test_each_field_is_where_the_rfc_has_it(change: dict[str, Any], byte: tuple[int, int]) -> None:
    assert replace(UP, **change).encode() == broken(*byte)
    assert decode(broken(*byte)) == replace(UP, **change)


def test_what_is_written_is_read_back() -> None:
    for state, poll, demand, number in product(State, (False, True), (False, True), (1, 255, 0xFFFFFFFF)):
        sent = Packet(state, number & 0xFF, number, number, number, number, number & 31, poll, not poll, demand)
        assert decode(sent.encode()) == sent


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "0 bytes"),
        (WIRE[:23], "23 bytes"),
        (broken(0, 0x00), "version 0"),
        (broken(0, 0x40), "version 2"),
        (broken(3, 23), "length 23"),
        (broken(3, 25), "length 25 of 24"),
        (broken(1, 0xC4), "authentication"),
        (broken(1, 0xC1), "multipoint"),
        (broken(1, 0xF0), "poll and final"),
        (broken(2, 0), "zero"),
        (WIRE[:4] + bytes(4) + WIRE[8:], "zero"),
        (WIRE[:8] + bytes(4) + WIRE[12:], "your discriminator is zero in state Up"),
        (broken(1, 0x80)[:8] + bytes(4) + WIRE[12:], "your discriminator is zero in state Init"),
    ],
)
def test_what_the_rfc_discards_is_a_bad_packet(data: bytes, reason: str) -> None:
    with pytest.raises(BadPacketError, match=reason):
        decode(data)


def test_bytes_behind_the_packet_are_padding() -> None:
    assert decode(WIRE + b"padding") == UP


def test_the_control_plane_independent_bit_and_the_echo_interval_mean_nothing_to_us() -> None:
    assert decode(broken(1, 0xC8)) == UP
    assert decode(broken(23, 9)) == UP
