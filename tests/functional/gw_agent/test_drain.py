"""A pod that is deleted stops when no chassis sends it anything any more."""

import subprocess
import time

import msgspec
import pytest
from functional.gw_agent.pod import BIN, GATEWAY, POD, Agent, Bus, Config, Machine, Wait

from veg_contracts.intent import PodConfig

pytestmark = pytest.mark.timed

LEAVING = (f"default/{POD}", "default/gateway1-xyz")


def drain(agent: Agent, timeout_s: int = 10) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(BIN / "gw-drain"), str(timeout_s)], env=agent.environ, stdout=subprocess.PIPE, text=True
    )


def test_it_waits_until_the_pod_is_released(bus: Bus, agent: Agent, config: Config, wait: Wait) -> None:
    bus.start()
    agent.start()
    bus.put(msgspec.structs.replace(config(1, "10.16.0.0/16"), released=("default/gateway1-xyz", f"other/{POD}")))
    agent.applies(1)
    draining = drain(agent)
    time.sleep(0.5)
    assert draining.poll() is None, "another one is released, not this one"
    start = time.monotonic()
    bus.put(msgspec.structs.replace(config(2, "10.16.0.0/16"), released=LEAVING))
    output, _ = draining.communicate(timeout=10)
    assert 0.5 < time.monotonic() - start < 2, "packets under way have passed, and no more"
    assert (draining.returncode, output[:14]) == (0, "released after")
    assert agent.process.poll() is None

    agent.kill()
    agent.start()
    wait(lambda: agent.log().count('"released"') == 2, "a restart finds it released")
    bus.put(config(3, "10.16.0.0/16"))
    agent.applies(3)
    assert not (agent.shared / "released").exists()


def test_it_ends_when_nobody_releases_the_pod(agent: Agent) -> None:
    start = time.monotonic()
    draining = drain(agent, 1)
    output, _ = draining.communicate(timeout=10)
    assert (draining.returncode, output) == (0, "not released within 1 s: stopping anyway\n")
    assert 1 <= time.monotonic() - start < 2


def test_it_starts_fast(agent: Agent) -> None:
    (agent.shared / "released").touch()
    durations = []
    for _ in range(5):
        start = time.monotonic()
        assert drain(agent).wait() == 0
        durations.append(time.monotonic() - start - 0.5)
    assert min(durations) < 0.15, durations


def test_the_gateway_is_deleted(machine: Machine, bus: Bus, agent: Agent, config: Config, wait: Wait) -> None:
    bus.start()
    agent.start()
    sign = agent.shared / "released"
    bus.put(config(1, "10.16.0.0/16"))
    agent.applies(1)
    assert not sign.exists()
    bus.put(b"", {"KV-Operation": "DEL"})
    wait(sign.exists, "released", 3)
    assert len(machine.nat()) == 1, "connections that are there go on"
    sign.unlink()
    wait(sign.exists, "shown again")
    bus.put(config(1, "10.16.0.0/16"))
    wait(lambda: not sign.exists(), "the same config is back", 3)
    bus.put(PodConfig(gateway="default/other", gateway_uid="other", generation=99))
    time.sleep(1)
    assert not sign.exists(), "what is said of another gateway releases no pod of this one"
    bus.put(PodConfig(gateway=GATEWAY, gateway_uid="successor", generation=9))
    wait(sign.exists, "a successor of the same name: the gateway of this pod is gone", 3)
    agent.process.terminate()
    assert agent.process.wait(timeout=5) == 0
    assert len(machine.nat()) == 1
