"""Not one packet of a source with SNAT reaches the external link under the address of a client."""

import socket

import msgspec
import pytest
from functional.gw_agent.pod import Agent, Bus, Config, Machine, Wait
from functional.gw_agent.traffic import ACK, FIN, RST, SYN, Tap, datagram, segment, send

from veg_contracts.intent import PodBfd, PodConfig

SERVER, SERVER6, OWN, OWN6 = "172.17.0.1", "fd00:172:17::1", "172.17.0.11", "fd00:172:17::11"
CLIENT, CLIENT6 = "10.16.0.9", "fd00:10:16::9"
OLD = "-A PREROUTING -p udp -m udp --dport 3784 -j CT --notrack"
NEIGHBOR_SOLICITATION = bytes([135, 0, 0, 0, 0, 0, 0, 0]) + bytes(16)  # no connection of it is tracked


def dual(config: PodConfig, *, selecting: bool = False) -> PodConfig:
    return msgspec.structs.replace(config, families=("4", "6"), default_snat=selecting)


def unknown(machine: Machine, source: str, destination: str, flags: int) -> None:
    send(machine, source, destination, socket.IPPROTO_TCP, segment(source, destination, flags))


def test_what_clients_send_to_the_port_of_bfd_is_translated(
    machine: Machine, bus: Bus, agent: Agent, config: Config
) -> None:
    for tables in ("iptables", "ip6tables"):
        machine.run("gateway", tables, "-t", "raw", *OLD.split())  # of an earlier version
    bus.start()
    bfd = PodBfd(min_rx=100, min_tx=100, multiplier=3, peers=("10.16.0.1", "fd00:10:16::1"))
    bus.put(msgspec.structs.replace(dual(config(1, "10.16.0.0/16", "fd00:10:16::/112")), bfd=bfd))
    agent.start()
    agent.applies(1)
    for tables in ("iptables", "ip6tables"):
        assert OLD not in machine.run("gateway", tables, "-t", "raw", "-S")
    tap = Tap(machine)
    for source, destination in ((CLIENT, SERVER), (CLIENT6, SERVER6)):
        send(machine, source, destination, socket.IPPROTO_UDP, datagram(source, destination, 3784))
    assert tap.sources(OWN, OWN6) == {OWN, OWN6}


@pytest.mark.parametrize("selecting", [False, True])
def test_what_is_of_no_known_connection_does_not_leave(
    machine: Machine, bus: Bus, agent: Agent, config: Config, selecting: bool
) -> None:
    """As when a stream moves here from another gateway: NAT does not see what connection tracking calls invalid."""
    bus.start()
    lingering = config(1, "fd00:10:16::/112", plain=("10.20.0.0/16",), lingering=("10.16.0.0/16",))
    bus.put(dual(lingering, selecting=selecting))
    agent.start()
    agent.applies(1)
    tap = Tap(machine)
    pairs = [(CLIENT, SERVER), (CLIENT6, SERVER6)]
    if selecting:
        machine.run("client", "ip", "address", "add", "10.30.0.9/32", "dev", "c0")
        machine.run("gateway", "ip", "route", "add", "10.30.0.9/32", "dev", "eth0")
        pairs.append(("10.30.0.9", SERVER))
    for source, destination in pairs:
        for flags in (FIN, FIN | ACK, RST, RST | ACK, SYN | ACK):
            unknown(machine, source, destination, flags)
    assert tap.sources() == set()
    send(machine, CLIENT6, SERVER6, socket.IPPROTO_ICMPV6, NEIGHBOR_SOLICITATION)
    assert tap.sources() <= {OWN6}, "but for the gateway's own question for its neighbor"

    for source, destination in pairs:
        unknown(machine, source, destination, ACK)
    assert tap.sources(OWN, OWN6) == {OWN, OWN6}, "a stream is taken up in its midst, and translated"
    unknown(machine, "10.20.0.9", SERVER, FIN)
    assert tap.sources("10.20.0.9") == {"10.20.0.9"}, "a source without SNAT is forwarded"


def test_drop_rules_follow_the_config_and_are_repaired(
    machine: Machine, bus: Bus, agent: Agent, config: Config, wait: Wait
) -> None:
    bus.start()
    agent.start()
    tracking = "-A FORWARD -m conntrack --ctstate INVALID"
    foreign = "-A FORWARD -s 10.16.0.0/16 -m conntrack --ctstate INVALID -j DROP"
    machine.run("gateway", "iptables", "-t", "mangle", *foreign.split())
    unseen = "-o net1 -m conntrack --ctstate INVALID,UNTRACKED -j"

    def mangle() -> list[str]:
        return machine.run("gateway", "iptables", "-t", "mangle", "-S", "FORWARD").splitlines()[1:]

    bus.put(config(1, "10.16.0.0/16"))
    drop = f"-A FORWARD -s 10.16.0.0/16 {unseen} DROP"
    wait(lambda: mangle() == [foreign, tracking, drop], "dropped")
    machine.run("gateway", "iptables", "-t", "mangle", "-D", *drop.split()[1:])
    wait(lambda: mangle() == [foreign, tracking, drop], "repaired")
    bus.put(msgspec.structs.replace(config(2, plain=("10.16.0.0/16",)), default_snat=True))
    forwarded = f"-A FORWARD -s 10.16.0.0/16 {unseen} RETURN"
    wait(lambda: mangle() == [foreign, tracking, forwarded, f"-A FORWARD {unseen} DROP"], "everything else")
    bus.put(config(3, plain=("10.16.0.0/16",)))
    wait(lambda: mangle() == [foreign, tracking], "nothing is dropped")
