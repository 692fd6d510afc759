"""`make demo` works twice in a row and after a SIGKILL in its middle, and `make demo-down` leaves nothing."""

import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.lab import ROOT, Lab

NAME = "demotest"
SEED = os.environ.get("VEG_SEED", str(random.SystemRandom().randrange(10**6)))


@pytest.fixture
def demo() -> Iterator[Lab]:
    lab = Lab(NAME)
    lab.call("down", timeout_s=120)
    yield lab
    lab.call("down", timeout_s=120)


def run_demo(lab: Lab) -> str:
    done = subprocess.run(
        [str(ROOT / "lab" / "demo")],
        env=lab.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def traces() -> dict[str, set[str]]:
    """What a lab of this name could leave on the machine."""
    processes = {
        entry.name
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and f"/run/veg-lab/{NAME}/" in read(entry / "cmdline") + read(entry / "environ")
    }
    return {
        "processes": processes - {str(os.getpid())},
        "namespaces": set(re.findall(rf"^{NAME}\b\S*", read_command("ip", "netns", "list"), re.MULTILINE)),
        "interfaces": set(re.findall(r"^\d+: (\S+?)[@:]", read_command("ip", "-o", "link"), re.MULTILINE)),
        "mounts": {line.split()[1] for line in Path("/proc/mounts").read_text().splitlines() if NAME in line},
        "files": {str(path) for path in (Path("/run/veg-lab") / NAME, demo_cache() / "nodes" / NAME) if path.exists()},
        "cgroups": {str(path) for path in Path("/sys/fs/cgroup").glob(f"**/veg-lab/{NAME}")},
    }


def demo_cache() -> Path:
    return Path(os.environ.get("VEG_CACHE") or "/var/cache/vpc-egress-gateway")


def read(path: Path) -> str:
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError:
        return ""


def read_command(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


@pytest.mark.timeout(900)
def test_twice_and_after_a_kill_and_nothing_is_left(demo: Lab) -> None:
    before = traces()
    print(f"VEG_SEED={SEED}")
    first = subprocess.Popen(
        [str(ROOT / "lab" / "demo")],
        env=demo.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(random.Random(SEED).uniform(1, 10))
    assert first.poll() is None, "it is killed in its middle"
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()

    for output in (run_demo(demo), run_demo(demo)):
        assert re.search(r"gateway1 +ovn-cluster +2 +false +macvlan1 +Completed +true", output)
        assert "29100" in output
        story = output.partition("The story of the last change")[2]
        assert re.search(r"0\.000 .*watcher .*VpcEgressGateway gateway1 changed", story), story
        assert re.search(r"ovn-writer .*rows applied", story), story
        assert re.search(r"planner .*the gateway is ready", story), story
        assert len(story.splitlines()) <= 40, "it fits on one screen"
        assert max(map(len, story.splitlines())) <= 120, "it fits on one screen"
    demo.call("down", timeout_s=120)
    assert traces() == before
