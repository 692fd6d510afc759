"""Real connections through a gateway: a server that says which address it saw, and a client that watches it."""

import socket
import struct
import subprocess
import sys
import time
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final, NamedTuple

from functional.gw_agent.pod import Machine, Wait

# Answers each line with the number in it and the address it saw. One socket for both families.
_SERVER = """
import socket, socketserver
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            seen = self.client_address[0].removeprefix("::ffff:")
            self.wfile.write(line.strip() + b" " + seen.encode() + b"\\n")
class Server(socketserver.ThreadingTCPServer):
    address_family = socket.AF_INET6
    allow_reuse_address = True
Server(("::", 8080), Handler).serve_forever()
"""
# One connection; a number each 10 ms until the standard input closes; prints the addresses seen and the longest wait.
_CLIENT = """
import select, socket, sys, time
source, destination = sys.argv[1:]
connection = socket.create_connection((destination, 8080), timeout=10, source_address=(source, 0))
lines, number, longest, seen = connection.makefile(), 0, 0.0, set()
print("open", flush=True)
while number == 0 or not select.select([sys.stdin], [], [], 0.01)[0]:
    number += 1
    start = time.monotonic()
    connection.sendall(b"%d\\n" % number)
    echoed, address = lines.readline().split()
    longest = max(longest, time.monotonic() - start)
    assert int(echoed) == number
    seen.add(address)
print(",".join(sorted(seen)), number, round(longest * 1000))
"""


_IPV4, _IPV6 = 0x0800, 0x86DD  # linux/if_ether.h
_ALL_PROTOCOLS: Final = 3  # ETH_P_ALL
_UNDER_WAY_S: Final = 0.3
_AWAITED_S: Final = 10.0
_POLL_S: Final = 0.02
FIN, SYN, RST, ACK = 1, 2, 4, 16


class Seen(NamedTuple):
    """What became of a connection: `address` is the one (or all, with commas) under which the server saw it."""

    address: str
    answers: int
    longest_ms: int


class Connection:
    """A connection of the client, from `source`, that asks and is answered until `end`."""

    def __init__(self, machine: Machine, source: str, destination: str = "172.17.0.1") -> None:
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        self._client = machine.start("client", sys.executable, "-c", _CLIENT, source, destination, **pipes)
        assert self._client.stdout
        opened = self._client.stdout.readline()
        assert opened == "open\n", opened + self._client.stdout.read()

    def end(self) -> Seen:
        output, _ = self._client.communicate("", timeout=20)
        assert self._client.returncode == 0, output
        address, answers, longest_ms = output.split()
        return Seen(address, int(answers), int(longest_ms))


def serve(machine: Machine, wait: Wait) -> None:
    """Start the external host's server; it goes with the machine."""
    machine.start("external", sys.executable, "-c", _SERVER)
    wait(lambda: ":8080" in machine.run("external", "ss", "-ltn"), "the server listens")


def seen(machine: Machine, source: str, destination: str = "172.17.0.1") -> str:
    """The address under which the external host sees a new connection from `source`."""
    return Connection(machine, source, destination).end().address


class Tap:
    """The external host's end of the external link."""

    def __init__(self, machine: Machine) -> None:
        async def tap() -> socket.socket:
            made = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ALL_PROTOCOLS))
            made.bind(("e0", 0))
            made.setblocking(False)
            return made

        self._socket = machine.inside("external", tap)

    def sources(self, *awaited: str) -> set[str]:
        """The source addresses of all packets that came in since the last time, without the link's own.

        It waits until the awaited ones are among them: a first packet waits for its neighbor to be found. What else
        comes may come a little later, and is then of the next time.
        """
        found: set[str] = set()
        deadline = time.monotonic() + _AWAITED_S
        while not found.issuperset(awaited) and time.monotonic() < deadline:
            time.sleep(_POLL_S)
            found |= self._read()
        time.sleep(_UNDER_WAY_S)
        return found | self._read()

    def _read(self) -> set[str]:
        found: set[IPv4Address | IPv6Address] = set()
        while True:
            try:
                data, (_, protocol, kind, *_) = self._socket.recvfrom(2048)
            except BlockingIOError:
                return {str(address) for address in found if not address.is_link_local}
            if kind == socket.PACKET_HOST and protocol in (_IPV4, _IPV6):
                found.add(ip_address(data[12:16] if protocol == _IPV4 else data[8:24]))


def send(machine: Machine, source: str, destination: str, protocol: int, data: bytes) -> None:
    """Send one IP packet of the client."""

    async def packet() -> None:
        family = socket.AF_INET6 if ":" in source else socket.AF_INET
        with socket.socket(family, socket.SOCK_RAW, protocol) as made:
            made.bind((source, 0))
            made.sendto(data, (destination, 0))

    machine.inside("client", packet)


def segment(source: str, destination: str, flags: int) -> bytes:
    """A TCP segment of a connection that nobody knows."""
    return _checked(
        source, destination, socket.IPPROTO_TCP, 16, _SEGMENT.pack(40000, 80, 7, 9, 5 << 4, flags, 999, 0, 0)
    )


def datagram(source: str, destination: str, port: int) -> bytes:
    return _checked(source, destination, socket.IPPROTO_UDP, 6, struct.pack("!4H", 49152, port, 8, 0))


_SEGMENT: Final = struct.Struct("!HHIIBBHHH")


def _checked(source: str, destination: str, protocol: int, at: int, data: bytes) -> bytes:
    """The header with its checksum at that place: without a right one it would be no valid packet at all."""
    words = ip_address(source).packed + ip_address(destination).packed + data
    total = sum(struct.unpack(f"!{len(words) // 2}H", words)) + len(data) + protocol
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return data[:at] + struct.pack("!H", total ^ 0xFFFF) + data[at + 2 :]
