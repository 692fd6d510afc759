"""The pod's own way to the bus: in a table of its own, for the pod alone, and not by the external network."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from functional.gw_agent.pod import Agent, Bus, Config, Machine, Wait
from functional.gw_agent.test_agent import ROUTES

BUS = "10.96.42.22"
MANAGEMENT = """\
link add net2 type veth peer name m0 netns {external}
address add 10.250.0.12/16 dev net2
link set net2 up
"""
LISTEN = """\
import socket
server = socket.create_server(("", 4222))
while True:
    print(server.accept()[1][0], flush=True)
"""


@contextmanager
def listening(machine: Machine, role: str) -> Iterator[Any]:
    """A host with the bus' address and a server there; gives where its log is read."""
    machine.run(role, "ip", "address", "add", f"{BUS}/32", "dev", "lo")
    log = machine.run(role, "mktemp").strip()
    with open(log, "w") as out:  # noqa: PTH123  # a file of the test's own
        server = machine.start(role, "python3", "-c", LISTEN, stdout=out)
    try:
        yield lambda: set(machine.run(role, "cat", log).split())
    finally:
        server.kill()
        server.wait()


def test_the_bus_is_reached_by_eth0_and_never_by_the_default_route(machine: Machine, agent: Agent, wait: Wait) -> None:
    way = f"{BUS} via 10.16.0.9 dev eth0 table 118"
    with listening(machine, "external") as impostor, listening(machine, "client") as bus:
        agent.start(VEG_NATS_URL=f"nats://{BUS}:4222", VEG_BUS_INTERFACE="eth0", VEG_BUS_GATEWAYS="10.16.0.9")
        wait(lambda: bus() == {"10.16.0.12"}, "the agent knocks at the bus")
        assert machine.routes() == ROUTES
        assert machine.run("gateway", "ip", "rule", "show").splitlines()[1:3] == [
            f"118:\tfrom all to {BUS} iif lo lookup 118 proto 118",
            f"119:\tfrom all to {BUS} iif lo unreachable proto 118",
        ]
        # What is forwarded goes as the main table has it.
        shown = machine.run("gateway", "ip", "route", "get", BUS, "from", "10.16.0.77", "iif", "eth0")
        assert "via 172.17.0.1 dev net1" in shown
        # The way is lost, and made again: in between nothing leaves by the default route.
        machine.run("gateway", "ip", "route", "flush", "table", "118")
        refused = machine.start("gateway", "ip", "route", "get", BUS)
        assert refused.wait() != 0
        wait(lambda: way in machine.run("gateway", "ip", "route", "show", "table", "all"), "the way is back")
        assert impostor() == set()


def test_without_its_interface_the_agent_says_so_and_does_not_look_elsewhere(machine: Machine, agent: Agent) -> None:
    with listening(machine, "external") as impostor:
        agent.start(VEG_NATS_URL=f"nats://{BUS}:4222", VEG_BUS_INTERFACE="net2", VEG_BUS_GATEWAYS="10.250.0.1")
        agent.says("interface net2, the way to the bus: does not exist")
        assert impostor() == set()


def test_nothing_is_forwarded_into_the_management_network(
    machine: Machine, bus: Bus, agent: Agent, config: Config, wait: Wait
) -> None:
    machine.run("gateway", "ip", "-batch", "-", stdin=MANAGEMENT.format(**machine.names))
    machine.run("external", "ip", "-batch", "-", stdin="address add 10.250.0.1/16 dev m0\nlink set m0 up\n")
    bus.start()
    bus.put(config(1, "10.16.0.0/16"))
    agent.start()
    agent.applies(1)
    ping = ("ping", "-c", "1", "-W", "1", "10.250.0.1")
    machine.run("client", *ping)  # by NAT: what this test is about
    agent.kill()
    agent.start(VEG_NATS_URL=f"nats://{BUS}:4222", VEG_BUS_INTERFACE="net2", VEG_BUS_GATEWAYS="10.250.0.1")

    def apart() -> bool:
        return "-A FORWARD -o net2 -j DROP" in machine.run("gateway", "iptables", "-t", "mangle", "-S")

    wait(apart, "the interface is kept out of forwarding")
    received = machine.run("client", "sh", "-c", f"{' '.join(ping)} || true")
    assert " 0 received" in received
    machine.run("gateway", "ping", "-c", "1", "-W", "1", "10.250.0.1")  # the pod itself gets there
    machine.run("gateway", "iptables", "-t", "mangle", "-F", "FORWARD")
    wait(apart, "what somebody took away is repaired")
