"""A VpcEgressGateway and what it needs of its surroundings, as values. No I/O."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from veg_lab.mini_kube_ovn.assign import Cluster
from veg_lab.mini_kube_ovn.model import Json, Network, Subnet, parse_networks
from veg_lab.mini_kube_ovn.names import DEFAULT_VPC, FOREIGN_OWNER_KEY, VENDOR
from veg_lab.mini_kube_ovn.snapshot import Snapshot

KIND = "VpcEgressGateway"
FINALIZER = "kubeovn.io/kube-ovn-controller"
LABEL = "ovn.kubernetes.io/vpc-egress-gateway"
FAMILIES = (4, 6)


class WorkloadError(Exception):
    """The pods of a gateway cannot be planned; the message says why, as Kube-OVN says it."""


@dataclass(frozen=True)
class Gateway:
    obj: Json
    bfd_port: Json
    """`status.bfdPort` of its Vpc."""

    @property
    def meta(self) -> Json:
        meta: Json = self.obj["metadata"]
        return meta

    @property
    def spec(self) -> Json:
        spec: Json = self.obj["spec"]
        return spec

    @property
    def status(self) -> Json:
        status: Json = self.obj.get("status") or {}
        return status

    @property
    def key(self) -> str:
        return f"{self.meta['namespace']}/{self.meta['name']}"

    @property
    def vpc(self) -> str:
        return str(self.spec.get("vpc") or DEFAULT_VPC)

    @property
    def digest(self) -> str:
        return sha256(self.key.encode()).hexdigest()[:12]

    @property
    def workload(self) -> str:
        return f"{self.spec.get('prefix', '')}{self.meta['name']}"

    @property
    def labels(self) -> dict[str, str]:
        return {"app": "vpc-egress-gateway", LABEL: self.meta["name"]}

    @property
    def replicas(self) -> int:
        return int(self.spec.get("replicas", 1))

    @property
    def bfd(self) -> Json:
        """spec.bfd, if it is enabled."""
        bfd: Json = self.spec.get("bfd") or {}
        return bfd if bfd.get("enabled") else {}

    @property
    def selectors(self) -> list[Json]:
        return list(self.spec.get("selectors") or ())

    def external_ids(self, family: int) -> dict[str, str]:
        return {**VENDOR, FOREIGN_OWNER_KEY: self.key, "af": str(family)}


@dataclass(frozen=True)
class Surroundings:
    """The subnets of a gateway, its attachment, and where its traffic comes from."""

    internal: Subnet
    external: Subnet
    attachment: str
    sources: tuple[Network, ...]


def surroundings(gateway: Gateway, snapshot: Snapshot) -> Surroundings:
    """Raises WorkloadError."""
    vpc = next(each for each in snapshot.objects["Vpc"] if each["metadata"]["name"] == gateway.vpc)
    name = gateway.spec.get("internalSubnet") or (vpc.get("status") or {}).get("defaultLogicalSwitch")
    if not name:
        raise WorkloadError(
            f"default subnet of vpc {gateway.vpc} not found, please set internal subnet of the egress gateway"
        )
    internal, external = _subnet(name, snapshot.cluster), _subnet(gateway.spec["externalSubnet"], snapshot.cluster)
    nad, dot, rest = external.provider.partition(".")
    if not dot:
        raise WorkloadError(
            f"please set correct provider of subnet {external.name} to get the network-attachment-definition"
        )
    return Surroundings(internal, external, f"{rest.partition('.')[0]}/{nad}", sources(gateway, snapshot.cluster))


def _subnet(name: str, cluster: Cluster) -> Subnet:
    if name not in cluster.subnets:
        raise WorkloadError(f'subnets.kubeovn.io "{name}" not found')
    return cluster.subnets[name]


def sources(gateway: Gateway, cluster: Cluster) -> tuple[Network, ...]:
    """The networks of spec.policies, masked, each once."""
    found: list[Network] = []
    for policy in gateway.spec.get("policies") or ():
        for block in policy.get("ipBlocks") or ():
            found += parse_networks(block)
        for name in policy.get("subnets") or ():
            found += _subnet(name, cluster).networks
    return tuple(dict.fromkeys(found))


def first_of(addresses: Any, family: int) -> str:
    """The first address of a family; empty if there is none."""
    return next((text for text in addresses if (6 if ":" in text else 4) == family), "")
