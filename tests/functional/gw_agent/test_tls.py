"""The agent and a bus by TLS, told whom to trust by variables, as the planner puts them into the pod."""

from pathlib import Path

from functional.gw_agent.pod import Agent, Bus, Config, Machine
from support.certificates import Authority

URL = "tls://127.0.0.1:4222"


def test_the_config_comes_by_tls_and_a_stranger_changes_nothing(
    machine: Machine, agent: Agent, config: Config, directory: Path
) -> None:
    authority, other = Authority(directory / "authority"), Authority(directory / "other")
    bus = Bus(machine, directory, authority)
    bus.start()
    bus.put(config(7, "10.16.0.0/16"))
    agent.start(VEG_NATS_URL=URL, VEG_NATS_TLS_CA=authority.pem)
    agent.applies(7)
    before = machine.nat()
    assert len(before) == 1

    agent.kill()
    bus.put(config(8))
    agent.start(VEG_NATS_URL=URL, VEG_NATS_TLS_CA=other.pem)
    agent.says("VEG_NATS_TLS_CA: the server's certificate is refused: unable to get local issuer certificate")
    agent.applies(7)
    assert machine.nat() == before
