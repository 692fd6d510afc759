"""All sessions of the speaker, and what they want: packets to send, and changes to tell. No sockets, no clock."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from veg_bfdd import session as sessions
from veg_bfdd.config import Config, Pair
from veg_bfdd.packet import BadPacketError, Packet, State, decode
from veg_bfdd.session import Session

# RFC 5881, 5 wants 255. OVN's packets come over one router hop, and nobody further away can send 254.
TTL_MIN: Final = 254
# RFC 5880, 6.8.7: a packet is sent up to 25 % early; with a multiplier of 1 at least 10 %.
_JITTER: Final = 0.25
_JITTER_MIN: Final = 0.10


@dataclass(frozen=True, slots=True)
class Change:
    """A session that is in another state than before; `previous` is None for one that was just made."""

    pair: Pair
    session: Session
    previous: State | None


class Outside(Protocol):
    """What the speaker does to the world."""

    def send(self, pair: Pair, packet: Packet) -> None:
        """Send a packet, if that is possible now."""

    def tell(self, change: Change) -> None:
        """Tell whoever listens."""


class Speaker:
    """The sessions by their pair of addresses. `random` gives numbers from 0 up to 1."""

    def __init__(self, outside: Outside, random: Callable[[], float]) -> None:
        self.sessions: dict[Pair, Session] = {}
        self.discarded = 0
        self._outside = outside
        self._random = random
        self._send_at: dict[Pair, float] = {}

    def configure(self, config: Config, now: float) -> None:
        """Keep the sessions that are still wanted, with the timers that are wanted now."""
        for pair in self.sessions.keys() - set(config.pairs):
            del self.sessions[pair], self._send_at[pair]
        for pair in config.pairs:
            if pair in self.sessions:
                self._become(pair, sessions.configured(self.sessions[pair], config.timers), now)
            else:
                self.sessions[pair] = sessions.new(self._discriminator(), config.timers)
                self._send_at[pair] = now
                self._outside.tell(Change(pair, self.sessions[pair], None))

    def hear(self, pair: Pair, ttl: int, data: bytes, now: float) -> None:
        """Take in what came from a peer. What is not for us, or is no good, changes nothing."""
        if pair not in self.sessions or ttl < TTL_MIN:
            self.discarded += 1
            return
        try:
            packet = decode(data)
            after = sessions.received(self.sessions[pair], packet, now)
        except BadPacketError:
            self.discarded += 1
            return
        self._become(pair, after, now)
        if packet.poll:
            self._outside.send(pair, sessions.packet(after, final=True))

    def wake(self, now: float) -> None:
        """Do what is due by now."""
        for pair in list(self.sessions):
            self._become(pair, sessions.elapsed(self.sessions[pair], now), now)
            if self._send_at[pair] <= now:
                self._send(pair, now)

    def due_at(self) -> float | None:
        """When `wake` is to be called next; None: there is nothing to do."""
        detections = (session.detect_at for session in self.sessions.values() if session.detect_at is not None)
        return min((*self._send_at.values(), *detections), default=None)

    def _become(self, pair: Pair, after: Session, now: float) -> None:
        before = self.sessions[pair]
        self.sessions[pair] = after
        if before.state is not after.state:
            self._outside.tell(Change(pair, after, before.state))
        if before.state is not after.state or (after.polling and not before.polling):
            self._send(pair, now)  # the peer should not have to wait for it
        elif before.interval_us != after.interval_us:
            self._send_at[pair] = min(self._send_at[pair], self._next(after, now))

    def _send(self, pair: Pair, now: float) -> None:
        session = self.sessions[pair]
        self._send_at[pair] = self._next(session, now)
        if session.interval_us:
            self._outside.send(pair, sessions.packet(session))

    def _next(self, session: Session, now: float) -> float:
        least = _JITTER_MIN if session.timers.multiplier == 1 else 0.0
        early = least + self._random() * (_JITTER - least)
        return now + (session.interval_us or sessions.SLOW_US) * (1 - early) / 1e6

    def _discriminator(self) -> int:
        taken = {session.discriminator for session in self.sessions.values()}
        while True:
            number = 1 + int(self._random() * 0xFFFFFFFE)
            if number not in taken:
                return number
