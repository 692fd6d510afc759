"""Connections through the gateway's NAT go on, whatever happens to the agent and its config."""

import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any, Protocol

from veg_contracts.intent import PodConfig

Config = Callable[..., PodConfig]
Wait = Callable[..., Any]

# Answers each line with the number in it and the address it saw.
SERVER = """
import socketserver
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line.strip() + b" " + self.client_address[0].encode() + b"\\n")
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
Server(("172.17.0.1", 8080), Handler).serve_forever()
"""
# One connection; a number each 10 ms until the standard input closes; prints the addresses seen and the longest wait.
CLIENT = """
import select, socket, sys, time
connection = socket.create_connection(("172.17.0.1", 8080), timeout=10)
lines, number, longest, seen = connection.makefile(), 0, 0.0, set()
print("open", flush=True)
while not select.select([sys.stdin], [], [], 0.01)[0]:
    number += 1
    start = time.monotonic()
    connection.sendall(b"%d\\n" % number)
    echoed, address = lines.readline().split()
    longest = max(longest, time.monotonic() - start)
    assert int(echoed) == number
    seen.add(address)
print(*sorted(seen), number, round(longest * 1000))
"""


class Machine(Protocol):
    def run(self, role: str, *command: str, stdin: str = "") -> str: ...
    def start(self, role: str, *command: str, **options: Any) -> "subprocess.Popen[str]": ...
    def nat(self, family: str = "") -> list[str]: ...


class Bus(Protocol):
    def start(self, streams: bool = True) -> None: ...
    def kill(self) -> None: ...
    def put(self, config: PodConfig | bytes) -> None: ...


class Agent(Protocol):
    def start(self, **environ: str) -> None: ...
    def kill(self) -> None: ...
    def ready(self) -> tuple[bool, str]: ...


def listening(machine: Machine) -> bool:
    return "172.17.0.1:8080" in machine.run("external", "ss", "-ltn")


def test_connections_go_on_through_every_change(
    machine: Machine, bus: Bus, agent: Agent, config: Config, wait: Wait
) -> None:
    bus.start()
    bus.put(config(1, "10.16.0.0/16"))
    agent.start()
    wait(lambda: agent.ready()[0], "ready")
    machine.start("external", sys.executable, "-c", SERVER)
    wait(lambda: listening(machine), "the server listens")
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    client = machine.start("client", sys.executable, "-c", CLIENT, **pipes)
    ping = machine.start("client", "ping", "-q", "-i", "0.02", "172.17.0.1", **pipes)
    assert client.stdout
    assert client.stdout.readline() == "open\n"

    # The rule of the connection goes, comes back and changes its place; in generation 12 there is no rule at all.
    for generation in range(2, 15):
        others = [f"10.{100 + generation + number}.0.0/16" for number in range(generation % 4)]
        bus.put(config(generation, *others, *(["10.16.0.0/16"] if generation % 3 else [])))
        ready = (True, f"generation {generation} is applied")
        wait(lambda expected=ready: agent.ready() == expected, f"generation {generation}")
    agent.kill()
    bus.kill()
    machine.run("gateway", "iptables", "-t", "nat", "-F")
    agent.start()
    wait(lambda: len(machine.nat()) == 3, "configured from the disk")

    answers, _ = client.communicate("", timeout=20)
    seen, number, longest_ms = answers.split()
    assert seen == "172.17.0.11"
    assert int(number) > 50
    assert int(longest_ms) < 200
    ping.send_signal(2)
    summary, _ = ping.communicate(timeout=20)
    lost = re.search(r"(\d+) packets transmitted, (\d+) received", summary)
    assert lost is not None, summary
    assert lost[1] == lost[2], summary


def test_without_snat_the_external_host_sees_the_client(
    machine: Machine, bus: Bus, agent: Agent, config: Config, wait: Wait
) -> None:
    machine.run("external", "ip", "route", "add", "10.16.0.0/16", "via", "172.17.0.11")
    machine.start("external", sys.executable, "-c", SERVER)
    wait(lambda: listening(machine), "the server listens")
    bus.start()
    bus.put(config(1, plain=("10.16.0.0/16",)))
    agent.start()
    wait(lambda: agent.ready()[0], "ready")
    once = "import socket; c = socket.create_connection(('172.17.0.1', 8080)); c.sendall(b'1\\n'); print(c.recv(99))"
    assert "10.16.0.9" in machine.run("client", sys.executable, "-c", once)
    bus.put(config(2, "10.16.0.0/16"))
    wait(lambda: machine.nat() != [], "applied")
    assert "172.17.0.11" in machine.run("client", sys.executable, "-c", once)
