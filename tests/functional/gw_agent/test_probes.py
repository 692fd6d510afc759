"""What Kubernetes runs in each gateway pod again and again costs next to nothing."""

import resource
import subprocess

import pytest
from functional.gw_agent.pod import BIN, Agent

from veg_gw_agent import disk
from veg_gw_agent.state import Progress

CPU_MAX_S = 0.005

pytestmark = pytest.mark.timed


def cpu_of_children_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@pytest.mark.parametrize("words", [["gw-ready"], ["bfdd-live"], ["gw-drain", "2"]], ids=lambda words: words[0])
def test_a_probe_or_hook_takes_5_ms_of_cpu_at_most(agent: Agent, words: list[str]) -> None:
    disk.save(agent.state, Progress().succeeded(1))
    (agent.shared / "bfdd.beat").write_text("1\n")
    spent = []
    for _ in range(5):
        before = cpu_of_children_s()
        subprocess.run([BIN / words[0], *words[1:]], env=agent.environ, capture_output=True, check=False)
        spent.append(cpu_of_children_s() - before)
    assert min(spent) <= CPU_MAX_S, spent
