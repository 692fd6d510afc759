"""Ways in which a gateway pod fails, each with its undo. They act at once, past Kubernetes, as a failure does."""

import json
import os
import signal
import subprocess
from abc import ABC, abstractmethod
from contextlib import suppress

from support.lab import Lab


def processes(namespace: str) -> list[int]:
    """Every process in a network namespace."""
    done = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True, check=True)
    return [int(word) for word in done.stdout.split()]


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

    def _in(self, namespace: str, *words: str) -> str:
        enter = ["nsenter", f"--net=/run/netns/{namespace}", *words]
        return subprocess.run(enter, capture_output=True, text=True, check=True).stdout


class LinkDown(Kill):
    """The pod's link into the virtual network loses its carrier; everything in the pod goes on."""

    def __init__(self, lab: Lab, pod: str) -> None:
        super().__init__(lab, pod)
        (inner,) = json.loads(self._in(self.namespace, "ip", "-j", "link", "show", "eth0"))
        self._node = f"{lab.name}.node.{lab.get('pod', pod)['spec']['nodeName']}"
        links = json.loads(self._in(self._node, "ip", "-j", "link"))
        (self._outer,) = [link["ifname"] for link in links if link["ifindex"] == inner["link_index"]]

    def do(self) -> None:
        self._in(self._node, "ip", "link", "set", self._outer, "down")

    def undo(self) -> None:
        self._in(self._node, "ip", "link", "set", self._outer, "up")


class Deaf(Kill):
    """The pod hears no BFD packet any more and is still heard: to OVN the session is in "init" then, not "down"."""

    def do(self) -> None:
        self._rule("-I")

    def undo(self) -> None:
        self._rule("-D")

    def _rule(self, verb: str) -> None:
        rule = ["PREROUTING", "-p", "udp", "--dport", "3784", "-j", "DROP"]
        self._in(self.namespace, "iptables", "-w", "-t", "raw", verb, *rule)


class SpeakerKilled(Kill):
    """`kill -9` of the BFD speaker. The pod goes on forwarding, and Kubernetes starts the speaker again."""

    def do(self) -> None:
        _send(self.lab.container_pid(self.pod, "bfdd"), signal.SIGKILL)

    def undo(self) -> None:
        """Kubernetes starts it again, but ever later the more often it was killed: another pod has no such past."""
        self.lab.kubectl("delete", "pod", self.pod)


class Frozen(Kill):
    """SIGSTOP of every process in the pod. The kernel goes on forwarding: only BFD can tell."""

    def do(self) -> None:
        for pid in processes(self.namespace):
            _send(pid, signal.SIGSTOP)

    def undo(self) -> None:
        for pid in processes(self.namespace):
            _send(pid, signal.SIGCONT)


class NodeFailed(Kill):
    """The pod's node, with everything on it."""

    def __init__(self, lab: Lab, pod: str) -> None:
        super().__init__(lab, pod)
        self._node = lab.get("pod", pod)["spec"]["nodeName"]

    def do(self) -> None:
        self.lab.call("node", "fail", self._node)

    def undo(self) -> None:
        self.lab.call("node", "restore", self._node)


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # it has just ended by itself
        os.kill(pid, number)


WAYS: dict[str, type[Kill]] = {
    "link down": LinkDown,
    "kill -9 bfdd": SpeakerKilled,
    "SIGSTOP pod": Frozen,
    "node fail": NodeFailed,
}
