"""Ways in which a gateway pod fails, each with its undo. They act at once, past Kubernetes, as a failure does."""

import json
import os
import signal
import subprocess
from abc import ABC, abstractmethod
from pathlib import Path

from support.lab import Lab


class Kill(ABC):
    """One way. `pod` is a gateway pod of namespace default."""

    def __init__(self, lab: Lab, pod: str) -> None:
        self.lab = lab
        self.pod = pod
        self.namespace = f"{lab.name}.pod.default.{pod}"

    @abstractmethod
    def do(self) -> None: ...

    @abstractmethod
    def undo(self) -> None: ...

    def processes(self) -> list[int]:
        """Every process in the pod's network namespace."""
        done = subprocess.run(["ip", "netns", "pids", self.namespace], capture_output=True, text=True, check=True)
        return [int(word) for word in done.stdout.split()]

    def _in(self, namespace: str, *words: str) -> str:
        enter = ["nsenter", f"--net=/run/netns/{namespace}", *words]
        return subprocess.run(enter, capture_output=True, text=True, check=True).stdout


class LinkDown(Kill):
    """The pod's link into the virtual network loses its carrier; everything in the pod goes on."""

    def __init__(self, lab: Lab, pod: str) -> None:
        super().__init__(lab, pod)
        (inner,) = json.loads(self._in(self.namespace, "ip", "-j", "link", "show", "eth0"))
        links = json.loads(self._in(lab.name, "ip", "-j", "link"))
        (self._outer,) = [link["ifname"] for link in links if link["ifindex"] == inner["link_index"]]

    def do(self) -> None:
        self._in(self.lab.name, "ip", "link", "set", self._outer, "down")

    def undo(self) -> None:
        self._in(self.lab.name, "ip", "link", "set", self._outer, "up")


class SpeakerKilled(Kill):
    """`kill -9` of the BFD speaker. The pod goes on forwarding, and Kubernetes starts the speaker again."""

    def do(self) -> None:
        for pid in self.processes():
            if b"bfdd" in Path(f"/proc/{pid}/cmdline").read_bytes() and b"control" not in _words(pid):
                os.kill(pid, signal.SIGKILL)

    def undo(self) -> None:
        """Kubernetes does it."""


class Frozen(Kill):
    """SIGSTOP of every process in the pod. The kernel goes on forwarding: only BFD can tell."""

    def do(self) -> None:
        for pid in self.processes():
            os.kill(pid, signal.SIGSTOP)

    def undo(self) -> None:
        for pid in self.processes():
            os.kill(pid, signal.SIGCONT)


class NodeFailed(Kill):
    """The pod's node, with everything on it."""

    def __init__(self, lab: Lab, pod: str) -> None:
        super().__init__(lab, pod)
        self._node = lab.get("pod", pod)["spec"]["nodeName"]

    def do(self) -> None:
        self.lab.call("node", "fail", self._node)

    def undo(self) -> None:
        self.lab.call("node", "restore", self._node)


def _words(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


WAYS: dict[str, type[Kill]] = {
    "link down": LinkDown,
    "kill -9 bfdd": SpeakerKilled,
    "SIGSTOP pod": Frozen,
    "node fail": NodeFailed,
}
