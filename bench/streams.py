"""Long-lived TCP streams from many clients, and new connections all the while, to an echo server outside.

`python streams.py FILE SERVER-NETNS NAME=NETNS[,NAME=NETNS…]` runs until SIGTERM; then FILE holds JSON: how many
streams were open and which broke, how many new connections were made, which failed, for which a packet of the
handshake was sent again, and the time of the slowest, in s.
"""

import asyncio
import json
import signal
import socket
import struct
import sys
import time
from pathlib import Path
from typing import Final

from spaces import open_in

_SERVER: Final = ("172.17.0.1", 7007)
_PERIOD_S: Final = 0.05
_CONNECT_EVERY_S: Final = 0.05
_SILENCE_S: Final = 3.0  # TCP sends again what was lost: a stream without an answer for so long leads nowhere
_CONNECT_S: Final = 3.0


class Streams:
    """What became of all of them."""

    def __init__(self, clients: dict[str, str]) -> None:
        self._clients = clients
        self.broken: list[str] = []
        self.connects = 0
        self.failed: list[str] = []
        self.sent_again: list[str] = []
        self.slowest_s = 0.0

    async def run(self) -> None:
        await asyncio.gather(*(self._stream(name) for name in self._clients), self._connect_for_ever())

    async def _open(self, name: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        with open_in(self._clients[name]):
            made = socket.socket()
        made.setblocking(False)
        await asyncio.wait_for(asyncio.get_running_loop().sock_connect(made, _SERVER), _CONNECT_S)
        if again := _retransmissions(made):
            self.sent_again.append(f"{name}: {again} before it was open")
        return await asyncio.open_connection(sock=made)

    async def _stream(self, name: str) -> None:
        reader, writer = await self._open(name)
        try:
            while True:
                await self._echo(reader, writer)
                await asyncio.sleep(_PERIOD_S)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            self.broken.append(f"{name}: {error!r}")

    async def _echo(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"echo")
        await asyncio.wait_for(reader.readexactly(4), _SILENCE_S)

    async def _use(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A connection that is moved right after it was made breaks like an old one."""
        try:
            await self._echo(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            self.broken.append(f"{name}, just made: {error!r}")
        finally:
            writer.close()

    async def _connect_for_ever(self) -> None:
        while True:
            for name in self._clients:
                started = time.monotonic()
                try:
                    reader, writer = await self._open(name)
                except (OSError, TimeoutError) as error:
                    self.failed.append(f"{name}: {error!r}")
                else:
                    await self._use(name, reader, writer)
                self.connects += 1
                self.slowest_s = max(self.slowest_s, time.monotonic() - started)
                await asyncio.sleep(_CONNECT_EVERY_S)


def _retransmissions(made: socket.socket) -> int:
    """What the kernel has sent again so far: `tcpi_total_retrans` of linux/tcp.h, 100 bytes into struct tcp_info."""
    again: int = struct.unpack_from("=I", made.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 100)[0]
    return again


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(4096):
            writer.write(data)
    except (OSError, asyncio.CancelledError):  # cancelled at the end only
        pass
    finally:
        writer.close()


async def main(outside: str, clients: dict[str, str]) -> str:
    """Until SIGTERM; the JSON."""
    with open_in(outside):
        listening = socket.create_server(_SERVER, backlog=1024)
    server = await asyncio.start_server(_serve, sock=listening)
    streams, stop = Streams(clients), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    working = asyncio.create_task(streams.run())
    await stop.wait()
    while not working.done():  # wait_for of Python 3.11 loses a cancellation that comes at the moment of an answer
        working.cancel()
        await asyncio.wait([working], timeout=0.1)
    server.close()
    result: dict[str, object] = {
        "streams": len(clients),
        "broken": streams.broken,
        "connects": streams.connects,
        "failed": streams.failed,
        "sent_again": streams.sent_again,
        "slowest_s": round(streams.slowest_s, 3),
    }
    return json.dumps(result)


if __name__ == "__main__":
    said = asyncio.run(main(sys.argv[2], dict(word.split("=") for word in sys.argv[3].split(","))))
    Path(sys.argv[1]).write_text(said)
