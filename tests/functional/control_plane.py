"""A real etcd and kube-apiserver on free ports of the loopback, for tests that need Kubernetes' API and no more."""

import json
import os
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from functional.servers import Process, free_port

from veg_lab import certificates
from veg_lab.paths import Lab

_CACHE = Path(os.environ.get("VEG_CACHE") or "/var/cache/vpc-egress-gateway")
_KUBERNETES = Lab("functional", _CACHE).kubernetes
KUBECTL = _KUBERNETES / "kubectl"
# User -> its group. Whoever is not an admin may do what the test grants it.
USERS = {"admin": "system:masters", "watcher": "veg-test", "kube-writer": "veg-test", "bus-auth": "veg-test"}
_READY_WITHIN_S = 60.0

Json = dict[str, Any]


class RefusedError(Exception):
    """The API server said no: `code` and what it said."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


@dataclass
class ControlPlane:
    """An API server with an etcd behind it; `request` and the kubeconfigs are the ways in."""

    directory: Path
    etcd_port: int = field(default_factory=free_port)
    peer_port: int = field(default_factory=free_port)
    port: int = field(default_factory=free_port)
    _processes: dict[str, Process] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def certificate(self) -> Path:
        """Self-signed, made by the API server itself at its first start."""
        return self.directory / "apiserver.crt"

    def kubeconfig(self, user: str) -> Path:
        return self.directory / f"{user}.kubeconfig"

    def start(self) -> None:
        """Everything that does not run yet; ready on return."""
        if "etcd" not in self._processes:
            self._spawn("etcd", self._etcd())
        if "kube-apiserver" not in self._processes:
            self._spawn("kube-apiserver", self._api_server())
        self._wait_until_ready()

    def kill_api_server(self) -> None:
        self._processes.pop("kube-apiserver").kill()

    def stop(self) -> None:
        for process in self._processes.values():
            process.kill()
        self._processes.clear()

    def request(self, method: str, path: str, body: Json | None = None, kind: str = "application/json") -> Json:
        """One request as admin, and the answer's body. Raises RefusedError."""
        answer: Json = json.loads(self._send(method, path, body, kind))
        return answer

    def create(self, path: str, body: Json) -> Json:
        return self.request("POST", path, body)

    def patch(self, path: str, body: Json) -> Json:
        return self.request("PATCH", path, body, "application/merge-patch+json")

    def delete(self, path: str) -> Json:
        return self.request("DELETE", path)

    def install(self, crd: Json) -> None:
        """Create the CustomResourceDefinition and wait until its objects can be listed."""
        self.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd)
        spec = crd["spec"]
        path = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"
        deadline = time.monotonic() + _READY_WITHIN_S
        while True:
            try:
                self.request("GET", path)
            except RefusedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return

    def _send(self, method: str, path: str, body: Json | None = None, kind: str = "application/json") -> bytes:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": "Bearer admin", "Content-Type": kind}
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=headers)  # noqa: S310
        context = ssl.create_default_context(cafile=str(self.certificate))
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        try:
            with opener.open(request, timeout=30) as response:
                return bytes(response.read())
        except urllib.error.HTTPError as error:
            raise RefusedError(error.code, error.read().decode(errors="replace")) from error

    def _etcd(self) -> Sequence[str]:
        client, peer = f"http://127.0.0.1:{self.etcd_port}", f"http://127.0.0.1:{self.peer_port}"
        return (
            str(_KUBERNETES / "etcd"),
            f"--data-dir={self.directory}/etcd",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--log-level=warn",
            "--unsafe-no-fsync",
        )

    def _api_server(self) -> Sequence[str]:
        return (
            str(_KUBERNETES / "kube-apiserver"),
            f"--etcd-servers=http://127.0.0.1:{self.etcd_port}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self.port}",
            "--endpoint-reconciler-type=none",
            f"--cert-dir={self.directory}",
            f"--token-auth-file={self.directory}/tokens.csv",
            "--authorization-mode=RBAC",
            # No service account is there to be mounted into pods, and no node registers itself here.
            "--disable-admission-plugins=ServiceAccount,TaintNodesByCondition",
            "--allow-privileged=true",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self.directory}/service-account.key",
            f"--service-account-signing-key-file={self.directory}/service-account.key",
        )

    def _spawn(self, name: str, argv: Sequence[str]) -> None:
        self._processes[name] = Process(argv, self.directory / f"{name}.log")
        self._processes[name].start()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _READY_WITHIN_S
        while True:
            try:
                self._send("GET", "/readyz")
            except (RefusedError, OSError, urllib.error.URLError) as error:
                ended = [name for name, process in self._processes.items() if not process.alive]
                if ended or time.monotonic() > deadline:
                    raise AssertionError(f"no API server; see {self.directory}; ended: {ended}") from error
                time.sleep(0.1)
            else:
                return


def _write_users(plane: ControlPlane) -> None:
    tokens = "".join(f'{user},{user},{user},"{group}"\n' for user, group in USERS.items())
    (plane.directory / "tokens.csv").write_text(tokens)
    for user in USERS:
        config = _kubeconfig({"server": plane.url, "certificate-authority": str(plane.certificate)}, user)
        plane.kubeconfig(user).write_text(json.dumps(config))


def _kubeconfig(cluster: Mapping[str, str], user: str) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": dict(cluster)}],
        "users": [{"name": user, "user": {"token": user}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
        "current-context": "test",
    }


@contextmanager
def running(directory: Path) -> Iterator[ControlPlane]:
    """A control plane for as long as the context lasts; its files and logs are in `directory`."""
    plane = ControlPlane(directory)
    certificates.make_key(directory / "service-account.key")
    _write_users(plane)
    try:
        plane.start()
        yield plane
    finally:
        plane.stop()
