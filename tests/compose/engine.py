"""A Docker engine inside a lab: its containers reach the lab as those of a machine beside a cluster reach the cluster.

It lives in mount and process namespaces of its own and in the lab's cgroup: whoever ends its first process, or takes
the lab down, ends and unmounts everything of it.
"""

import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from veg_lab import netns
from veg_lab.paths import Lab

_START_WITHIN_S = 30.0
_END_WITHIN_S = 30.0


@dataclass(frozen=True)
class Engine:
    programs: Path
    directory: Path

    @property
    def environment(self) -> dict[str, str]:
        """What docker, Compose and scripts find the engine by."""
        paths = f"{self.programs}:{os.environ['PATH']}"
        return os.environ | {"DOCKER_HOST": f"unix://{self.directory}/docker.sock", "PATH": paths}

    def run(self, *words: str, timeout_s: float = 120, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run a command that speaks to the engine."""
        done = subprocess.run(
            words,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert not check or done.returncode == 0, f"{' '.join(words)}: {done.stderr[-4000:]}{done.stdout[-2000:]}"
        return done

    def docker(self, *words: str) -> str:
        return self.run("docker", *words).stdout

    def load(self, archives: Sequence[Path]) -> None:
        """Have the images of these archives."""
        for archive in archives:
            self.docker("load", "--quiet", "--input", str(archive))

    def inspect(self, container: str) -> Any:
        (found,) = json.loads(self.docker("inspect", container))
        return found


@contextmanager
def running(lab: Lab, programs: Path, directory: Path) -> Iterator[Engine]:
    """An engine whose data, sockets and log are in `directory`, until the end of the block."""
    engine = Engine(programs, directory)
    directory.mkdir(mode=0o700, parents=True)
    # Nothing of Docker's own in the lab's routes and rules: no bridge before Compose makes some, no NAT. Ports are
    # published by docker-proxy.
    words = [
        *netns.enter(lab.namespace()),
        *("unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child=SIGKILL"),
        *("dockerd", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--bridge=none"),
        f"--host={engine.environment['DOCKER_HOST']}",
        f"--data-root={directory}/data",
        f"--exec-root={directory}/exec",
        f"--pidfile={directory}/pid",
        f"--cgroup-parent=/{lab.cgroup}/docker",
        "--exec-opt=native.cgroupdriver=cgroupfs",
        f"--init-path={programs}/docker-init",
        f"--userland-proxy-path={programs}/docker-proxy",
    ]
    log = directory / "dockerd.log"
    with log.open("wb") as sink:
        daemon = subprocess.Popen(
            words, env=engine.environment, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True
        )
    try:
        _wait(engine, daemon, log)
        yield engine
    finally:
        daemon.kill()  # and with it the first process of the namespace, and so all
        daemon.wait(_END_WITHIN_S)


def _wait(engine: Engine, daemon: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _START_WITHIN_S
    while engine.run("docker", "version", check=False).returncode:
        text = log.read_text(errors="replace")
        assert daemon.poll() is None, f"dockerd has ended: {text[-3000:]}"
        assert time.monotonic() < deadline, f"dockerd does not answer: {text[-3000:]}"
        time.sleep(0.2)
