"""Where everything of one lab lives, and what every process in it is told about that."""

import functools
import hashlib
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from veg_lab.errors import LabError

RUN_ROOT = Path("/run/veg-lab")
REPOSITORY = Path(__file__).resolve().parents[2]
POSTGRES_BIN = Path("/usr/lib/postgresql/15/bin")
# A dot separates the parts of a namespace's name, so no lab's name begins another one's namespaces.
NAME = re.compile(r"[a-z][a-z0-9-]{0,9}")
KUBERNETES_SOURCE = REPOSITORY / "lab" / "build" / "kubernetes"
RUNTIME_SOURCE = REPOSITORY / "lab" / "build" / "containerd"
_CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
PROGRAMS = (*_CONTROL_PLANE, "kubelet", "containerd", "containerd-shim-runc-v2", "ctr")
# The machine on the node network of the user's document: API server, southbound database, and the nodes' way out.
MACHINE_ADDRESS = "172.18.0.1"


@dataclass(frozen=True)
class Lab:
    """One lab: its name decides all of its paths and namespaces, so two labs never meet."""

    name: str
    cache: Path
    root: Path = RUN_ROOT

    @property
    def run(self) -> Path:
        """Everything that `down` removes."""
        return self.root / self.name

    @property
    def storage(self) -> Path:
        """The disks of the lab's nodes, which `down` removes as well: on the file system of the cache."""
        return self.cache / "nodes" / self.name

    @property
    def cgroup(self) -> str:
        """The path of the lab's cgroup below each controller."""
        return f"veg-lab/{self.name}"

    @property
    def kubernetes(self) -> Path:
        """Where Kubernetes' programs are: given by the user, or downloaded or built into the cache.

        The usual `$KUBEBUILDER_ASSETS` has no controller manager, for one, and is then not used.
        """
        given = (Path(os.environ[name]) for name in ("KUBE_ASSETS", "KUBEBUILDER_ASSETS") if os.environ.get(name))
        return next(filter(is_kubernetes, given), self.cache / _kubernetes_build())

    @property
    def ovn_tree(self) -> Path:
        """The unpacked OVN and Open vSwitch."""
        return self.cache / "ovn"

    @property
    def nb_remote(self) -> str:
        """OVN's northbound database."""
        return f"unix:{self.run}/ovn/nb.sock"

    @property
    def sb_remote(self) -> str:
        """OVN's southbound database."""
        return f"unix:{self.run}/ovn/sb.sock"

    def namespace(self, *parts: str) -> str:
        """The network namespace `<name>.<part>…`; without parts, that of the machine itself."""
        return ".".join((self.name, *parts))

    def log(self, component: str) -> Path:
        """The log file of a component."""
        return self.run / "log" / f"{component}.log"

    def secret(self, name: str) -> Path:
        """A file that only root reads."""
        return self.run / "secrets" / name

    def kubeconfig(self, user: str) -> Path:
        """The kubeconfig of a user of the API server."""
        return self.run / "kubeconfig" / user

    def postgres_url(self, role: str) -> str:
        """The SQLAlchemy URL of the database for a role."""
        return f"postgresql+psycopg://{role}@/veg?host={self.run}/postgres"

    def environment(self) -> dict[str, str]:
        """What every process in the lab sees, so that a shell in the lab and a service agree on where things are."""
        search = (str(Path(sys.prefix) / "bin"), str(self.kubernetes), os.environ.get("PATH", ""), "/usr/sbin", "/sbin")
        return {
            "VEG_LAB": self.name,
            "VEG_CACHE": str(self.cache),
            "VEG_NB_REMOTE": self.nb_remote,
            "OVN_NB_DB": self.nb_remote,
            "OVN_SB_DB": self.sb_remote,
            "KUBECONFIG": str(self.kubeconfig("admin")),
            "PATH": ":".join(part for part in search if part),
            "PYTHONPATH": ":".join(map(str, source_directories())),
            "PYTHONUNBUFFERED": "1",
        }


def is_kubernetes(directory: Path) -> bool:
    """Whether all programs of Kubernetes and of its container runtime that the lab runs are there."""
    return all((directory / program).exists() for program in PROGRAMS)


@functools.cache
def _kubernetes_build() -> str:
    """The name of what lab/build/kubernetes.sh makes: its version, and a digest of what it is made of."""
    pinned = (KUBERNETES_SOURCE / "go.mod").read_text()
    found = re.search(r"^\tk8s\.io/kubernetes v([0-9.]+)$", pinned, re.MULTILINE)
    if found is None:
        raise LabError(f"{KUBERNETES_SOURCE}/go.mod requires no k8s.io/kubernetes")
    inputs = pinned + (KUBERNETES_SOURCE / "main.go").read_text() + (RUNTIME_SOURCE / "go.mod").read_text()
    return f"kubernetes-{found[1]}-{hashlib.sha256(inputs.encode()).hexdigest()[:8]}"


def source_directories() -> tuple[Path, ...]:
    """The roots of all packages of this repository, so that the lab runs the tree it lies in, installed or not."""
    several = (found for parent in ("libs", "services") for found in sorted((REPOSITORY / parent).iterdir()))
    return (REPOSITORY / "lab", REPOSITORY / "cli", *several)


def from_environment() -> Lab:
    """The lab that `$VEG_LAB` names."""
    name = os.environ.get("VEG_LAB") or "veg"
    if not NAME.fullmatch(name):
        raise LabError(f"VEG_LAB={name!r}: a lab's name has 1 to 10 of a-z, 0-9 and '-', and begins with a letter")
    return Lab(name=name, cache=Path(os.environ.get("VEG_CACHE") or "/var/cache/vpc-egress-gateway"))
