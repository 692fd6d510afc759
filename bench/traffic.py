"""Probes in client pods and a witness on the external link, and what their lines say."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final

SERVERS: Final = ("172.17.0.1", "fc00:172:17::1")
_PROBE: Final = Path(__file__).with_name("probe.py")
_STREAMS: Final = Path(__file__).with_name("streams.py")


@dataclass(frozen=True, slots=True)
class Flow:
    """The pings of one client in one family."""

    client: str
    family: str


@dataclass
class _Tail:
    """New lines of a file since the last look."""

    path: Path
    _rest: str = ""
    _offset: int = 0

    def lines(self) -> list[list[str]]:
        with self.path.open() as file:
            file.seek(self._offset)
            text = self._rest + file.read()
            self._offset = file.tell()
        *whole, self._rest = text.split("\n")
        return [line.split() for line in whole]


@dataclass
class Traffic:
    """What was seen so far. Times are seconds since the epoch."""

    directory: Path
    answered: dict[Flow, list[float]] = field(default_factory=dict)  # when the answered probes were sent
    numbers: dict[Flow, set[int]] = field(default_factory=dict)  # the sequence numbers of the answered probes
    sources: dict[Flow, str] = field(default_factory=dict)  # the address under which the last probe arrived outside
    arrivals: list[tuple[float, str]] = field(default_factory=list)
    slowest_s: float = 0.0  # how long the latest answer took
    _tails: dict[str, _Tail] = field(default_factory=dict)

    def look(self) -> None:
        """Take in what came since the last look."""
        for path in self.directory.glob("*.lines"):
            tail = self._tails.setdefault(path.name, _Tail(path))
            for name, family, number, middle, at in tail.lines():
                flow = Flow(name, family)
                if path.stem == "witness":
                    self.sources[flow] = middle
                    self.arrivals.append((float(at), middle))
                else:
                    self.slowest_s = max(self.slowest_s, float(at) - float(middle))
                    self.answered.setdefault(flow, []).append(float(middle))
                    self.numbers.setdefault(flow, set()).add(int(number))

    def lost(self) -> dict[Flow, list[int]]:
        """The probes that were not answered although later ones were, of each flow that has any."""
        gaps = {flow: sorted(set(range(min(seen), max(seen))) - seen) for flow, seen in self.numbers.items()}
        return {flow: gap for flow, gap in gaps.items() if gap}

    def outage(self, flow: Flow, since: float, until: float) -> tuple[float, float]:
        """The longest gap, from the last good packet to the first good one, in seconds; and when that last one was.

        One that has not ended by `until` counts that far.
        """
        sent = [at for at in sorted(self.answered.get(flow, [])) if since - 0.2 <= at <= until]
        edges = [sent[0] if sent else since, *sent, until]
        return max((after - before, before) for before, after in pairwise(edges))


@contextmanager
def running(
    lab: str, clients: dict[str, str], directory: Path, servers: tuple[str, ...] = SERVERS
) -> Iterator[Traffic]:
    """Probes in the pods of `clients` (name -> `namespace/pod`), and the witness, until the end of the block."""
    directory.mkdir(parents=True, exist_ok=True)
    spaces = namespaces(lab, clients)
    words = [
        [str(directory / "probes.lines"), spaces, *servers],
        [str(directory / "witness.lines"), f"witness={lab}.ext"],
    ]
    processes = [subprocess.Popen([sys.executable, str(_PROBE), *rest]) for rest in words]
    try:
        time.sleep(1)
        yield Traffic(directory)
    finally:
        end(processes)


@contextmanager
def streams(lab: str, clients: dict[str, str], file: Path) -> Iterator[None]:
    """A TCP stream of each client, and new connections all the while; after the block `file` says what came of them."""
    words = [sys.executable, str(_STREAMS), str(file), f"{lab}.ext", namespaces(lab, clients)]
    process = subprocess.Popen(words)
    try:
        time.sleep(1)
        yield
    finally:
        end([process])


def namespaces(lab: str, clients: dict[str, str]) -> str:
    """NAME=NETNS of each client, by commas."""
    return ",".join(f"{name}={lab}.pod.{pod.replace('/', '.', 1)}" for name, pod in clients.items())


def end(processes: list[subprocess.Popen[bytes]]) -> None:
    """Let them write down what they have, and wait for them."""
    for process in processes:
        process.send_signal(signal.SIGTERM)
    for process in processes:
        process.wait(10)
