"""Who comes in: a bus with the accounts that we ship, an API server with the rights that we ship, and bus-auth.

Gateway pods are objects only: made by hand with their owners, and their tokens by the TokenRequest API, as a kubelet
does it.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

import nats.errors
import pytest
import yaml
from functional import control_plane
from functional.control_plane import ControlPlane
from functional.servers import REPOSITORY, Nats, Service, wait_for
from functional.watcher.conftest import crd
from nats.aio.client import Client

from veg_contracts import permissions
from veg_contracts.names import KUBE_OVN_GROUP
from veg_planner.bus.streams import ensure_streams
from veg_runtime import bus
from veg_watcher.kinds import kinds

Json = dict[str, Any]
T = TypeVar("T")
_RIGHTS = REPOSITORY / "charts" / "vpc-egress-gateway" / "files" / "rbac" / f"{KUBE_OVN_GROUP}.yaml"
_GATEWAY_KIND = next(kind for kind in kinds(KUBE_OVN_GROUP) if kind.name == "VpcEgressGateway")


@dataclass
class Space:
    """A Kubernetes namespace of one test."""

    plane: ControlPlane
    name: str = field(default_factory=lambda: f"ns-{secrets.token_hex(4)}")

    def create(self, kind: str, api_version: str, name: str, owner: Json | None = None, **rest: Any) -> Json:
        """Make the object, and return what an owner reference to it is."""
        metadata = {"name": name, "ownerReferences": [owner] if owner else []}
        body = {"apiVersion": api_version, "kind": kind, "metadata": metadata, **rest}
        made = self.plane.create(self.path(kind), body)
        return {"apiVersion": api_version, "kind": kind, "name": name, "uid": made["metadata"]["uid"]}

    def path(self, kind: str) -> str:
        group = {"Pod": "api/v1", "VpcEgressGateway": f"apis/{KUBE_OVN_GROUP}/v1"}.get(kind, "apis/apps/v1")
        plural = {"VpcEgressGateway": "vpc-egress-gateways"}.get(kind, f"{kind.lower()}s")
        return f"/{group}/namespaces/{self.name}/{plural}"

    def gateway(self, name: str = "gateway1", **spec: Any) -> Json:
        return self.create("VpcEgressGateway", f"{KUBE_OVN_GROUP}/v1", name, spec=spec)

    def deployment(self, owner: Json | None, name: str = "gateway1") -> Json:
        return self.create("Deployment", "apps/v1", name, owner, spec=_template(name))

    def replica_set(self, owner: Json, name: str = "gateway1-1") -> Json:
        return self.create("ReplicaSet", "apps/v1", name, {**owner, "controller": True}, spec=_template(name))

    def pod(self, owner: Json | None, name: str = "gateway1-1-a") -> Json:
        owner = {**owner, "controller": True} if owner else None
        return self.create("Pod", "v1", name, owner, spec=_POD)

    def chain(self, name: str = "gateway1") -> Json:
        """A gateway with everything down to its one pod, which it returns."""
        return self.pod(self.replica_set(self.deployment(self.gateway(name), name), f"{name}-1"), f"{name}-1-a")

    def token(self, pod: Json | None, audience: str = permissions.TOKEN_AUDIENCE, seconds: int = 3600) -> str:
        """A token as the kubelet asks for one."""
        bound = {"boundObjectRef": {key: pod[key] for key in ("apiVersion", "kind", "name", "uid")}} if pod else {}
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"audiences": [audience], "expirationSeconds": seconds, **bound},
        }
        path = f"/api/v1/namespaces/{self.name}/serviceaccounts/default/token"
        return str(self.plane.create(path, body)["status"]["token"])


_POD: Json = {"serviceAccountName": "default", "containers": [{"name": "gateway", "image": "gateway:1"}]}


def _template(name: str) -> Json:
    labels = {"app": name}
    return {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": _POD}}


class BusAuth(Service):
    """The service as a process of its own."""

    def __init__(self, plane: ControlPlane, server: Nats, log: Path, **settings: str) -> None:
        environment = {
            **server.environment("bus-auth"),
            "VEG_ISSUER_SEED": server.issuer_seed,
            "VEG_XKEY_SEED": server.xkey_seed,
            "KUBECONFIG": str(plane.kubeconfig("bus-auth")),
            **settings,
        }
        super().__init__("veg_bus_auth", environment, log)

    def start(self) -> None:
        super().start()
        wait_for("bus-auth to be ready", lambda: self.readiness()[0] == HTTPStatus.OK)

    def reasons(self) -> list[str]:
        """Why it let somebody not in, each time."""
        return [line["reason"] for line in self.said() if line["event"] == "client not let in"]


@dataclass(frozen=True)
class World:
    """All of it together."""

    plane: ControlPlane
    server: Nats
    service: BusAuth

    def space(self) -> Space:
        made = Space(self.plane)
        self.plane.create("/api/v1/namespaces", {"metadata": {"name": made.name}})
        # No controller makes it here.
        self.plane.create(f"/api/v1/namespaces/{made.name}/serviceaccounts", {"metadata": {"name": "default"}})
        return made

    def as_pod(self, token: str, uid: str, work: Callable[[Client, list[str]], Awaitable[T]]) -> T:
        """Do something as a gateway pod; the list is of what the server refused meanwhile."""

        async def connected() -> T:
            said: list[str] = []

            async def note(error: Exception) -> None:
                said.append(str(error))

            client = bus._Client(tls=False)  # the library's own gives up on a server that thinks for 2 s
            await client.connect(
                self.server.url,
                token=token,
                inbox_prefix=permissions.agent_inbox_prefix(uid).encode(),
                connect_timeout=15,
                allow_reconnect=False,
                error_cb=note,
            )
            try:
                return await work(client, said)
            finally:
                await client.close()

        return asyncio.run(connected())

    def refused(self, token: str) -> bool:
        """Whether the server keeps out whoever shows this token."""

        async def nothing(client: Client, _: list[str]) -> None:
            await client.flush()

        try:
            self.as_pod(token, "0", nothing)
        except nats.errors.Error as error:
            if "Authorization Violation" not in str(error):
                raise
            return True
        return False


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """An API server that knows gateways, and bus-auth by the rights that are shipped."""
    with control_plane.running(tmp_path_factory.mktemp("control-plane")) as made:
        made.install(crd(_GATEWAY_KIND))
        plurals = {"ClusterRole": "clusterroles", "ClusterRoleBinding": "clusterrolebindings"}
        for document in yaml.safe_load_all(_RIGHTS.read_text()):
            if document["metadata"]["name"] == "veg-bus-auth" and document["kind"] in plurals:
                made.create(f"/apis/rbac.authorization.k8s.io/v1/{plurals[document['kind']]}", document)
        yield made


@contextmanager
def running(plane: ControlPlane, directory: Path, **settings: str) -> Iterator[World]:
    """A bus with its streams and a bus-auth."""
    server = Nats(directory)
    service = BusAuth(plane, server, directory / "bus-auth.log", **settings)
    try:
        server.start()
        server.ask(ensure_streams)
        service.start()
        yield World(plane, server, service)
    finally:
        service.kill()
        server.kill()


@pytest.fixture(scope="module")
def world(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running(plane, tmp_path_factory.mktemp("bus")) as made:
        yield made


@pytest.fixture
def own_world(plane: ControlPlane, tmp_path: Path) -> Iterator[World]:
    """One whose parts a test may kill; who is let in has to come again after 10 s at most."""
    with running(plane, tmp_path, VEG_USER_VALID_S="10") as made:
        yield made
