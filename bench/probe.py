"""Pings from many clients at once, every 10 ms each, and writes a line for each answer.

`python probe.py FILE NAME=NETNS[,NAME=NETNS…] ADDRESS…` runs until SIGTERM, all clients in this one process: a socket
belongs to the network namespace that it was made in. A line: name, family, sequence, time sent, time answered (both
seconds since the epoch). The payload carries name and sequence, so that whoever sees the packet on its way knows whose
it is, whatever address it bears by then: without an address this is that witness. It answers nothing (the kernel does),
and writes a line for each echo request that arrives: name, family, sequence, source, time.
"""

import os
import selectors
import signal
import socket
import struct
import sys
import time
from pathlib import Path
from typing import IO, Final, NoReturn

from spaces import open_in

_INTERVAL_S: Final = 0.01
_MARK: Final = b"VEG1"
_REQUEST, _ANSWER = 2, 3  # where `_KINDS` has the types
_PAYLOAD: Final = struct.Struct("!4s16sId")
# Of each family: address family, protocol, and the types of an echo request and its answer.
_KINDS: Final = {
    "4": (socket.AF_INET, socket.IPPROTO_ICMP, 8, 0),
    "6": (socket.AF_INET6, socket.IPPROTO_ICMPV6, 128, 129),
}


def _checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def _echo(family: str, identity: int, name: str, sequence: int) -> bytes:
    """The kernel fills in the checksum of ICMPv6, not that of ICMP."""
    kind = _KINDS[family][2]
    payload = _PAYLOAD.pack(_MARK, name.encode(), sequence, time.time())
    check = _checksum(struct.pack("!BBHHH", kind, 0, 0, identity, sequence & 0xFFFF) + payload) if family == "4" else 0
    return struct.pack("!BBHHH", kind, 0, check, identity, sequence & 0xFFFF) + payload


def _read(family: str, data: bytes) -> tuple[int, str, int, float] | None:
    """Kind, name, sequence and time sent of a packet of ours."""
    if family == "4":
        data = data[(data[0] & 0x0F) * 4 :]
    if len(data) < 8 + _PAYLOAD.size:
        return None
    mark, name, sequence, sent = _PAYLOAD.unpack_from(data, 8)
    return (data[0], name.rstrip(b"\0").decode(), sequence, sent) if mark == _MARK else None


def _open(family: str, namespace: str) -> socket.socket:
    """A raw socket in a network namespace."""
    with open_in(namespace):
        made = socket.socket(_KINDS[family][0], socket.SOCK_RAW, _KINDS[family][1])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    made.setblocking(False)
    return made


def _drain(family: str, made: socket.socket, wanted: int, output: IO[str]) -> None:
    while True:
        try:
            data, source = made.recvfrom(2048)
        except BlockingIOError:
            return
        found = _read(family, data)
        if found is None or found[0] != _KINDS[family][wanted]:
            continue
        _, name, sequence, sent = found
        middle = f"{sent:.6f}" if wanted == _ANSWER else source[0]
        output.write(f"{name} {family} {sequence} {middle} {time.time():.6f}\n")


def _stop(*_: object) -> NoReturn:
    raise SystemExit


def main(path: str, clients: dict[str, str], targets: list[str]) -> None:
    """Until SIGTERM."""
    signal.signal(signal.SIGTERM, _stop)
    by_family = {"6" if ":" in target else "4": target for target in targets}
    wanted = _ANSWER if targets else _REQUEST
    flows = [(name, family) for name in clients for family in by_family or _KINDS]
    sockets = {flow: _open(flow[1], clients[flow[0]]) for flow in flows}
    selector = selectors.DefaultSelector()
    for (_, family), made in sockets.items():
        selector.register(made, selectors.EVENT_READ, family)
    identity, sequence, due = os.getpid() & 0xFFFF, 0, time.monotonic()
    with Path(path).open("w", buffering=1 << 16) as output:
        while True:
            for key, _ in selector.select(max(0.0, due - time.monotonic())):
                _drain(key.data, key.fileobj, wanted, output)  # type: ignore[arg-type]  # it is what was registered
            if time.monotonic() < due:
                continue
            output.flush()
            sequence, due = sequence + 1, max(due + _INTERVAL_S, time.monotonic() - 1)
            for name, family in flows if targets else ():
                try:
                    sockets[name, family].sendto(_echo(family, identity, name, sequence), (by_family[family], 0))
                except OSError:
                    continue  # no way at the moment: that is a probe that is lost


if __name__ == "__main__":
    main(sys.argv[1], dict(word.split("=") for word in sys.argv[2].split(",")), sys.argv[3:])
