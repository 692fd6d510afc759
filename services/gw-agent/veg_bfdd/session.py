"""One BFD session as a value: what a packet, the time, or a new configuration makes of it (RFC 5880, 6.8). Pure.

Four things differ from what the RFC has, both for OVN (`docs/decisions/0009-bfd-speaker.md`):
- Required Min RX is announced as it is configured in every state. OVN sends its next packet by it; a second announced
  until Up would be longer than its own detection time.
- A discriminator of ours that is not known is taken for zero in state Down or AdminDown: OVN goes on sending the one of
  a speaker that has been restarted, and the session would never return.
- While a session is not up, the detection time is no less than that of packets each second: OVN announces what it is
  configured to, sends once in a second, and would be given up between two packets for ever.
- A detection time that the peer shortens counts from its next packet on, see `received`.
"""

from dataclasses import dataclass, replace
from typing import Final

from veg_bfdd.packet import BadPacketError, Diagnostic, Packet, State

# RFC 5880, 6.8.3: not more often than once in a second while the session is not up.
SLOW_US: Final = 1_000_000
_DOWN_STATES: Final = (State.DOWN, State.ADMIN_DOWN)


@dataclass(frozen=True, slots=True)
class Timers:
    """What is configured. Intervals in microseconds."""

    min_rx: int
    min_tx: int
    multiplier: int


@dataclass(frozen=True, slots=True)
class Peer:
    """What the other end last said (bfd.Remote… of RFC 5880, 6.8.1). Intervals in microseconds."""

    state: State = State.DOWN
    discriminator: int = 0
    min_rx: int = 1
    min_tx: int = 0
    multiplier: int = 0
    demand: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """A session. Times are seconds of a monotonic clock.

    `tx_us` and `rx_us` are the intervals in force. They follow the configured ones at once where that is safe, and else
    when the poll sequence ends (6.8.3). `poll_again`: the timers changed while a poll was under way, so the next answer
    may be to the old ones. `detect_at` is when the peer counts as lost; None: nothing was heard.
    """

    discriminator: int
    timers: Timers
    tx_us: int
    rx_us: int
    state: State = State.DOWN
    diagnostic: Diagnostic = Diagnostic.NONE
    peer: Peer = Peer()
    polling: bool = False
    poll_again: bool = False
    detect_at: float | None = None

    @property
    def desired_min_tx(self) -> int:
        """What is announced: no less than a second while not up."""
        return self.timers.min_tx if self.state is State.UP else max(self.timers.min_tx, SLOW_US)

    @property
    def interval_us(self) -> int:
        """Between two packets of ours, before jitter; 0: none are sent (the peer wants none, or is in demand mode)."""
        quiet = self.peer.demand and self.state is State.UP and self.peer.state is State.UP and not self.polling
        if quiet or self.peer.min_rx == 0:
            return 0
        tx_us = self.tx_us if self.state is State.UP else max(self.tx_us, SLOW_US)
        return max(tx_us, self.peer.min_rx)

    @property
    def detection_us(self) -> int:
        """After so long a silence the peer counts as lost (6.8.4)."""
        slow_us = 0 if self.state is State.UP else SLOW_US  # OVN announces less than a second and sends each second
        return self.peer.multiplier * max(self.rx_us, self.peer.min_tx, slow_us)


def new(discriminator: int, timers: Timers) -> Session:
    """A session that has heard nothing. `discriminator` is any number but zero that no other session has."""
    return Session(discriminator=discriminator, timers=timers, tx_us=timers.min_tx, rx_us=timers.min_rx)


def packet(session: Session, *, final: bool = False) -> Packet:
    """What the session has to say. With `final` it answers a poll, and polls nothing itself (6.8.7)."""
    return Packet(
        state=session.state,
        detect_mult=session.timers.multiplier,
        my_discriminator=session.discriminator,
        your_discriminator=session.peer.discriminator,
        desired_min_tx=session.desired_min_tx,
        required_min_rx=session.timers.min_rx,
        diagnostic=session.diagnostic,
        poll=session.polling and not final,
        final=final,
    )


def received(session: Session, heard: Packet, now: float) -> Session:
    """What a packet from the peer makes of the session (6.8.6). A poll in it is the caller's to answer.

    Raises:
        BadPacketError: it is not for this session.
    """
    if heard.your_discriminator not in (0, session.discriminator) and heard.state not in _DOWN_STATES:
        raise BadPacketError(f"your discriminator {heard.your_discriminator} is not known")
    peer = Peer(
        state=heard.state,
        discriminator=heard.my_discriminator,
        min_rx=heard.required_min_rx,
        min_tx=heard.desired_min_tx,
        multiplier=heard.detect_mult,
        demand=heard.demand,
    )
    # A peer that announces shorter intervals may have its next packet still scheduled by the longer ones, as OVN has:
    # the detection time becomes shorter one packet later.
    before_us, session = session.detection_us, replace(session, peer=peer)
    if heard.final and session.polling:
        session = _answered(session)
    session = _moved(session, heard.state)
    return replace(session, detect_at=now + max(before_us, session.detection_us) / 1e6)


def elapsed(session: Session, now: float) -> Session:
    """What the time makes of it: a peer that was silent for too long is lost."""
    if session.detect_at is None or now < session.detect_at:
        return session
    # What a lost peer asked for of our packets binds no longer: whoever comes in its place must hear us.
    session = replace(session, detect_at=None, peer=replace(session.peer, discriminator=0, demand=False, min_rx=1))
    if session.state is State.DOWN:
        return session
    return _to(session, State.DOWN, Diagnostic.DETECTION_TIME_EXPIRED)


def configured(session: Session, timers: Timers) -> Session:
    """Other timers, without leaving the state: when up, both ends agree on them by a poll sequence (6.8.3)."""
    if timers == session.timers:
        return session
    session = replace(session, timers=timers)
    if session.state is not State.UP:
        return _in_force(session)
    # Sending more often, and waiting for longer, is safe at once; the other way round only when the peer has agreed.
    tx_us, rx_us = min(session.tx_us, timers.min_tx), max(session.rx_us, timers.min_rx)
    return replace(session, tx_us=tx_us, rx_us=rx_us, polling=True, poll_again=session.polling)


def _answered(session: Session) -> Session:
    if session.poll_again:
        return replace(session, poll_again=False)
    return _in_force(replace(session, polling=False))


def _moved(session: Session, heard: State) -> Session:
    match session.state, heard:
        case State.UP | State.INIT, State.ADMIN_DOWN:
            return _to(session, State.DOWN, Diagnostic.NEIGHBOR_SIGNALED_DOWN)
        case State.UP, State.DOWN:
            return _to(session, State.DOWN, Diagnostic.NEIGHBOR_SIGNALED_DOWN)
        case State.DOWN, State.DOWN:
            return _to(session, State.INIT, session.diagnostic)
        case (State.DOWN, State.INIT) | (State.INIT, State.INIT | State.UP):
            return _to(session, State.UP, Diagnostic.NONE)
        case _:
            return session


def _to(session: Session, state: State, diagnostic: Diagnostic) -> Session:
    """A change of state. Coming up, the announced interval falls from a second to the configured one: by a poll."""
    up = state is State.UP
    return _in_force(replace(session, state=state, diagnostic=diagnostic, polling=up, poll_again=False))


def _in_force(session: Session) -> Session:
    return replace(session, tx_us=session.timers.min_tx, rx_us=session.timers.min_rx)
