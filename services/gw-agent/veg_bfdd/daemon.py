"""The speaker's sockets, its config file, its control socket, and its clock: one loop, no threads."""

import contextlib
import json
import os
import random
import selectors
import socket
import struct
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from veg_bfdd import control
from veg_bfdd.config import Config, ConfigError, Pair, parse
from veg_bfdd.packet import Packet
from veg_bfdd.speaker import Change, Speaker

PORT: Final = 3784  # RFC 5881, 4
_SOURCE_PORTS: Final = (49152, 65535)
_IP_RECVTTL: Final = 12  # linux/in.h; the module `socket` of Python 3.11 lacks it
_RANDOM: Final = random.SystemRandom()
_LOOK_S: Final = 0.25  # how often the file is looked at, and a socket that could not be made is tried again
_READ_MAX: Final = 64  # packets from one socket before the others have their turn
_PACKET_MAX: Final = 512
_BUFFER_MAX: Final = 256 * 1024  # of a reader that does not read
_CLIENTS_MAX: Final = 64  # of the control socket; the oldest gives way


def say(event: str, *, level: str = "info", **fields: object) -> None:
    """One line of JSON, like the logs of the other services."""
    line = {"service": "bfdd", **fields, "event": event, "level": level, "timestamp": _wall_clock()}
    with contextlib.suppress(OSError):  # nobody reads it: no reason to stop
        sys.stderr.write(json.dumps(line) + "\n")
        sys.stderr.flush()


class Daemon:
    """Everything around the sessions. `directory` holds `bfd.json`, `bfdd.sock` and `bfdd.beat`."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / control.CONFIG
        self._selector = selectors.DefaultSelector()
        self._speaker = Speaker(self, _RANDOM.random)
        self._seen: tuple[int, ...] | None = None
        self._hearing: dict[str, socket.socket] = {}
        self._sending: dict[Pair, socket.socket] = {}
        self._via: Mapping[Pair, str] = {}
        self._failing: set[str] = set()
        self._clients: dict[socket.socket, _Client] = {}
        self._control = _listen(directory / control.SOCKET)
        self._beat = _Beat(directory / control.BEAT)
        self._selector.register(self._control, selectors.EVENT_READ, self._accept)

    def run(self) -> None:
        """Work for ever. It ends with the process: to stop in silence is what OVN notices soonest."""
        say("starting", file=str(self._file))
        look_at = time.monotonic()
        while True:
            now = time.monotonic()
            if now >= look_at:
                look_at = now + _LOOK_S
                self._look(now)
                self._beat.write()
            due_at = self._speaker.due_at()
            until = min(look_at, due_at) if due_at is not None else look_at
            # What came is read before it is said that nothing came: after a stop of the process both are due.
            for key, mask in self._selector.select(max(0.0, until - time.monotonic())):
                work: Callable[[int], None] = key.data
                work(mask)
            self._speaker.wake(time.monotonic())
            self._flush()

    # What the speaker does to the world.

    def send(self, pair: Pair, packet: Packet) -> None:
        to = self._via.get(pair, pair.remote)
        try:
            if pair not in self._sending:
                self._sending[pair] = _sender(pair)
            self._sending[pair].sendto(packet.encode(), (to, PORT))
        except OSError as error:
            # No way there for the moment, or the address has gone: neither is the end of it. A socket stays good for
            # when its address is back, and keeps its port (RFC 5881, 4); one that was not made is tried again.
            self._fails(f"send to {to}", error)
        else:
            self._failing.discard(f"send to {to}")

    def tell(self, change: Change) -> None:
        event = _event(change)
        say("session", **event)
        for client in list(self._clients.values()):
            if client.follows:
                client.queue(json.dumps(event) + "\n")

    # The file.

    def _look(self, now: float) -> None:
        try:
            found = self._file.stat()
            seen: tuple[int, ...] = (found.st_mtime_ns, found.st_ino, found.st_size)
            if seen != self._seen:
                config = parse(self._file.read_bytes())
                self._seen = seen
                self._configure(config, now)
            self._failing.discard("read the config")
        except FileNotFoundError:
            self._seen = None  # what is configured stays: somebody may be replacing it
        except ConfigError as error:
            self._seen = seen  # said once; the last good one stays
            say("config refused", level="error", file=str(self._file), reason=str(error))
        except OSError as error:
            self._seen = None
            self._fails("read the config", error)
        self._hear_all()

    def _configure(self, config: Config, now: float) -> None:
        say("configured", sessions=len(config.pairs), min_rx_us=config.timers.min_rx, min_tx_us=config.timers.min_tx)
        self._via = config.via  # first: a session that is new sends at once
        self._speaker.configure(config, now)
        for pair in self._sending.keys() - self._speaker.sessions.keys():
            self._sending.pop(pair).close()

    # Packets.

    def _hear_all(self) -> None:
        """One socket for each local address; an address that is not there yet is tried again."""
        wanted = {pair.local for pair in self._speaker.sessions}
        for address in self._hearing.keys() - wanted:
            self._deafen(address)
        for address in wanted - self._hearing.keys():
            try:
                made = _receiver(address)
            except OSError as error:
                self._fails(f"listen on {address}", error)
                continue
            self._failing.discard(f"listen on {address}")
            self._hearing[address] = made
            self._selector.register(made, selectors.EVENT_READ, lambda _, address=address: self._hear(address))

    def _deafen(self, address: str) -> None:
        gone = self._hearing.pop(address)
        self._selector.unregister(gone)
        gone.close()

    def _hear(self, address: str) -> None:
        for _ in range(_READ_MAX):
            try:
                data, extra, _, sender = self._hearing[address].recvmsg(_PACKET_MAX, 64)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self._fails(f"listen on {address}", error)
                self._deafen(address)
                return
            remote = str(ip_address(sender[0].partition("%")[0]))
            self._speaker.hear(Pair(address, remote), _ttl(extra), data, time.monotonic())

    def _fails(self, what: str, error: OSError) -> None:
        """Say it once, until it works again."""
        if what not in self._failing:
            self._failing.add(what)
            say("trying again", level="warning", what=what, reason=str(error))

    # The control socket.

    def _accept(self, _: int) -> None:
        try:
            made, _address = self._control.accept()
        except OSError:
            return
        made.setblocking(False)
        if len(self._clients) >= _CLIENTS_MAX:
            self._drop(next(iter(self._clients)))
        self._clients[made] = _Client()
        self._selector.register(made, selectors.EVENT_READ, lambda mask: self._serve(made, mask))

    def _serve(self, made: socket.socket, mask: int) -> None:
        if (client := self._clients.get(made)) is None:
            return  # dropped since the selector named it
        try:
            if mask & selectors.EVENT_READ:
                received = made.recv(4096)
                if not received:
                    raise ConnectionError("closed")
                self._answer(client, client.request(received))
            client.flush(made)
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self._drop(made)
            return
        if client.done:
            self._drop(made)
            return
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if client.waiting else 0)
        self._selector.modify(made, events, lambda mask: self._serve(made, mask))

    def _answer(self, client: "_Client", request: str) -> None:
        pairs = sorted(self._speaker.sessions.items())
        match request:
            case "":
                return
            case "status":
                client.queue(control.status([(pair.local, pair.remote, found.state.text) for pair, found in pairs]))
                client.last = True
            case "events":
                for pair, found in pairs:
                    client.queue(json.dumps(_event(Change(pair, found, None))) + "\n")
                client.follows = True
            case _:
                client.queue(f"{request!r} is not known: status or events\n")
                client.last = True

    def _drop(self, made: socket.socket) -> None:
        del self._clients[made]
        self._selector.unregister(made)
        made.close()

    def _flush(self) -> None:
        """Send to every follower what waits for it."""
        for made, client in list(self._clients.items()):
            if client.waiting:
                self._serve(made, 0)


class _Beat:
    """A file with the machine's uptime, in seconds, of when the loop last came round: a shell compares it with now."""

    _WIDTH: Final = 20

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._written = -1

    def write(self) -> None:
        uptime = int(time.clock_gettime(time.CLOCK_BOOTTIME))  # what /proc/uptime says (proc(5))
        if uptime != self._written:
            self._written = uptime
            with contextlib.suppress(OSError):  # a disk that is full is no reason to stop; the probe tells
                os.pwrite(self._file, f"{uptime}".ljust(self._WIDTH).encode() + b"\n", 0)


class _Client:
    """One reader of the control socket, and what it has not read yet."""

    def __init__(self) -> None:
        self.follows = False
        self.last = False
        self._asked = b""
        self._answer = bytearray()
        self._lost = False

    @property
    def waiting(self) -> bool:
        return bool(self._answer)

    @property
    def done(self) -> bool:
        return self._lost or (self.last and not self._answer)

    def request(self, received: bytes) -> str:
        """The line that was asked, once it is whole."""
        self._asked += received
        line, newline, self._asked = self._asked.partition(b"\n")
        if not newline:
            self._asked, self._lost = line, len(line) > _PACKET_MAX
            return ""
        return line.decode(errors="replace").strip()

    def queue(self, text: str) -> None:
        self._answer += text.encode()
        self._lost = self._lost or len(self._answer) > _BUFFER_MAX

    def flush(self, made: socket.socket) -> None:
        while self._answer:
            del self._answer[: made.send(self._answer)]


def _event(change: Change) -> dict[str, Any]:
    session = change.session
    return {
        "local": change.pair.local,
        "remote": change.pair.remote,
        "state": session.state.text,
        "previous": change.previous.text if change.previous is not None else "",
        "diagnostic": session.diagnostic.text,
        "remote_state": session.peer.state.text,
        "at": _wall_clock(),
        "min_rx_ms": session.rx_us // 1000,
        "min_tx_ms": session.interval_us // 1000,
        "detect_ms": session.detection_us // 1000,
    }


def _wall_clock() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _listen(path: Path) -> socket.socket:
    """The control socket, in place of what a killed predecessor left."""
    path.unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    made.bind(str(path))
    path.chmod(0o660)
    made.listen(_CLIENTS_MAX)
    return made


def _receiver(address: str) -> socket.socket:
    six = ":" in address
    made = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        if six:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
        else:
            made.setsockopt(socket.IPPROTO_IP, _IP_RECVTTL, 1)
        made.bind((address, PORT))
    except OSError:
        made.close()
        raise
    return made


def _sender(pair: Pair) -> socket.socket:
    six = ":" in pair.local
    made = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        if six:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 255)
        else:
            made.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 255)
        made.bind((pair.local, _RANDOM.randint(*_SOURCE_PORTS)))
    except OSError:
        made.close()
        raise
    return made


def _ttl(extra: list[tuple[int, int, bytes]]) -> int:
    """The TTL or hop limit that a packet came with; 0 if the kernel did not say."""
    kinds = {(socket.IPPROTO_IP, socket.IP_TTL), (socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT)}
    for level, kind, data in extra:
        if (level, kind) in kinds and len(data) >= struct.calcsize("i"):
            return int(struct.unpack_from("i", data)[0])
    return 0
