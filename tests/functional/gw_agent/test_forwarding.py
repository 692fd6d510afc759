"""Sources without SNAT, SNAT by default, and the change from one to the other: with real packets of both families."""

from collections.abc import Callable

import msgspec
import pytest
from functional.gw_agent.pod import Agent, Bus, Config, Machine, Wait
from functional.gw_agent.traffic import Connection, seen, serve

from veg_contracts.events import ConfigApplied
from veg_contracts.intent import PodConfig, Route

# 10.20.0.9 and fd00:10:20::9 are a pod of another subnet of the VPC: its way back is through the internal gateway.
OTHER_SUBNET = """\
address add 10.16.0.1/16 dev c0
address add 10.30.0.9/32 dev c0
address add fd00:10:16::1/112 dev c0 nodad
address add fd00:10:20::9/128 dev c0 nodad
"""
WAY_BACK = """\
route add 10.16.0.0/12 via 172.17.0.11
route add fd00:10::/32 via fd00:172:17::11
"""
ROUTES = (
    Route(destination="10.20.0.0/16", gateway="10.16.0.1", interface="eth0"),
    Route(destination="10.30.0.0/16", gateway="10.16.0.1", interface="eth0"),
    Route(destination="fd00:10:20::/112", gateway="fd00:10:16::1", interface="eth0"),
)
SERVER, SERVER6, OWN, OWN6 = "172.17.0.1", "fd00:172:17::1", "172.17.0.11", "fd00:172:17::11"
THE_REST = "-A POSTROUTING -o net1 -j MASQUERADE --random-fully"


def rule(cidr: str) -> str:
    return f"-A POSTROUTING -s {cidr} -j MASQUERADE --random-fully"


def forwarded(cidr: str) -> str:
    return f"-A POSTROUTING -s {cidr} -o net1 -j RETURN"


@pytest.fixture
def apply(machine: Machine, bus: Bus, agent: Agent, wait: Wait) -> Callable[[PodConfig], None]:
    """Publishes a config and waits until the pod has it. The pod of the other subnet and the server are there."""
    machine.run("client", "ip", "-batch", "-", stdin=OTHER_SUBNET)
    machine.run("external", "ip", "-batch", "-", stdin=WAY_BACK)
    serve(machine, wait)
    bus.start()
    agent.start()

    def put(config: PodConfig) -> None:
        bus.put(msgspec.structs.replace(config, routes=ROUTES, families=("4", "6")))
        agent.applies(config.generation)

    return put


def test_without_snat_there_is_no_nat_and_answers_come_back(
    machine: Machine, config: Config, apply: Callable[[PodConfig], None]
) -> None:
    apply(config(1, plain=("10.16.0.0/16", "10.20.0.0/16", "fd00:10:16::/112", "fd00:10:20::/112")))
    assert machine.nat() == []
    assert machine.nat("6") == []
    for source, server in (("10.16.0.9", SERVER), ("10.20.0.9", SERVER), ("fd00:10:20::9", SERVER6)):
        assert seen(machine, source, server) == source
    # Answers need no memory of the way out: they may come by another gateway than the question went.
    for tables in ("iptables", "ip6tables"):
        machine.run("gateway", tables, "-t", "raw", "-A", "PREROUTING", "-j", "NOTRACK")
    for source, server in (("10.20.0.9", SERVER), ("fd00:10:20::9", SERVER6)):
        assert seen(machine, source, server) == source


def test_by_default_snat_all_but_the_forwarded_sources_leave_under_the_own_address(
    machine: Machine, bus: Bus, config: Config, apply: Callable[[PodConfig], None]
) -> None:
    selecting = config(1, "10.30.0.0/16", plain=("10.20.0.0/16", "fd00:10:20::/112"))
    apply(msgspec.structs.replace(selecting, default_snat=True))
    assert machine.nat() == [rule("10.30.0.0/16"), forwarded("10.20.0.0/16"), THE_REST]
    assert machine.nat("6") == [forwarded("fd00:10:20::/112"), THE_REST]
    assert [seen(machine, source) for source in ("10.16.0.9", "10.20.0.9", "10.30.0.9")] == [OWN, "10.20.0.9", OWN]
    assert [seen(machine, source, SERVER6) for source in ("fd00:10:16::9", "fd00:10:20::9")] == [OWN6, "fd00:10:20::9"]
    [applied] = [event.data for event in bus.events()]
    assert isinstance(applied, ConfigApplied)
    assert applied.default_snat


@pytest.mark.parametrize("selecting", [False, True])
def test_snat_wins_where_sources_lie_in_one_another(
    machine: Machine, config: Config, apply: Callable[[PodConfig], None], selecting: bool
) -> None:
    inside = config(1, "10.20.0.0/16", "fd00:10:16::/112", plain=("10.20.0.0/24", "fd00:10:16::9/128"))
    apply(msgspec.structs.replace(inside, default_snat=selecting))
    assert [seen(machine, "10.20.0.9"), seen(machine, "fd00:10:16::9", SERVER6)] == [OWN, OWN6]
    outside = config(2, "10.20.0.0/24", plain=("10.20.0.0/16",))
    apply(msgspec.structs.replace(outside, default_snat=selecting))
    assert seen(machine, "10.20.0.9") == OWN


@pytest.mark.timed
def test_connections_go_on_when_snat_by_default_comes_and_goes(
    machine: Machine, config: Config, apply: Callable[[PodConfig], None]
) -> None:
    sources = config(1, "10.16.0.0/16", plain=("10.20.0.0/16", "fd00:10:20::/112"))
    apply(msgspec.structs.replace(sources, default_snat=True))
    connections = {
        Connection(machine, "10.16.0.9"): OWN,
        Connection(machine, "10.20.0.9"): "10.20.0.9",
        Connection(machine, "10.30.0.9"): OWN,
        Connection(machine, "fd00:10:20::9", SERVER6): "fd00:10:20::9",
        Connection(machine, "fd00:10:16::9", SERVER6): OWN6,
    }
    for generation in range(2, 8):
        selecting = generation % 2 == 1
        apply(msgspec.structs.replace(sources, generation=generation, default_snat=selecting))
        assert (THE_REST in machine.nat("6")) == selecting
        assert seen(machine, "10.20.0.9") == "10.20.0.9", "a new connection"
        assert seen(machine, "10.30.0.9") == (OWN if selecting else "10.30.0.9")
    for connection, address in connections.items():
        end = connection.end()
        assert end.address == address
        assert end.longest_ms < 200


@pytest.mark.parametrize("selecting", [False, True])
def test_a_source_gains_and_loses_snat(
    machine: Machine, config: Config, apply: Callable[[PodConfig], None], selecting: bool
) -> None:
    """New connections leave as the config has it now, open ones as they began."""
    sources = {"10.20.0.9": ("10.20.0.0/16", SERVER, OWN), "fd00:10:20::9": ("fd00:10:20::/112", SERVER6, OWN6)}
    cidrs = tuple(cidr for cidr, _, _ in sources.values())
    connections = []
    for generation in range(1, 5):
        snat = generation % 2 == 1
        new = config(generation, *cidrs) if snat else config(generation, plain=cidrs)
        apply(msgspec.structs.replace(new, default_snat=selecting))
        for source, (_, server, own) in sources.items():
            connections.append((Connection(machine, source, server), own if snat else source))
    for connection, address in connections:
        assert connection.end().address == address


def test_an_order_that_somebody_changed_is_repaired(
    machine: Machine, agent: Agent, config: Config, apply: Callable[[PodConfig], None], wait: Wait
) -> None:
    selecting = config(1, "10.30.0.0/16", plain=("10.16.0.0/16", "10.20.0.0/16"))
    apply(msgspec.structs.replace(selecting, default_snat=True))
    rules = [rule("10.30.0.0/16"), forwarded("10.16.0.0/16"), forwarded("10.20.0.0/16"), THE_REST]
    assert machine.nat() == rules
    words = THE_REST.split()[1:]
    machine.run("gateway", "iptables", "-t", "nat", "-D", *words)
    machine.run("gateway", "iptables", "-t", "nat", "-I", *words)
    wait(lambda: machine.nat() == rules, "in order again")
    agent.says("put the nat rules in order")
    machine.run("gateway", "iptables", "-t", "nat", "-D", "POSTROUTING", "1")
    machine.run("gateway", "iptables", "-t", "nat", "-A", *words)
    wait(lambda: machine.nat() == rules, "a missing one is back, a double is gone")
