"""Client pods, and what the external server sees of them while a test changes things."""

import subprocess
import sys
import threading
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any, Self

from support.lab import Lab, eventually

SERVER = "172.17.0.1"
CLIENT_IMAGE = "localhost/veg/lab-client:dev"
_ASK = Path(__file__).with_name("ask.py")


def client_pod(
    name: str, namespace: str = "default", labels: dict[str, str] | None = None, subnet: str = "", node: str = ""
) -> dict[str, Any]:
    """A pod to fetch and ping from; of the namespace's subnet, and on some node, unless one is named."""
    annotations = {"ovn.kubernetes.io/logical_switch": subnet} if subnet else {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels or {}, "annotations": annotations},
        "spec": {
            **({"nodeName": node} if node else {}),
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "client", "image": CLIENT_IMAGE, "command": ["sleep", "infinity"]}],
        },
    }


def namespace_manifest(name: str, labels: dict[str, str] | None = None) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels or {}}}


def subnet_manifest(name: str, cidr: str, **spec: object) -> dict[str, Any]:
    """A Subnet of the default VPC, unless `spec` says otherwise."""
    return {
        "apiVersion": "kubeovn.io/v1",
        "kind": "Subnet",
        "metadata": {"name": name},
        "spec": {"protocol": "IPv4", "cidrBlock": cidr} | spec,
    }


def await_running(lab: Lab, *keys: str) -> None:
    """Wait until the pods `namespace/name` are ready."""
    for key in keys:
        namespace, _, name = key.partition("/")

        def ready(namespace: str = namespace, name: str = name) -> bool:
            status = lab.get("pod", "-n", namespace, name)["status"]
            return any(item["type"] == "Ready" and item["status"] == "True" for item in status.get("conditions", []))

        eventually(ready, 60, f"pod {key} runs")


def inside(lab: Lab, key: str, *words: str) -> list[str]:
    """The command that runs `words` in the network of the pod `namespace/name`, with no detour."""
    namespace, _, name = key.partition("/")
    return ["nsenter", f"--net=/run/netns/{lab.name}.pod.{namespace}.{name}", *words]


def seen(lab: Lab, key: str) -> str:
    """Whom the external server sees when this pod fetches from it; empty when there is no answer."""
    words = inside(lab, key, "curl", "-s", "--max-time", "2", f"http://{SERVER}/")
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()


class Asking:
    """Asks all the time from inside a pod; keeps what was answered, and when."""

    def __init__(self, lab: Lab, key: str) -> None:
        words = inside(lab, key, sys.executable, str(_ASK), SERVER)
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        self._answers: list[tuple[float, str]] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            when, answer = line.split()
            self._answers.append((float(when), answer))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)
        self._reader.join(10)

    @property
    def answers(self) -> list[tuple[float, str]]:
        return list(self._answers)

    def until(self, wanted: Collection[str], within_s: float, *, since: float | None = None) -> float:
        """Wait for an answer out of `wanted`; how long after `since` (now) it came, in seconds."""
        since = time.monotonic() if since is None else since

        def first() -> float | None:
            return next((when - since for when, answer in self.answers if when >= since and answer in wanted), None)

        deadline = since + within_s
        while (found := first()) is None:
            if time.monotonic() > deadline + 0.5:
                raise AssertionError(f"no answer {sorted(wanted)} within {within_s} s: {self.answers[-20:]}")
            time.sleep(0.01)
        assert found <= within_s, f"{sorted(wanted)} after {found:.2f} s, allowed are {within_s} s"
        return found

    def steadily_not(self, unwanted: Collection[str], within_s: float) -> None:
        """Wait until no answer of the last second is in `unwanted`, and there was one."""

        def settled() -> bool:
            now = time.monotonic()
            last = [answer for when, answer in self.answers if when >= now - 1]
            return bool(last) and not set(last) & set(unwanted)

        eventually(settled, within_s, f"no answer is in {sorted(unwanted)}")
