"""A cluster with our CRD and RBAC as they are shipped, a bus, and the kube-writer between them as a real process."""

import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from functional import control_plane
from functional.control_plane import ControlPlane, RefusedError
from functional.kube_writer.orders import Orders
from functional.servers import REPOSITORY, Nats, Service, wait_for

from veg_contracts.names import KUBE_OVN_GROUP, ApiGroup

Json = dict[str, Any]

EXAMPLE: Json = {
    "vpc": "ovn-cluster",
    "replicas": 1,
    "externalSubnet": "macvlan1",
    "policies": [{"snat": True, "subnets": ["ovn-default"]}],
}


@dataclass(frozen=True)
class Cluster:
    """The API server, kubectl for it, and the API group of the gateways there."""

    plane: ControlPlane
    group: ApiGroup = KUBE_OVN_GROUP

    def kubectl(self, *words: str, user: str = "admin", stdin: str = "") -> str:
        """What it prints. Fails the test when kubectl fails."""
        done = self.try_kubectl(*words, user=user, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def await_definitions(self) -> None:
        """Wait until every definition is established. `kubectl wait` fails at one that has no conditions yet."""
        words = ("wait", "--for=condition=Established", "crd", "--all", "--timeout=20s")
        wait_for("definitions to be established", lambda: self.try_kubectl(*words).returncode == 0)

    def try_kubectl(self, *words: str, user: str = "admin", stdin: str = "") -> subprocess.CompletedProcess[str]:
        # Servers of other runs had the same port, by which kubectl names what it remembers of the kinds of a server.
        own = (f"--kubeconfig={self.plane.kubeconfig(user)}", f"--cache-dir={self.plane.directory}/kubectl")
        argv = [str(control_plane.KUBECTL), *own, *words]
        return subprocess.run(argv, check=False, capture_output=True, text=True, input=stdin, timeout=30)


@dataclass(frozen=True)
class Space:
    """A Kubernetes namespace of one test, and the gateways and Deployments in it."""

    cluster: Cluster
    name: str

    @property
    def gateways(self) -> str:
        return f"/apis/{self.cluster.group}/v1/namespaces/{self.name}/vpc-egress-gateways"

    @property
    def deployments(self) -> str:
        return f"/apis/apps/v1/namespaces/{self.name}/deployments"

    def create_gateway(self, name: str = "gateway1", **spec: Any) -> str:
        """Its uid. Raises RefusedError."""
        body = {
            "apiVersion": f"{self.cluster.group}/v1",
            "kind": "VpcEgressGateway",
            "metadata": {"name": name},
            "spec": {key: value for key, value in (EXAMPLE | spec).items() if value is not None},
        }
        return str(self.cluster.plane.create(self.gateways, body)["metadata"]["uid"])

    def gateway(self, name: str = "gateway1") -> Json:
        return self.cluster.plane.request("GET", f"{self.gateways}/{name}")

    def deployment(self, name: str = "gateway1") -> Json | None:
        return self._get(f"{self.deployments}/{name}")

    @property
    def budgets(self) -> str:
        return f"/apis/policy/v1/namespaces/{self.name}/poddisruptionbudgets"

    def budget(self, name: str = "gateway1") -> Json | None:
        return self._get(f"{self.budgets}/{name}")

    def events(self) -> list[Json]:
        found: list[Json] = self.cluster.plane.request("GET", f"/api/v1/namespaces/{self.name}/events")["items"]
        return found

    def _get(self, path: str) -> Json | None:
        try:
            return self.cluster.plane.request("GET", path)
        except RefusedError as error:
            if error.code == 404:
                return None
            raise


class Writer(Service):
    """The service as a process of its own."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        super().__init__("veg_kube_writer", environment, log)

    def wait_until(self, ready: bool) -> str:
        """Wait for that state of readiness; what it says then."""
        status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
        wait_for(f"readiness of the writer to be {ready}", lambda: self.readiness()[0] == status)
        return self.readiness()[1]


@contextmanager
def running(directory: Path, group: ApiGroup) -> Iterator[Cluster]:
    """The API server, with what we ship applied as the README says, and the kinds of Kube-OVN."""
    applied = (
        REPOSITORY / "crds" / group,
        REPOSITORY / "charts" / "vpc-egress-gateway" / "files" / "rbac" / f"{group}.yaml",
        REPOSITORY / "lab" / "crds" / "kube-ovn.yaml",
    )
    with control_plane.running(directory) as plane:
        made = Cluster(plane, group)
        wait_for("kube-system", lambda: made.try_kubectl("get", "namespace", "kube-system").returncode == 0)
        made.kubectl("apply", *(f"--filename={path}" for path in applied))
        made.await_definitions()
        wait_for("the API server to serve the kind", lambda: made.try_kubectl("get", "veg").returncode == 0)
        yield made


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running(tmp_path_factory.mktemp("kube-writer-control-plane"), KUBE_OVN_GROUP) as made:
        yield made


@pytest.fixture
def space(cluster: Cluster) -> Space:
    return make_space(cluster)


def make_space(cluster: Cluster) -> Space:
    name = f"test-{secrets.token_hex(4)}"
    cluster.plane.create("/api/v1/namespaces", {"metadata": {"name": name}})
    return Space(cluster, name)


@contextmanager
def serving(cluster: Cluster, orders: Orders, directory: Path) -> Iterator[Writer]:
    """The kube-writer between a cluster and a bus, with the rights that we ship."""
    own = {"KUBECONFIG": str(cluster.plane.kubeconfig("kube-writer")), "VEG_API_GROUP": cluster.group}
    made = Writer(orders.server.environment("kube-writer") | own, directory / "kube-writer.log")
    made.start()
    try:
        yield made
    finally:
        made.kill()


@pytest.fixture
def orders(nats_server: Nats) -> Orders:
    made = Orders(nats_server)
    made.create_streams()
    return made


@pytest.fixture
def writer(cluster: Cluster, orders: Orders, tmp_path: Path) -> Iterator[Writer]:
    with serving(cluster, orders, tmp_path) as made:
        yield made
