"""A pod whose network namespace is new: nothing is forwarded, and no session comes up, before there is NAT."""

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from functional.gw_agent.pod import Agent, Bus, Config, Machine, Wait
from functional.gw_agent.test_bfd import speak
from functional.gw_agent.traffic import ACK, Connection, Tap, segment, send, serve

from veg_bfdd.control import ask
from veg_contracts.intent import PodBfd, PodConfig

OWN, PEER = "10.16.0.12", "10.16.0.9"
SERVER, SERVER6, EXTERNAL, EXTERNAL6 = "172.17.0.1", "fd00:172:17::1", "172.17.0.11", "fd00:172:17::11"
BFD = PodBfd(min_rx=100, min_tx=100, multiplier=3, peers=(PEER,))
OPEN, CLOSED = ["ACCEPT", "ACCEPT"], ["DROP", "DROP"]
BREAKS = """\
#!/bin/sh
[ ! -e {sign} ] || {{ echo broken >&2; exit 1; }}
exec /usr/sbin/{tool} "$@"
"""


@pytest.fixture
def breaks(directory: Path, agent: Agent) -> Path:
    """While this file is there, the agent's iptables-restore fails."""
    sign, tools = directory / "broken", directory / "tools"
    tools.mkdir()
    for tool in ("iptables-restore", "ip6tables-restore"):
        (tools / tool).write_text(BREAKS.format(sign=sign, tool=tool))
        (tools / tool).chmod(0o755)
    agent.environ["PATH"] = f"{tools}:{agent.environ['PATH']}"
    return sign


@pytest.fixture
def wanted(config: Config) -> PodConfig:
    sources = config(1, "10.16.0.0/16", "fd00:10:16::/112")
    return msgspec.structs.replace(sources, families=("4", "6"), bfd=BFD)


def configured(agent: Agent) -> bool:
    file = agent.shared / "bfd.json"
    return file.exists() and bool(json.loads(file.read_text())["sessions"])


def leaves(machine: Machine) -> Callable[..., set[str]]:
    tap = Tap(machine)

    def leaving(*awaited: str) -> set[str]:
        for source, destination in ((PEER, SERVER), ("fd00:10:16::9", SERVER6)):
            send(machine, source, destination, 6, segment(source, destination, ACK))
        return tap.sources(*awaited)

    return leaving


def test_nothing_is_forwarded_and_no_session_is_there_until_a_config_is_applied(
    machine: Machine, bus: Bus, agent: Agent, wanted: PodConfig, wait: Wait, breaks: Path
) -> None:
    (agent.shared / "bfd.json").write_text("left over")
    agent.init()
    assert not (agent.shared / "bfd.json").exists()
    speaker = speak(machine, "gateway", agent.shared)
    leaving = leaves(machine)
    assert (machine.policies(), leaving()) == (CLOSED, set())
    breaks.touch()
    bus.start()
    bus.put(wanted)
    agent.start()
    wait(lambda: bus.ids() == ["agent/default/gateway1-abc/pod-uid/1/failed/1"], "reported")
    assert (machine.policies(), leaving()) == (CLOSED, set())
    assert not agent.ready()[0]
    assert not configured(agent)
    assert ask(agent.shared / "bfdd.sock", "status") == "There are 0 sessions:\n"
    assert speaker.poll() is None, "it waits"
    breaks.unlink()
    agent.applies(1)
    assert (machine.policies(), leaving(EXTERNAL, EXTERNAL6)) == (OPEN, {EXTERNAL, EXTERNAL6})
    wait(lambda: f"local={OWN} (p) remote={PEER}" in ask(agent.shared / "bfdd.sock", "status"), "a session")


@pytest.mark.timed
def test_a_failure_later_on_and_a_restart_close_nothing(
    machine: Machine, bus: Bus, agent: Agent, wanted: PodConfig, wait: Wait, breaks: Path
) -> None:
    bus.start()
    bus.put(wanted)
    agent.start()
    agent.applies(1)
    serve(machine, wait)
    connection = Connection(machine, PEER)
    before = (agent.shared / "bfd.json").stat().st_mtime_ns
    bus.kill()
    breaks.touch()
    machine.run("gateway", "iptables", "-t", "raw", "-F")
    agent.says("not applied")
    agent.kill()
    agent.start()
    wait(lambda: agent.log().count('"not applied"') > 1, "the restarted agent fails, too")
    assert machine.policies() == OPEN
    assert (agent.shared / "bfd.json").stat().st_mtime_ns == before
    end = connection.end()
    assert (end.address, end.longest_ms < 200) == (EXTERNAL, True)


def test_a_new_namespace_of_the_same_pod_is_configured_from_the_disk(
    machine: Machine, bus: Bus, agent: Agent, wanted: PodConfig
) -> None:
    bus.start()
    bus.put(wanted)
    agent.start()
    agent.applies(1)
    bus.kill()
    agent.kill()
    for tables in ("iptables", "ip6tables"):
        for table in ("nat", "mangle", "raw"):
            machine.run("gateway", tables, "-t", table, "-F")
    leaving = leaves(machine)
    agent.init()
    assert (configured(agent), machine.policies(), leaving()) == (False, CLOSED, set())
    agent.start()
    agent.applies(1)
    assert (configured(agent), machine.policies(), leaving(EXTERNAL, EXTERNAL6)) == (True, OPEN, {EXTERNAL, EXTERNAL6})


def test_init_fails_when_it_cannot_close_the_pod(machine: Machine, agent: Agent, breaks: Path) -> None:
    machine.run("gateway", "iptables", "-P", "FORWARD", "ACCEPT")
    breaks.touch()
    with pytest.raises(AssertionError, match="gw-agent init: iptables-restore: broken"):
        agent.init()
