"""The agent beside the BFD speaker: what it tells it, what it publishes of it, and that NAT leaves BFD alone."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from functional.gw_agent.pod import (
    GATEWAY,
    GATEWAY_UID,
    NOBODY,
    POD,
    POD_UID,
    UNPRIVILEGED,
    Agent,
    Bus,
    Config,
    Machine,
    Wait,
    opened,
)

from veg_contracts.events import SpeakerChanged
from veg_contracts.intent import PodBfd, PodConfig

OWN, OWN6, PEER, PEER6 = "10.16.0.12", "fd00:10:16::12", "10.16.0.9", "fd00:10:16::9"
BFD = PodBfd(min_rx=100, min_tx=100, multiplier=3, peers=(PEER, PEER6))
UNTRACKED = [
    "-A PREROUTING -p udp -m udp --dport 3784 -m addrtype --dst-type LOCAL -j CT --notrack",
    "-A OUTPUT -p udp -m udp --dport 3784 -j CT --notrack",
]
LINE: dict[str, Any] = {
    "local": OWN,
    "remote": PEER,
    "state": "Up",
    "previous": "",
    "diagnostic": "No Diagnostic",
    "remote_state": "Up",
    "min_rx_ms": 100,
    "min_tx_ms": 100,
    "detect_ms": 300,
}


def with_bfd(config: PodConfig) -> PodConfig:
    return msgspec.structs.replace(config, families=("4", "6"), bfd=BFD)


def raw(machine: Machine, tables: str = "iptables") -> list[str]:
    return [line for line in machine.run("gateway", tables, "-t", "raw", "-S").splitlines() if line[:2] == "-A"]


def pairs(agent: Agent) -> list[tuple[str, str]]:
    file = agent.shared / "bfd.json"
    return (
        [(item["local"], item["remote"]) for item in json.loads(file.read_text())["sessions"]] if file.exists() else []
    )


def changes(bus: Bus) -> list[SpeakerChanged]:
    return [event.data for event in bus.events() if isinstance(event.data, SpeakerChanged)]


def speak(machine: Machine, role: str, directory: Path) -> subprocess.Popen[str]:
    """Start a speaker there, without any rights, as in its container."""
    os.chown(directory, int(NOBODY), int(NOBODY))
    with (directory / f"bfdd-{role}.log").open("a") as log:
        environ = os.environ | {"VEG_BFD_DIR": str(directory)}
        return machine.start(role, *opened(), *UNPRIVILEGED, sys.executable, "-m", "veg_bfdd", env=environ, stderr=log)


@pytest.fixture
def peer(machine: Machine, directory: Path) -> subprocess.Popen[str]:
    """The other end of the sessions: the same speaker, beyond the gateway's internal interface."""
    shared = directory / "peer"
    shared.mkdir()
    sessions = [{"local": PEER, "remote": OWN}, {"local": PEER6, "remote": OWN6}]
    config = {"min_rx_ms": 100, "min_tx_ms": 100, "multiplier": 3, "sessions": sessions}
    (shared / "bfd.json").write_text(json.dumps(config))
    return speak(machine, "client", shared)


def test_sessions_are_up_through_nat_and_what_becomes_of_them_is_published(
    machine: Machine, bus: Bus, agent: Agent, config: Config, wait: Wait, peer: subprocess.Popen[str]
) -> None:
    bus.start()
    speaker = speak(machine, "gateway", agent.shared)
    agent.start()
    bus.put(with_bfd(config(1, "10.16.0.0/16", "fd00:10:16::/112")))
    ups = wait(
        lambda: (
            (found := changes(bus)) and {each.local for each in found if each.state == "Up"} == {OWN, OWN6} and found
        ),
        "both sessions are up",
    )
    assert {(each.gateway, each.gateway_uid, each.pod, each.pod_uid) for each in ups} == {
        (GATEWAY, GATEWAY_UID, POD, POD_UID)
    }
    assert machine.nat() == ["-A POSTROUTING -s 10.16.0.0/16 -j MASQUERADE --random-fully"], "as in the document"
    for tables in ("iptables", "ip6tables"):
        assert raw(machine, tables) == UNTRACKED
    wait(lambda: agent.ready() == (True, "generation 1 is applied"), "readiness")
    peer.kill()
    wait(lambda: {each.local for each in changes(bus) if each.diagnostic.startswith("Control")} == {OWN, OWN6}, "down")
    last = {each.local: each.state for each in changes(bus)}
    assert last == {OWN: "Down", OWN6: "Down"}
    assert agent.ready() == (True, "generation 1 is applied"), "it stays in the network"

    speaker.kill()
    bus.put(config(2, "10.16.0.0/16"))
    agent.applies(2)
    assert pairs(agent) == []
    assert raw(machine) == raw(machine, "ip6tables") == []


def test_the_speaker_is_configured_before_the_config_is_applied_and_repaired(
    machine: Machine, bus: Bus, agent: Agent, config: Config, wait: Wait
) -> None:
    bus.start()
    agent.start(POD_IPS=OWN)
    bus.put(config(1))
    agent.applies(1)
    assert pairs(agent) == []
    bus.put(with_bfd(config(2)))
    agent.applies(2)
    assert pairs(agent) == [(OWN, PEER)], "no session of a family that the pod has no address of"
    machine.run("gateway", "iptables", "-t", "raw", "-F")
    (agent.shared / "bfd.json").write_text("{")
    wait(lambda: raw(machine) == UNTRACKED, "repaired")
    wait((lambda: "sessions" in (agent.shared / "bfd.json").read_text()), "repaired, too")
    assert pairs(agent) == [(OWN, PEER)]


def test_a_directory_that_cannot_be_written_is_reported(
    machine: Machine, bus: Bus, agent: Agent, config: Config, wait: Wait
) -> None:
    bus.start()
    agent.start(VEG_BFD_DIR="/nowhere")
    bus.put(with_bfd(config(1, "10.16.0.0/16")))
    wait(lambda: bus.ids() == ["agent/default/gateway1-abc/pod-uid/1/failed/1"], "reported")
    assert "config of the BFD speaker in /nowhere: No such file" in bus.events()[0].data.message
    assert len(machine.nat()) == 1, "the rest is applied all the same"


class Speaker:
    """Says what it is told on the control socket."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "bfdd.sock"
        self._path.unlink(missing_ok=True)
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.settimeout(10)
        self._listening.bind(str(self._path))
        os.chown(self._path, int(NOBODY), int(NOBODY))
        self._listening.listen()
        self._number = 0

    def accept(self) -> None:
        self._client, _ = self._listening.accept()
        assert self._client.recv(100) == b"events\n"

    def say(self, text: str, **fields: Any) -> None:
        self._number += 1
        line = LINE | {"state": text, "at": f"2026-01-01T00:00:00.{self._number:06}Z"} | fields
        self._client.sendall(json.dumps(line).encode() + b"\n")

    def garbage(self, data: bytes) -> None:
        self._client.sendall(data)

    def close(self) -> None:
        self._client.close()


def test_through_restarts_of_the_speaker_and_of_the_bus_changes_come_once_and_in_order(
    bus: Bus, agent: Agent, config: Config, wait: Wait
) -> None:
    bus.start()
    agent.start()
    speaker = Speaker(agent.shared)
    speaker.accept()
    speaker.say("Down")
    speaker.garbage(b"garbage\n")
    speaker.say("Up")
    wait(lambda: [each.state for each in changes(bus)] == ["Down", "Up"], "two changes")
    speaker.close()
    speaker.accept()
    speaker.say("Up")
    speaker.say("Down", remote_state="Down")
    wait(lambda: [each.state for each in changes(bus)] == ["Down", "Up", "Down"], "the present state is no news")
    speaker.garbage(b"x" * 200_000)  # a line without an end
    speaker.accept()

    bus.kill()
    agent.says("bus lost")
    for number in range(1100):
        speaker.say("Up" if number % 2 else "Init", detect_ms=number)
    agent.says("dropped")
    bus.start(streams=False)
    bus.put(config(1, "10.16.0.0/16"))
    agent.applies(1)
    wait(lambda: changes(bus)[-1].detect == 1099, "the newest ones", 30)
    kept = [each.detect for each in changes(bus)]
    assert kept == sorted(set(kept))
    assert 250 < len(kept) <= 256, "nobody has read them, and the bus keeps so many of a pod"
