import shlex
import subprocess

import pytest

from veg_lab import priority
from veg_lab.node_agent.spec import Host, plan_container
from veg_lab.priority import Permitted, Priority


@pytest.mark.parametrize(
    ("cpu", "nice"),
    [("", 5), ("10m", 5), ("99m", 5), ("0.1", 0), ("100m", 0), ("199m", 0), ("200m", -12), ("1", -12), ("50000u", 5)],
)
def test_a_container_goes_by_the_cpu_it_asks_for(cpu: str, nice: int) -> None:
    assert priority.of_container(cpu) == Priority(nice)


def test_init_containers_go_last_whatever_they_ask_for() -> None:
    pod = {
        "metadata": {"namespace": "default", "name": "p", "uid": "u"},
        "spec": {
            "initContainers": [{"name": "init", "resources": {"requests": {"cpu": "1"}}}],
            "containers": [{"name": "bfdd", "resources": {"requests": {"cpu": "200m"}}}, {"name": "client"}],
        },
    }
    containers = [*pod["spec"]["initContainers"], *pod["spec"]["containers"]]  # type: ignore[index]
    plans = [plan_container(pod, container, (), {}, Host(tools="/t")) for container in containers]
    assert [plan.priority.nice for plan in plans] == [10, -12, 5]


def test_ovn_goes_before_speakers_and_those_before_all_pods() -> None:
    speaker, client = priority.of_container("200m"), priority.of_container("")
    kernel = [item for item in priority.DAEMONS.values() if item.real_time]
    assert len(kernel) == 2
    assert all(item.nice < speaker.nice for item in kernel)
    assert speaker.nice < client.nice <= priority.PROBE.nice < priority.STARTING.nice


ALL, NICE, NONE = (
    Permitted(real_time=True, first=True),
    Permitted(real_time=False, first=True),
    Permitted(real_time=False, first=False),
)


@pytest.mark.parametrize(
    ("may", "kernel", "speaker", "said"),
    [
        (ALL, "chrt --rr 1", "nice -n -12", ""),
        (NICE, "nice -n -15", "nice -n -12", "real-time scheduling is not permitted here"),
        (NONE, "", "", "neither real-time scheduling nor a negative nice value is permitted here"),
    ],
)
def test_what_is_not_permitted_is_left_out_and_said(may: Permitted, kernel: str, speaker: str, said: str) -> None:
    assert shlex.join(priority.words(priority.DAEMONS["ovn-controller"], may)) == kernel
    assert shlex.join(priority.words(priority.of_container("200m"), may)) == speaker
    assert shlex.join(priority.words(priority.STARTING, may)) == "nice -n 10"
    assert priority.missing(may).endswith(said)
    assert priority.words(priority.ORDINARY, may) == []


def test_the_words_do_it() -> None:
    done = subprocess.run([*priority.words(Priority(-12)), "nice"], check=True, capture_output=True, text=True)
    assert int(done.stdout) == (-12 if priority.permitted().first else 0)
