"""A cluster, a bus and the watcher between them, all as real processes."""

from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import yaml
from functional import control_plane
from functional.control_plane import ControlPlane
from functional.servers import REPOSITORY, Nats, Service, wait_for
from functional.watcher.bus import Bus

from veg_contracts.names import KUBE_OVN_GROUP, ApiGroup
from veg_watcher.kinds import Kind, kinds

_RIGHTS = REPOSITORY / "charts" / "vpc-egress-gateway" / "files" / "rbac"
_NAMESPACED = {"VpcEgressGateway", "NetworkAttachmentDefinition"}
BY_NAME = {kind.name: kind for kind in kinds(KUBE_OVN_GROUP)}


def crd(kind: Kind) -> dict[str, Any]:
    """A CustomResourceDefinition that takes any object, so that malformed ones get as far as the watcher."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    served = {"name": kind.version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{kind.group}"},
        "spec": {
            "group": kind.group,
            "scope": "Namespaced" if kind.name in _NAMESPACED else "Cluster",
            "names": {"kind": kind.name, "plural": kind.plural, "singular": kind.name.lower()},
            "versions": [served],
        },
    }


def grant(plane: ControlPlane, group: ApiGroup) -> None:
    """Give the watcher the rights that we ship for it where gateways are in that group, and no others."""
    plurals = {"ClusterRole": "clusterroles", "ClusterRoleBinding": "clusterrolebindings"}
    for document in yaml.safe_load_all((_RIGHTS / f"{group}.yaml").read_text()):
        if document["metadata"]["name"] == "veg-watcher" and document["kind"] in plurals:
            path = f"/apis/rbac.authorization.k8s.io/v1/{plurals[document['kind']]}/veg-watcher"
            query = "fieldManager=test&force=true"
            plane.request("PATCH", f"{path}?{query}", document, "application/apply-patch+yaml")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """An API server with all kinds but one optional, which a test installs later."""
    with control_plane.running(tmp_path_factory.mktemp("control-plane")) as plane:
        for kind in kinds(KUBE_OVN_GROUP):
            if kind.group not in ("", "apps", "policy") and kind.name != "NetworkAttachmentDefinition":
                plane.install(crd(kind))
        grant(plane, KUBE_OVN_GROUP)
        yield plane


@pytest.fixture
def bus(nats_server: Nats) -> Bus:
    made = Bus(nats_server)
    made.create_stream()
    return made


class Watcher(Service):
    """The service as a process of its own."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        super().__init__("veg_watcher", environment, log)

    def start(self) -> None:
        super().start()
        wait_for("the watcher to be ready", lambda: self.readiness()[0] == HTTPStatus.OK)


@pytest.fixture
def make_watcher(cluster: ControlPlane, bus: Bus, tmp_path: Path) -> Iterator[Callable[..., Watcher]]:
    """A function that makes one more watcher, with settings as keywords; none is left running."""
    made: list[Watcher] = []

    def make(**settings: str) -> Watcher:
        own = {f"VEG_{name.upper()}": value for name, value in settings.items()}
        kubeconfig = {"KUBECONFIG": str(cluster.kubeconfig("watcher"))}
        log = tmp_path / f"watcher-{len(made)}.log"
        made.append(Watcher(bus.server.environment("watcher") | kubeconfig | own, log))
        return made[-1]

    yield make
    for watcher in made:
        watcher.kill()


@pytest.fixture
def watcher(make_watcher: Callable[..., Watcher]) -> Watcher:
    return make_watcher()
