"""Two network namespaces joined by a veth: speakers, and a peer that the test plays itself, at its ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

from pyroute2 import netns

from veg_bfdd import control
from veg_bfdd.packet import Packet, State, decode

BIN: Final = Path(sys.executable).parent
NEAR, FAR = "near", "far"
ADDRESSES: Final = {
    NEAR: ("10.9.0.1/24", "10.9.0.4/24", "fd09::1/64", "fd09::4/64"),
    FAR: ("10.9.0.2/24", "10.9.0.3/24", "fd09::2/64", "fd09::3/64"),
}
PAIR, PAIR6 = ("10.9.0.1", "10.9.0.2"), ("fd09::1", "fd09::2")
IP_RECVTTL: Final = 12
T = TypeVar("T")


def until(condition: Callable[[], T], what: str, deadline_s: float = 5.0) -> T:
    """The first true value of `condition`."""
    end = time.monotonic() + deadline_s
    while not (value := condition()):
        assert time.monotonic() < end, f"not within {deadline_s} s: {what}"
        time.sleep(0.02)
    return value


class Link:
    """The namespaces, and what runs in them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.names = {end: f"bfd{os.getpid()}-{end}" for end in ADDRESSES}
        self._processes: list[subprocess.Popen[bytes]] = []

    def up(self) -> None:
        for name in self.names.values():
            subprocess.run(["ip", "netns", "add", name], check=True)
        ends = [part for end in ADDRESSES for part in ("name", end, "netns", self.names[end])]
        subprocess.run(["ip", "link", "add", *ends[:4], "type", "veth", "peer", *ends[4:]], check=True)
        for end, addresses in ADDRESSES.items():
            self.ip(end, "link", "set", "lo", "up")
            self.ip(end, "link", "set", end, "up")
            for address in addresses:
                self.add(end, address)

    def down(self) -> None:
        for process in self._processes:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            process.wait()
        for name in self.names.values():
            subprocess.run(["ip", "netns", "del", name], check=False)

    def enter(self, end: str) -> list[str]:
        return ["nsenter", f"--net=/run/netns/{self.names[end]}"]

    def run(self, end: str, *command: str) -> None:
        subprocess.run([*self.enter(end), *command], check=True, timeout=20)

    def ip(self, end: str, *arguments: str) -> None:
        self.run(end, "ip", *arguments)

    def add(self, end: str, address: str) -> None:
        self.ip(end, "address", "add", address, "dev", end, *(["nodad"] if ":" in address else []))

    def start(self, end: str, *command: str, log: Path) -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            process = subprocess.Popen([*self.enter(end), *command], stdout=output, stderr=output)
        self._processes.append(process)
        return process

    def socket(self, end: str, kind: int) -> socket.socket:
        """A socket of that namespace: made in a thread of its own, as a namespace is per thread."""
        made: list[socket.socket] = []

        def make() -> None:
            netns.setns(self.names[end])
            made.append(socket.socket(kind, socket.SOCK_DGRAM))

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        return made[0]

    def speaker(self, end: str, *pairs: tuple[str, str], ms: int = 100) -> "Speaker":
        speaker = Speaker(self, end)
        speaker.configure(*pairs, ms=ms)
        speaker.start()
        return speaker


class Speaker:
    """Our speaker as a process at one end."""

    def __init__(self, link: Link, end: str) -> None:
        self._link = link
        self._end = end
        self.directory = link.directory / end
        self.directory.mkdir()
        self.log = link.directory / f"{end}.log"
        self.process: subprocess.Popen[bytes]

    def configure(self, *pairs: tuple[str, str], ms: int = 100, multiplier: int = 3, via: str = "") -> None:
        way = {"via": via} if via else {}
        sessions = [{"local": local, "remote": remote, **way} for local, remote in pairs]
        self.write(json.dumps({"min_rx_ms": ms, "min_tx_ms": ms, "multiplier": multiplier, "sessions": sessions}))

    def write(self, text: str) -> None:
        new = self.directory / "new"
        new.write_text(text)
        new.rename(self.directory / control.CONFIG)

    def start(self) -> None:
        self.process = self._link.start(self._end, str(BIN / "bfdd"), "--dir", str(self.directory), log=self.log)
        until(self.alive, "the speaker answers")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def alive(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        with suppress(OSError):
            return bool(self.status())
        return False

    def status(self) -> str:
        return control.ask(self.directory / control.SOCKET, "status")

    def states(self) -> list[str]:
        return [line.rpartition("=")[2] for line in self.status().splitlines() if line.startswith(" id=")]

    def until_up(self, deadline_s: float = 5.0) -> None:
        until(lambda: set(self.states()) == {"Up"}, "all sessions are up", deadline_s)

    def said(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.endswith("}")]
        return [line for line in lines if line["event"] == event]

    def changes(self) -> list[tuple[str, str]]:
        return [(line["previous"], line["state"]) for line in self.said("session")]


class Events:
    """A follower of a speaker's events."""

    def __init__(self, speaker: Speaker) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(speaker.directory / control.SOCKET))
        self._socket.sendall(b"events\n")
        self._socket.settimeout(5.0)
        self._file = self._socket.makefile("rb")

    def next(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self._file.readline())
        return event

    def close(self) -> None:
        self._file.close()
        self._socket.close()


class Peer:
    """The far end, played by the test. Its multiplier is so long that it needs not go on talking."""

    def __init__(self, link: Link, pair: tuple[str, str] = PAIR) -> None:
        self.local, self.remote = pair[1], pair[0]
        six = ":" in self.local
        kind = socket.AF_INET6 if six else socket.AF_INET
        self.discriminator = 0x51
        self.heard: Packet | None = None
        self.ttl, self.source_port = 0, 0
        self._level = socket.IPPROTO_IPV6 if six else socket.IPPROTO_IP
        self._ttl = socket.IPV6_UNICAST_HOPS if six else socket.IP_TTL
        self._link = link
        self.receiving = self._receiver(self.local)
        self.sending = link.socket(FAR, kind)
        self.sending.bind((self.local, 50000))

    def receive_at(self, address: str) -> None:
        """Hear at another address from now on; what is said goes on coming from the peer's own."""
        self.receiving.close()
        self.receiving = self._receiver(address)

    def _receiver(self, address: str) -> socket.socket:
        six = ":" in address
        made = self._link.socket(FAR, socket.AF_INET6 if six else socket.AF_INET)
        made.setsockopt(self._level, socket.IPV6_RECVHOPLIMIT if six else IP_RECVTTL, 1)
        made.bind((address, 3784))
        return made

    def close(self) -> None:
        self.receiving.close()
        self.sending.close()

    def hear(self, deadline_s: float = 3.0) -> Packet:
        """The speaker's next packet."""
        self.receiving.settimeout(deadline_s)
        data, extra, _, sender = self.receiving.recvmsg(512, 64)
        self.ttl, self.source_port = int.from_bytes(extra[0][2], sys.byteorder), sender[1]
        self.heard = decode(data)
        return self.heard

    def hear_where(self, condition: Callable[[Packet], bool], deadline_s: float = 3.0) -> Packet:
        end = time.monotonic() + deadline_s
        while time.monotonic() < end:
            if condition(heard := self.hear(deadline_s)):
                return heard
        raise AssertionError(f"last heard: {self.heard}")

    def hear_state(self, state: State) -> Packet:
        return self.hear_where(lambda packet: packet.state is state)

    def hear_for(self, seconds: float) -> list[Packet]:
        """All that comes: what was sent until now is not taken for an answer to what is said next."""
        heard, end = [], time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            with suppress(TimeoutError):
                heard.append(self.hear(left))
        return heard

    def packet(self, state: State, **fields: Any) -> Packet:
        yours = self.heard.my_discriminator if self.heard is not None else 0
        made = Packet(state, 100, self.discriminator, yours, desired_min_tx=100_000, required_min_rx=100_000)
        return replace(made, **fields)

    def say(self, state: State, *, ttl: int = 255, to: str = "", **fields: Any) -> None:
        self.send(self.packet(state, **fields).encode(), ttl=ttl, to=to)

    def send(self, data: bytes, *, ttl: int = 255, to: str = "") -> None:
        self.sending.setsockopt(self._level, self._ttl, ttl)
        self.sending.sendto(data, (to or self.remote, 3784))

    def bring_up(self) -> None:
        self.hear_state(State.DOWN)
        self.say(State.DOWN, your_discriminator=0)
        self.hear_state(State.INIT)
        self.say(State.INIT)
        self.hear_state(State.UP)
        self.say(State.UP, final=True)
        self.hear_where(lambda packet: not packet.poll)
