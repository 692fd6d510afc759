"""An API server that knows every kind of the chart."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from functional import control_plane
from functional.control_plane import ControlPlane
from functional.servers import REPOSITORY, wait_for

Json = dict[str, Any]

RESTRICTED = "veg"  # a namespace in which the Pod Security Standard `restricted` is enforced, and warned of
_LAB = REPOSITORY / "lab" / "crds"


def _kind_of_others(group: str, version: str, kind: str, scope: str = "Namespaced") -> Json:
    """A kind that we only write objects of; what is in them is its owner's affair."""
    plural = f"{kind.lower()}s"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": scope,
            "names": {"kind": kind, "plural": plural},
            "versions": [{"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }


OTHERS = (
    _kind_of_others("monitoring.coreos.com", "v1", "PodMonitor"),
    _kind_of_others("cert-manager.io", "v1", "Issuer"),
    _kind_of_others("cert-manager.io", "v1", "Certificate"),
)


@dataclass(frozen=True)
class Cluster:
    plane: ControlPlane

    def kubectl(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        own = (f"--kubeconfig={self.plane.kubeconfig('admin')}", f"--cache-dir={self.plane.directory}/kubectl")
        argv = [str(control_plane.KUBECTL), *own, *words]
        return subprocess.run(argv, check=False, capture_output=True, text=True, input=stdin, timeout=60)

    def apply(self, text: str, *words: str) -> None:
        done = self.kubectl("apply", "--filename=-", *words, stdin=text)
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with control_plane.running(tmp_path_factory.mktemp("chart-control-plane")) as plane:
        made = Cluster(plane)
        wait_for("kube-system", lambda: made.kubectl("get", "namespace", "kube-system").returncode == 0)
        for path in (_LAB / "kube-ovn.yaml", _LAB / "multus.yaml"):
            made.apply(Path(path).read_text())
        made.apply("\n---\n".join(json.dumps(kind) for kind in OTHERS))
        wait = ("wait", "--for=condition=Established", "crd", "--all", "--timeout=20s")
        wait_for("definitions to be established", lambda: made.kubectl(*wait).returncode == 0)
        levels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
        plane.create("/api/v1/namespaces", {"metadata": {"name": RESTRICTED, "labels": levels}})
        yield made
