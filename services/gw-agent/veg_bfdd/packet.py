"""BFD Control packets (RFC 5880, 4.1), without authentication."""

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

_VERSION: Final = 1
_LENGTH: Final = 24
_LAYOUT: Final = struct.Struct("!BBBBIIIII")
_POLL, _FINAL, _AUTHENTICATION, _DEMAND, _MULTIPOINT = 0x20, 0x10, 0x04, 0x02, 0x01


class State(IntEnum):
    """The state of a session; the numbers are those on the wire."""

    ADMIN_DOWN = 0
    DOWN = 1
    INIT = 2
    UP = 3

    @property
    def text(self) -> str:
        """As RFC 5880 spells it."""
        return ("AdminDown", "Down", "Init", "Up")[self]


class Diagnostic(IntEnum):
    """Why a session last left the state Up (RFC 5880, 4.1); those that this speaker sets."""

    NONE = 0
    DETECTION_TIME_EXPIRED = 1
    NEIGHBOR_SIGNALED_DOWN = 3

    @property
    def text(self) -> str:
        """As RFC 5880 spells it."""
        texts = {0: "No Diagnostic", 1: "Control Detection Time Expired", 3: "Neighbor Signaled Session Down"}
        return texts[self]


class BadPacketError(ValueError):
    """A packet that RFC 5880, 6.8.6 says to discard; the text says why."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One control packet. Intervals in microseconds."""

    state: State
    detect_mult: int
    my_discriminator: int
    your_discriminator: int
    desired_min_tx: int
    required_min_rx: int
    diagnostic: int = 0
    poll: bool = False
    final: bool = False
    demand: bool = False

    def encode(self) -> bytes:
        """The 24 bytes of it."""
        flags = self.state << 6 | _POLL * self.poll | _FINAL * self.final | _DEMAND * self.demand
        return _LAYOUT.pack(
            _VERSION << 5 | self.diagnostic,
            flags,
            self.detect_mult,
            _LENGTH,
            self.my_discriminator,
            self.your_discriminator,
            self.desired_min_tx,
            self.required_min_rx,
            0,  # Required Min Echo RX Interval: no echo
        )


def decode(data: bytes) -> Packet:
    """Read a packet, by the rules that need no session.

    Raises:
        BadPacketError: it is to be discarded.
    """
    if len(data) < _LENGTH:
        raise BadPacketError(f"{len(data)} bytes, at least {_LENGTH} are needed")
    first, flags, mult, length, mine, yours, min_tx, min_rx, _ = _LAYOUT.unpack_from(data)
    if first >> 5 != _VERSION:
        raise BadPacketError(f"version {first >> 5}")
    if not _LENGTH <= length <= len(data):
        raise BadPacketError(f"length {length} of {len(data)} bytes")
    if flags & _AUTHENTICATION:
        raise BadPacketError("authentication is not in use")
    if flags & _MULTIPOINT:
        raise BadPacketError("the multipoint bit is set")
    if flags & _POLL and flags & _FINAL:
        raise BadPacketError("poll and final are both set")
    if mult == 0 or mine == 0:
        raise BadPacketError("detect multiplier or discriminator of the sender is zero")
    state = State(flags >> 6)
    if yours == 0 and state in (State.INIT, State.UP):
        raise BadPacketError(f"your discriminator is zero in state {state.text}")
    return Packet(
        state=state,
        detect_mult=mult,
        my_discriminator=mine,
        your_discriminator=yours,
        desired_min_tx=min_tx,
        required_min_rx=min_rx,
        diagnostic=first & 0x1F,
        poll=bool(flags & _POLL),
        final=bool(flags & _FINAL),
        demand=bool(flags & _DEMAND),
    )
