"""Connections through the gateway's NAT go on, whatever happens to the agent and its config."""

import re
import subprocess

import pytest
from functional.gw_agent.pod import Agent, Bus, Config, Machine, Wait
from functional.gw_agent.traffic import Connection, serve

pytestmark = pytest.mark.timed


def test_connections_go_on_through_every_change(
    machine: Machine, bus: Bus, agent: Agent, config: Config, wait: Wait
) -> None:
    bus.start()
    bus.put(config(1, "10.16.0.0/16"))
    agent.start()
    wait(lambda: agent.ready()[0], "ready")
    serve(machine, wait)
    connection = Connection(machine, "10.16.0.9")
    ping = machine.start("client", "ping", "-q", "-i", "0.02", "172.17.0.1", stdout=subprocess.PIPE)

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

    end = connection.end()
    assert end.address == "172.17.0.11"
    assert end.answers > 50
    assert end.longest_ms < 200
    ping.send_signal(2)
    summary, _ = ping.communicate(timeout=20)
    lost = re.search(r"(\d+) packets transmitted, (\d+) received", summary)
    assert lost is not None, summary
    assert lost[1] == lost[2], summary
