"""Real connections through a gateway: a server that says which address it saw, and a client that watches it."""

import subprocess
import sys
from typing import Any, NamedTuple

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
