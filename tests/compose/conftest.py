"""docker-compose.yml as it stands, on an engine of its own, beside a lab that has no service of ours.

`VEG_COMPOSE_LAB` names the lab.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from compose.engine import Engine
from compose.project import Project
from support.lab import ROOT, Lab

from compose import engine as engines
from compose import project as projects
from veg_lab import paths

_CACHE = Path(os.environ.get("VEG_CACHE") or "/var/cache/vpc-egress-gateway")
IMAGES = ("nats", "postgres", "migrations", "bus-auth", "watcher", "planner", "ovn-writer", "kube-writer", "vegctl")


@pytest.fixture(scope="session")
def programs() -> Path:
    """Engine and Compose: the machine's own, or others in the cache."""
    directory = _CACHE / "docker"
    if not (directory / "docker-compose").exists():
        done = subprocess.run([str(ROOT / "lab" / "build" / "docker.sh"), str(directory)], check=False)
        if done.returncode and not _has_engine():
            pytest.skip("no Docker engine here, and none can be brought here: see above")
        assert done.returncode == 0, "the machine has an engine, but there is no Compose: see above"
    return directory


def _has_engine() -> bool:
    return subprocess.run(["sh", "-c", "command -v dockerd"], capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="session")
def images() -> list[Path]:
    """Archives of all that the file names."""
    subprocess.run([str(ROOT / "scripts" / "images"), *IMAGES], check=True)
    return [_CACHE / "images" / f"{name}.tar" for name in IMAGES]


@pytest.fixture(scope="session")
def lab(programs: Path, images: list[Path]) -> Iterator[Lab]:  # noqa: ARG001  # first what takes long
    """A cluster, its OVN by TCP, and neither bus nor database: these are Compose's."""
    made = Lab(os.environ.get("VEG_COMPOSE_LAB", "compose"))
    made.call("up", "--infra", timeout_s=1200)
    made.call("stop", "nats", "postgres")
    northbound = made.run_directory / "ovn" / "ovn-nb.ctl"
    made.call("appctl", "-t", str(northbound), "ovsdb-server/add-remote", f"ptcp:6641:{paths.MACHINE_ADDRESS}")
    yield made
    made.call("down", timeout_s=120)
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    assert not [line for line in mounts if f"/nodes/{made.name}/" in line]
    assert not list(Path("/sys/fs/cgroup").glob(f"**/veg-lab/{made.name}"))
    assert not (_CACHE / "nodes" / made.name).exists()


@pytest.fixture(scope="session")
def engine(lab: Lab, programs: Path, images: list[Path]) -> Iterator[Engine]:
    inside = paths.Lab(lab.name, _CACHE)
    # On the disk of the nodes: /run is memory. `down` removes it.
    with engines.running(inside, programs, inside.storage / "docker") as made:
        made.load(images)
        yield made


@pytest.fixture(scope="session")
def project(lab: Lab, engine: Engine) -> Iterator[Project]:
    """All containers, healthy; at the end nothing of them is left."""
    made = projects.make(lab, paths.Lab(lab.name, _CACHE), engine)
    made.up()
    yield made
    made.compose("down", "--volumes")
    assert not made.leftovers()
