"""What was seen of a cluster. What could not be seen is a value as well, and never looks like what is not there."""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import msgspec

from veg_contracts import names


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """An immutable value."""


class Unreached(Fact, frozen=True, kw_only=True):
    """A server did not answer: where it was looked for, and what came of it."""

    where: str
    reason: str


class Asked(Fact, frozen=True, kw_only=True):
    """The settings that the services are to have, as far as they are given; empty: what follows from the cluster.

    `vpcs`: the names of the VPCs that are to have a gateway; empty: those that have one, and maybe any other.
    `namespace`: where the services' ServiceAccounts are.
    """

    api_group: Literal["", "kubeovn.io", "vpc-egress-gateway.io"] = ""
    custom_vpc_routing: Literal["", "auto", "static-route", "policy"] = ""
    manage_bfd_ports: Literal["", "auto", "true", "false"] = ""
    bfd_relay: Literal["", "auto", "on", "off"] = ""
    default_vpc: str = ""
    management_network: str = ""
    agent_nats_url: str = ""
    vpcs: tuple[str, ...] = ()
    namespace: str = "kube-system"


class Program(Fact, frozen=True, kw_only=True):
    """A Deployment of Kube-OVN's: where it is, its first container's image, and that container's words."""

    key: str
    image: str
    words: tuple[str, ...] = ()


class Definition(Fact, frozen=True, kw_only=True):
    """A CustomResourceDefinition: its name and the schema of its `spec`."""

    name: str
    spec: dict[str, Any] = {}


class Vpc(Fact, frozen=True, kw_only=True):
    name: str
    router: str = ""
    default_subnet: str = ""


class Subnet(Fact, frozen=True, kw_only=True):
    """`cidr` as Kube-OVN writes it: one per family, joined by a comma."""

    name: str
    vpc: str = ""
    provider: str = ""
    cidr: str = ""


class Attachment(Fact, frozen=True, kw_only=True):
    """A NetworkAttachmentDefinition: `namespace/name`, and its CNI configuration, a JSON text."""

    key: str
    config: str = ""


class Gateway(Fact, frozen=True, kw_only=True):
    """A VpcEgressGateway; `vpc` is empty for the default one."""

    key: str
    group: names.ApiGroup
    vpc: str = ""
    finalizers: tuple[str, ...] = ()


class Service(Fact, frozen=True, kw_only=True):
    """The Service whose ClusterIP is the bus's address."""

    key: str
    cluster_ip: str


class Right(Fact, frozen=True, kw_only=True, order=True):
    """A verb on a resource (`pods`, `vpcs/status`) of an API group, or on a path that is no resource (`/readyz`)."""

    verb: str
    resource: str
    group: str = ""

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}{f'.{self.group}' if self.group else ''}"


class Answer(Fact, frozen=True, kw_only=True):
    """Whether a role of ours has a right, as the API server says."""

    role: str
    user: str
    right: Right
    allowed: bool


Part: TypeAlias = Literal[
    "controller", "central", "definitions", "vpcs", "subnets", "attachments", "gateways", "service", "rights"
]


class Cluster(Fact, frozen=True, kw_only=True):
    """What the API server says. `unread`: the parts that it would not tell, and why; these are empty here."""

    version: str
    controller: Program | None = None
    central: Program | None = None
    definitions: tuple[Definition, ...] = ()
    vpcs: tuple[Vpc, ...] = ()
    subnets: tuple[Subnet, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    gateways: tuple[Gateway, ...] = ()
    service: Service | None = None
    rights: tuple[Answer, ...] = ()
    unread: Mapping[Part, str] = {}

    def definition(self, name: str) -> Definition | None:
        return next((each for each in self.definitions if each.name == name), None)


class Route(Fact, frozen=True, kw_only=True):
    """A static route of the main table of a router. `policy`: "src-ip" or "dst-ip"."""

    router: str
    prefix: str
    nexthop: str
    policy: str
    ours: bool = False


class BfdPort(Fact, frozen=True, kw_only=True):
    """A router port with `bfd-only`. `peered`: it has a peer; `up`: that many of its sessions are up."""

    name: str
    peered: bool
    up: int = 0


class Northbound(Fact, frozen=True, kw_only=True):
    """OVN's Northbound database. `northd` is the version that ovn-northd has written there; `columns` by table."""

    version: str
    columns: Mapping[str, frozenset[str]] = {}
    northd: str = ""
    routes: tuple[Route, ...] = ()
    bfd_ports: tuple[BfdPort, ...] = ()


class Bus(Fact, frozen=True, kw_only=True):
    """NATS, as the user `user` sees it. `streams`: those of ours that exist."""

    version: str
    user: str
    jetstream: bool
    max_payload: int
    streams: tuple[str, ...] = ()


class Facts(Fact, frozen=True, kw_only=True):
    """All that is judged. None: it was not said where to look."""

    asked: Asked
    cluster: Cluster | Unreached
    northbound: Northbound | Unreached | None = None
    bus: Bus | Unreached | None = None
