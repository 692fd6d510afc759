"""A running lab as the e2e tests use it: through `lab/lab`, as a person would, and through the log in Postgres."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self, TypeVar

import psycopg
import yaml
from psycopg.rows import dict_row

from support.api import Api, RefusedError, UnknownWordsError
from veg_lab import control_plane, netns, ovn, paths

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "lab" / "examples"
GATEWAY_LABEL = "ovn.kubernetes.io/vpc-egress-gateway"

ResultT = TypeVar("ResultT")


class LabCommandError(AssertionError):
    """A command in the lab failed: which, and what it said."""


def eventually(check: Callable[[], ResultT], timeout_s: float = 30, what: str = "") -> ResultT:
    """The first result of `check` that is true; fails with the last one, or the last error, after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while True:
        last: object
        try:
            result = check()
        except (AssertionError, LookupError) as error:
            last = error
        else:
            if result:
                return result
            last = result
        if time.monotonic() > deadline:
            raise AssertionError(f"after {timeout_s} s {what or check.__name__}: {last}")
        time.sleep(0.05)


class Lab:
    """One lab, by name; `settings` are variables of its commands beside those of the test's own environment."""

    def __init__(self, name: str, **settings: str) -> None:
        self.name = name
        self.settings = settings
        # Beside a Kube-OVN with gateways of its own the short name is ambiguous.
        self.kind = f"vpc-egress-gateways.{settings['VEG_API_GROUP']}" if "VEG_API_GROUP" in settings else "veg"
        self._made = paths.Lab(name, Path(os.environ.get("VEG_CACHE") or "/var/cache/vpc-egress-gateway"))
        self.run_directory = self._made.run
        self._api = Api(self._made)

    def command(self, *words: str) -> list[str]:
        return [str(ROOT / "lab" / "lab"), *words]

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | self.settings | {"VEG_LAB": self.name}

    def call(self, *words: str, stdin: str | None = None, timeout_s: float = 60) -> str:
        """Run `lab/lab WORDS`; its standard output.

        Raises:
            LabCommandError: it failed.
        """
        argv, environment = self._program(words)
        done = subprocess.run(
            argv,
            env=environment,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if done.returncode != 0:
            raise LabCommandError(f"lab/lab {' '.join(words)}: exit {done.returncode}: {done.stderr}{done.stdout}")
        return done.stdout

    def _program(self, words: tuple[str, ...]) -> tuple[list[str], dict[str, str]]:
        """What `lab/lab` becomes for the commands that are called all the time, without the interpreter before it."""
        inside = os.environ | self._made.environment()
        match words:
            case ("nbctl", *rest):
                argv = ovn.tool(self._made, "ovn-nbctl", f"--db={self._made.nb_remote}", *rest)
                return [*netns.enter(self._made.namespace()), *argv], inside | ovn.environment(self._made)
            case ("exec", *rest):
                return control_plane.kubectl(self._made, "exec", *rest), inside
            case ("kubectl", *rest):
                return control_plane.kubectl(self._made, *rest), inside
            case _:
                return self.command(*words), self.environment

    def background(self, *words: str) -> "Background":
        return Background(
            subprocess.Popen(
                self.command(*words),
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )

    # Kubernetes.

    def kubectl(self, *words: str, stdin: str | None = None) -> str:
        return self.call("kubectl", *words, stdin=stdin, timeout_s=120)  # longer than any --timeout of a delete

    def apply(self, *objects: dict[str, Any]) -> None:
        self.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(objects))

    def get(self, *words: str) -> Any:
        """What `kubectl get WORDS -o json` says.

        Raises:
            LabCommandError: it is not there, or no server answers.
        """
        try:
            return self._api.get(*words)
        except UnknownWordsError:
            return json.loads(self.kubectl("get", *words, "-o", "json"))
        except (RefusedError, OSError) as error:
            raise LabCommandError(f"get {' '.join(words)}: {error}") from error

    def exists(self, *words: str) -> bool:
        """Whether there is such an object, or any in such a list.

        Raises:
            LabCommandError: the server does not say.
        """
        try:
            found = self._api.get(*words)
        except UnknownWordsError:
            return bool(self.kubectl("get", *words, "--ignore-not-found", "-o", "name").strip())
        except (RefusedError, OSError) as error:
            if isinstance(error, RefusedError) and error.status == HTTPStatus.NOT_FOUND:
                return False
            raise LabCommandError(f"get {' '.join(words)}: {error}") from error
        return bool(found.get("items", True))

    def gateway(self, name: str) -> Any:
        return self.get(self.kind, name)

    def ready(self, name: str, replicas: int) -> Any:
        """The gateway's object, once it is ready with that many replicas."""

        def check() -> Any:
            found = self.gateway(name)
            status = found.get("status", {})
            assert status.get("ready"), f"{name}: {conditions(found)}"
            assert status.get("replicas") == replicas, status
            assert len(status.get("internalIPs", [])) == replicas, status
            observed = [condition["observedGeneration"] for condition in status["conditions"]]
            assert all(number == found["metadata"]["generation"] for number in observed), observed
            return found

        return eventually(check, 60, f"gateway {name} is ready")

    def gateway_pods(self, name: str) -> list[Any]:
        """The pods of a gateway that are not being deleted, sorted by their internal address."""
        items = self.get("pod", "-l", f"{GATEWAY_LABEL}={name}")["items"]
        living = [item for item in items if "deletionTimestamp" not in item["metadata"]]
        return sorted(living, key=lambda item: str(item["status"].get("podIP")))

    def exec(self, pod: str, *words: str, container: str | None = None, timeout_s: float = 60) -> str:
        choice = ["-c", container] if container else []
        return self.call("exec", pod, *choice, "--", *words, timeout_s=timeout_s)

    def container_pid(self, pod: str, container: str) -> int:
        """The first process of a container of a pod in namespace default.

        Raises:
            LookupError: it does not run now.
        """
        found = self.get("pod", pod)
        statuses = found["status"].get("containerStatuses", [])
        ids = [item["containerID"] for item in statuses if item["name"] == container and "running" in item["state"]]
        tasks = "run/containerd/io.containerd.runtime.v2.task/k8s.io"
        for name in ids:
            node = self.run_directory / "nodes" / found["spec"]["nodeName"]
            with suppress(FileNotFoundError):  # it ends at this moment
                return int((node / tasks / name.removeprefix("containerd://") / "init.pid").read_text())
        raise LookupError(f"container {container} of pod {pod} does not run")

    # OVN.

    def nbctl(self, *words: str) -> str:
        return self.call("nbctl", *words)

    def policies(self, priority: int) -> dict[str, list[str]]:
        """Match -> nexthops of the policies of that priority on ovn-cluster."""
        found: dict[str, list[str]] = {}
        for line in self.nbctl("lr-policy-list", "ovn-cluster").splitlines():
            words = line.split()
            if words[:1] != [str(priority)]:
                continue
            match, _, nexthops = line.strip().removeprefix(str(priority)).partition("reroute")
            found[match.strip()] = sorted(item.strip() for item in nexthops.split(",") if item.strip())
        return found

    def owned_rows(self, gateway: str) -> str:
        """The uuids of the policies that carry the owner id of a gateway; empty when there are none."""
        condition = f'external_ids:vpc-egress-gateway.io/owner="{gateway}"'
        columns = ["--bare", "--columns=_uuid", "find", "Logical_Router_Policy", condition]
        return self.nbctl(*columns).strip()

    # The log.

    def sql(self, query: str, **parameters: object) -> list[dict[str, Any]]:
        """Rows of a query, as veg_reader."""
        directory = self.run_directory / "postgres"
        with psycopg.connect(f"host={directory} dbname=veg user=veg_reader", row_factory=dict_row) as connection:
            return connection.execute(query, parameters).fetchall()


class Background:
    """A command that runs while the test goes on."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.communicate(timeout=20)

    def output(self, timeout_s: float = 60) -> str:
        """What it printed, once it has ended by itself."""
        output, _ = self.process.communicate(timeout=timeout_s)
        return output


def conditions(found: Any) -> dict[str, str]:
    """type -> "status reason: message" of an object's conditions."""
    return {
        item["type"]: f"{item['status']} {item['reason']}: {item['message']}"
        for item in found.get("status", {}).get("conditions", [])
    }


def example(name: str) -> dict[str, Any]:
    """A manifest of `lab/examples`."""
    loaded: dict[str, Any] = yaml.safe_load((EXAMPLES / name).read_text())
    return loaded


def gateway_manifest(name: str, **spec: object) -> dict[str, Any]:
    """The document's first example under another name, with other fields."""
    manifest = example("gateway1.yaml")
    manifest["metadata"]["name"] = name
    manifest["spec"] |= spec
    return manifest
