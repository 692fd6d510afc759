"""The agent as a whole: real kernel, real tools, real bus; the user of the process has NET_ADMIN and NET_RAW only."""

from functional.gw_agent.pod import Agent, Bus, Config, Machine, Wait

from veg_contracts.events import ConfigApplied, ConfigFailed
from veg_contracts.intent import PodConfig, Route

DOCUMENT = """\
-P PREROUTING ACCEPT
-P INPUT ACCEPT
-P OUTPUT ACCEPT
-P POSTROUTING ACCEPT
-A POSTROUTING -s 10.16.0.0/16 -j MASQUERADE --random-fully
"""
SAYS = "agent/default/gateway1-abc/pod-uid"  # the beginning of all ids that this pod says
ROUTES = [
    "default via 172.17.0.1 dev net1",
    "10.16.0.0/16 dev eth0 proto kernel scope link src 10.16.0.12",
    "172.17.0.0/16 dev net1 proto kernel scope link src 172.17.0.11",
]


def rule(cidr: str) -> str:
    return f"-A POSTROUTING -s {cidr} -j MASQUERADE --random-fully"


def test_the_pod_looks_as_in_the_document(machine: Machine, bus: Bus, agent: Agent, config: Config, wait: Wait) -> None:
    bus.start()
    bus.put(config(7, "10.16.0.0/16"), {"ce-id": "command-1", "ce-correlationid": "event-1"})
    assert agent.ready() == (False, "no config was applied yet")
    agent.start()
    wait(lambda: agent.ready()[0], "ready")
    assert machine.run("gateway", "iptables", "-t", "nat", "-S") == DOCUMENT
    assert machine.routes() == ROUTES
    [event] = wait(bus.events, "a report")
    assert isinstance(event.data, ConfigApplied)
    assert (event.id, event.data.generation) == (f"{SAYS}/7/applied", 7)
    assert (event.causation_id, event.correlation_id) == ("command-1", "event-1")
    assert agent.ready() == (True, "generation 7 is applied")


def test_a_change_is_applied_at_once(machine: Machine, bus: Bus, agent: Agent, config: Config, wait: Wait) -> None:
    bus.start()
    agent.start(VEG_RESYNC_S="60")
    internal = Route(destination="10.20.0.0/16", gateway="10.16.0.1", interface="eth0")
    bus.put(config(1, "10.16.0.0/16", "10.20.0.0/16", plain=("10.30.0.0/16",), routes=(internal,)))
    wait(lambda: machine.nat() == [rule("10.16.0.0/16"), rule("10.20.0.0/16")], "two rules, none without SNAT")
    agent.applies(1)
    assert "10.20.0.0/16 via 10.16.0.1 dev eth0 proto 118" in machine.run("gateway", "ip", "route")
    ids = [f"{SAYS}/{generation}/applied" for generation in (1, 2, 3)]
    wait(lambda: bus.ids() == ids[:1], "a report")  # one that is not sent yet would give way to the next
    moved = Route(destination="10.20.0.0/16", gateway="10.16.0.2", interface="eth0")
    bus.put(config(2, "10.16.0.0/16", "10.40.0.0/16", lingering=("10.20.0.0/16",), routes=(moved,)))
    rules = [rule("10.16.0.0/16"), rule("10.40.0.0/16"), rule("10.20.0.0/16")]
    wait(lambda: machine.nat() == rules, "the lingering source keeps its NAT", 3)
    agent.applies(2)
    assert "10.20.0.0/16 via 10.16.0.2 dev eth0 proto 118" in machine.run("gateway", "ip", "route")
    wait(lambda: bus.ids() == ids[:2], "two reports")
    bus.put(config(3))
    wait(lambda: machine.nat() == [], "no rule", 3)
    wait(lambda: machine.routes() == ROUTES, "no route of ours")
    wait(lambda: bus.ids() == ids, "three reports")


def test_dual_stack(machine: Machine, bus: Bus, agent: Agent, config: Config, wait: Wait) -> None:
    bus.start()
    agent.start()
    internal = Route(destination="fd00:10:20::/112", gateway="fd00:10:16::1", interface="eth0")
    both = ("10.16.0.0/16", "fd00:10:16::/112")
    bus.put(config(1, *both, families=("4", "6"), routes=(internal,)))
    wait(lambda: machine.nat("6") == [rule("fd00:10:16::/112")], "a rule for IPv6")
    agent.applies(1)
    assert machine.nat() == [rule("10.16.0.0/16")]
    assert "fd00:10:20::/112 via fd00:10:16::1 dev eth0 proto 118" in machine.run("gateway", "ip", "-6", "route")
    machine.run("client", "ping", "-c1", "-W2", "fd00:172:17::1")
    moved = Route(destination="fd00:10:20::/112", gateway="fd00:10:16::2", interface="eth0")
    bus.put(config(2, *both, families=("4", "6"), routes=(moved,)))
    wait(lambda: "via fd00:10:16::2 dev eth0 proto 118" in machine.run("gateway", "ip", "-6", "route"), "moved")
    agent.applies(2)
    assert "fd00:10:16::1" not in machine.run("gateway", "ip", "-6", "route")
    assert machine.policies() == ["ACCEPT", "ACCEPT"]
    bus.put(config(3, *both))
    wait(lambda: machine.nat("6") == [], "the family left")
    agent.applies(3)
    assert machine.policies() == ["ACCEPT", "DROP"], "and is not forwarded without NAT"
    wait(lambda: "fd00:10:20::/112" not in machine.run("gateway", "ip", "-6", "route"), "its route too")


def test_what_somebody_changed_is_repaired(
    machine: Machine, bus: Bus, agent: Agent, config: Config, wait: Wait
) -> None:
    bus.start()
    internal = Route(destination="10.20.0.0/16", gateway="10.16.0.1", interface="eth0")
    bus.put(config(1, "10.16.0.0/16", "10.20.0.0/16", routes=(internal,)))
    agent.start()
    rules = [rule("10.16.0.0/16"), rule("10.20.0.0/16")]
    wait(lambda: machine.nat() == rules, "applied")
    agent.applies(1)
    tracking = "-A FORWARD -m conntrack --ctstate INVALID"
    assert tracking in machine.run("gateway", "iptables", "-t", "mangle", "-S")
    machine.run("gateway", "iptables", "-t", "mangle", "-F")
    foreign = "-A POSTROUTING -s 10.99.0.0/16 -o net1 -j MASQUERADE"
    machine.run("gateway", "iptables", "-t", "nat", "-F", "POSTROUTING")
    machine.run("gateway", "iptables", "-t", "nat", *foreign.split())
    machine.run("gateway", "iptables", "-t", "nat", *rule("10.66.0.0/16").split())
    machine.run("gateway", "ip", "route", "del", "10.20.0.0/16")
    wait(lambda: machine.nat() == [foreign, *rules], "the foreign rule stays, ours are back, the strange one is gone")
    wait(lambda: "10.20.0.0/16 via 10.16.0.1" in machine.run("gateway", "ip", "route"), "the route is back")
    wait(lambda: machine.run("gateway", "iptables", "-t", "mangle", "-S").count(tracking) == 1, "tracking stays on")
    agent.says("repaired what somebody changed")
    assert bus.ids() == [f"{SAYS}/1/applied"]


def test_a_restart_needs_no_bus(machine: Machine, bus: Bus, agent: Agent, config: Config, wait: Wait) -> None:
    bus.start()
    bus.put(config(5, "10.16.0.0/16"))
    agent.start()
    wait(lambda: bus.ids() == [f"{SAYS}/5/applied"], "applied")
    bus.kill()
    agent.kill()
    assert machine.nat() == [rule("10.16.0.0/16")]
    machine.run("gateway", "iptables", "-t", "nat", "-F")
    agent.init()  # as when the pod's namespace is made anew
    assert not agent.ready()[0]
    agent.start()
    wait(lambda: machine.nat() == [rule("10.16.0.0/16")], "configured from the disk")
    wait(lambda: agent.ready()[0], "ready")
    bus.start(streams=False)
    bus.put(config(6, "10.17.0.0/16"))
    wait(lambda: machine.nat() == [rule("10.17.0.0/16")], "the bus is back")
    wait(lambda: bus.ids()[-1] == f"{SAYS}/6/applied", "reported")
    assert len(set(bus.ids())) == len(bus.ids()), "a second report with the same id is dropped"


def test_the_bus_comes_back_while_the_agent_runs(
    machine: Machine, bus: Bus, agent: Agent, config: Config, wait: Wait
) -> None:
    agent.start()
    bus.start()
    bus.put(config(1, "10.16.0.0/16"))
    wait(lambda: machine.nat() == [rule("10.16.0.0/16")], "applied, though the agent was there first")
    for generation in (2, 3):
        bus.kill()
        agent.says("bus lost")
        bus.start(streams=False)
        bus.put(config(generation, f"10.{generation}.0.0/16"))
        wait(lambda number=generation: machine.nat() == [rule(f"10.{number}.0.0/16")], f"generation {generation}")
    wait(lambda: bus.ids()[-1] == f"{SAYS}/3/applied", "reported")


def test_what_cannot_be_taken_changes_nothing(
    machine: Machine, bus: Bus, agent: Agent, config: Config, wait: Wait
) -> None:
    bus.start()
    bus.put(config(5, "10.16.0.0/16"))
    agent.start()
    # A report that is not sent yet gives way to a newer one: wait for it.
    wait(lambda: bus.ids() == [f"{SAYS}/5/applied"], "applied")
    assert machine.nat() == [rule("10.16.0.0/16")]
    bus.put(b'{"gateway": "default/gateway1", "gateway_uid": 7}')
    agent.says("malformed config, the held one stays: Expected `str`, got `int` - at `$.gateway_uid`")
    bus.put(b"\xff garbage")
    agent.says("malformed config, the held one stays: ")
    bus.put(config(4, "10.17.0.0/16"))
    agent.says("config not taken: generation: 4 is older than 5")
    bus.put(PodConfig(gateway="default/gateway1", gateway_uid="other", generation=9))
    agent.says("config not taken: gateway_uid: 'other', this pod belongs to 'gw-uid'")
    bus.put(b"", {"KV-Operation": "DEL"})
    agent.says("the config was removed from the bus; the held one stays")
    malformed = config(6, "10.18.0.1/16")
    bus.put(malformed, {"ce-id": "command-6"})
    reports = [
        f"{SAYS}/5/applied",
        f"{SAYS}/6/malformed",
        f"{SAYS}/7/applied",
    ]
    wait(lambda: bus.ids() == reports[:2], "whose it is and which one is known: reported")
    refused = bus.events()[-1]
    assert isinstance(refused.data, ConfigFailed)
    assert (refused.data.generation, refused.causation_id) == (6, "command-6")
    assert "sources[0].cidr: '10.18.0.1/16' is not in its canonical form" in refused.data.message
    assert machine.nat() == [rule("10.16.0.0/16")]
    bus.put(config(7, "10.19.0.0/16"))
    wait(lambda: machine.nat() == [rule("10.19.0.0/16")], "a good one is taken again")
    wait(lambda: bus.ids() == reports, "three reports")


def test_a_failure_is_reported_and_retried(
    machine: Machine, bus: Bus, agent: Agent, config: Config, wait: Wait
) -> None:
    bus.start()
    bus.put(config(1, "10.16.0.0/16"))
    agent.start()
    wait(bus.ids, "applied")
    lost = Route(destination="10.20.0.0/16", gateway="192.0.2.1", interface="eth0")
    bus.put(config(2, "10.17.0.0/16", routes=(lost,)))
    wait(lambda: bus.ids()[-1] == f"{SAYS}/2/failed/1", "reported")
    failed = bus.events()[-1].data
    assert isinstance(failed, ConfigFailed)
    assert "cannot add route to 10.20.0.0/16 via 192.0.2.1 on eth0" in failed.message
    assert "unreachable" in failed.message
    assert machine.nat() == [rule("10.17.0.0/16")], "the rest is applied all the same"
    assert agent.ready() == (True, "generation 1 is applied")
    machine.run("gateway", "ip", "address", "add", "192.0.2.2/24", "dev", "eth0")
    wait(lambda: bus.ids()[-1] == f"{SAYS}/2/applied/1", "tried again")
    assert agent.ready() == (True, "generation 2 is applied")


def test_without_init_the_agent_says_what_is_missing(
    machine: Machine, bus: Bus, agent: Agent, config: Config, wait: Wait
) -> None:
    machine.run("gateway", "sysctl", "-qw", "net.ipv4.ip_forward=0")
    bus.start()
    bus.put(config(1, "10.16.0.0/16"))
    agent.start()
    wait(bus.ids, "reported")
    failed = bus.events()[0].data
    assert isinstance(failed, ConfigFailed)
    assert failed.message == "sysctl net/ipv4/ip_forward: is 0, must be 1 (`gw-agent init` sets it)"
    assert not agent.ready()[0]


def test_init_sets_the_sysctls_and_is_idempotent(machine: Machine, agent: Agent) -> None:
    keys = ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding", "net.ipv4.conf.eth0.rp_filter")
    assert machine.run("gateway", "sysctl", "-n", *keys).split() == ["1", "1", "0"]
    machine.run("gateway", "sysctl", "-qw", "net.ipv4.conf.all.rp_filter=1", "net.ipv4.ip_forward=0")
    assert agent.init() == "net/ipv4/ip_forward = 1\nnet/ipv4/conf/all/rp_filter = 0\n"
    assert agent.init() == ""


def test_it_is_small_and_stops_at_once(machine: Machine, bus: Bus, agent: Agent, config: Config, wait: Wait) -> None:
    bus.start()
    bus.put(config(1, "10.16.0.0/16"))
    agent.start()
    wait(bus.ids, "applied")
    with open(f"/proc/{agent.process.pid}/status", encoding="ascii") as file:  # noqa: PTH123
        fields = dict(line.strip().split(":", 1) for line in file)
    assert fields["Uid"].split()[0] == "65534"
    # 41 MiB in an image; structlog takes 4 more where the development tools have brought `rich`.
    assert int(fields["VmRSS"].split()[0]) < 48 * 1024
    agent.process.terminate()
    assert agent.process.wait(timeout=5) == 0
    assert machine.nat() == [rule("10.16.0.0/16")], "NAT stays"
