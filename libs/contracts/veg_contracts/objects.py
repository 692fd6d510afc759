"""Projections: what the planner reads of each Kubernetes object, and nothing else.

The watcher makes them; an object whose projection did not change is not published again, so a field that changes
without meaning anything to the planner (heartbeats, managedFields, resourceVersion) must not be here.
Names and sources of the fields: the user's document and the annotations of Kube-OVN.
"""

from typing import Any, ClassVar, TypeAlias

from veg_contracts.base import Value


class Projection(Value, frozen=True, kw_only=True, tag_field="kind"):
    """Common to all: where the object is. Cluster-scoped objects have the empty namespace."""

    KIND: ClassVar[str]

    name: str
    namespace: str = ""

    @property
    def key(self) -> str:
        """`namespace/name`, or `name` of a cluster-scoped object."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class EgressGateway(Projection, frozen=True, kw_only=True, tag="VpcEgressGateway"):
    """A VpcEgressGateway. `spec` is the raw spec: a malformed one must reach the planner, who says what is wrong.

    `status_managers` are the field managers, sorted, that wrote of its status and are neither ours nor a person's.
    `conflict`: the condition Conflict stands in its status.
    """

    KIND: ClassVar[str] = "VpcEgressGateway"

    generation: int
    created_at: str
    deleting: bool = False
    finalizers: tuple[str, ...] = ()
    status_managers: tuple[str, ...] = ()
    conflict: bool = False
    spec: dict[str, Any] = {}


class BfdPort(Value, frozen=True, kw_only=True):
    """`Vpc.spec.bfdPort` and what `Vpc.status.bfdPort` says of it.

    `annotated`: it is asked for by our annotation, since the Vpc has no such field; then nobody else makes it.
    """

    enabled: bool = False
    annotated: bool = False
    ip: str = ""
    node_selector: dict[str, Any] | None = None
    status_name: str = ""
    status_ip: str = ""


class Vpc(Projection, frozen=True, kw_only=True, tag="Vpc"):
    """A Vpc. `router` is the name of its logical router, empty until Kube-OVN has made it."""

    KIND: ClassVar[str] = "Vpc"

    router: str = ""
    default_subnet: str = ""
    deleting: bool = False
    bfd_port: BfdPort | None = None


class Subnet(Projection, frozen=True, kw_only=True, tag="Subnet"):
    """A Subnet. `cidr` and `gateway` as Kube-OVN writes them: one per family, joined by a comma."""

    KIND: ClassVar[str] = "Subnet"

    vpc: str = ""
    provider: str = ""
    cidr: str = ""
    gateway: str = ""
    validated: bool = False
    deleting: bool = False


class IPPool(Projection, frozen=True, kw_only=True, tag="IPPool"):
    """An IPPool of Kube-OVN."""

    KIND: ClassVar[str] = "IPPool"

    subnet: str = ""
    ips: tuple[str, ...] = ()


class Attachment(Value, frozen=True, kw_only=True):
    """One entry of the annotation `k8s.v1.cni.cncf.io/network-status`."""

    network: str
    interface: str = ""
    ips: tuple[str, ...] = ()


class Pod(Projection, frozen=True, kw_only=True, tag="Pod"):
    """A Pod, with what Kube-OVN and Multus say of its addresses in annotations.

    `deployment` is the name of the Deployment whose ReplicaSet made it; empty for none.
    """

    KIND: ClassVar[str] = "Pod"

    labels: dict[str, str] = {}
    deployment: str = ""
    node: str = ""
    phase: str = ""
    ready: bool = False
    deleting: bool = False
    host_network: bool = False
    ips: tuple[str, ...] = ()
    allocated: bool = False
    logical_router: str = ""
    logical_switch: str = ""
    attachments: tuple[Attachment, ...] = ()


class Namespace(Projection, frozen=True, kw_only=True, tag="Namespace"):
    """A Namespace and its labels."""

    KIND: ClassVar[str] = "Namespace"

    labels: dict[str, str] = {}


class Node(Projection, frozen=True, kw_only=True, tag="Node"):
    """A Node. `port_name` and `chassis` are the annotations of Kube-OVN: its port, and its OVN chassis."""

    KIND: ClassVar[str] = "Node"

    labels: dict[str, str] = {}
    ready: bool = False
    port_name: str = ""
    chassis: str = ""


class Deployment(Projection, frozen=True, kw_only=True, tag="Deployment"):
    """A Deployment that carries our labels. The counters are those of its status.

    `foreign`: our field manager wrote nothing of it, and others did.
    """

    KIND: ClassVar[str] = "Deployment"

    generation: int
    observed_generation: int = 0
    owner_uid: str = ""
    foreign: bool = False
    labels: dict[str, str] = {}
    deleting: bool = False
    replicas_wanted: int = 0
    replicas: int = 0
    updated: int = 0
    available: int = 0


class DisruptionBudget(Projection, frozen=True, kw_only=True, tag="PodDisruptionBudget"):
    """A PodDisruptionBudget that carries our labels."""

    KIND: ClassVar[str] = "PodDisruptionBudget"

    generation: int
    labels: dict[str, str] = {}


class NetworkAttachment(Projection, frozen=True, kw_only=True, tag="NetworkAttachmentDefinition"):
    """A NetworkAttachmentDefinition of Multus; `config` is its CNI configuration, a JSON text."""

    KIND: ClassVar[str] = "NetworkAttachmentDefinition"

    config: str = ""


AnyProjection: TypeAlias = (
    EgressGateway | Vpc | Subnet | IPPool | Pod | Namespace | Node | Deployment | DisruptionBudget | NetworkAttachment
)

PROJECTIONS: tuple[type[AnyProjection], ...] = (
    EgressGateway,
    Vpc,
    Subnet,
    IPPool,
    Pod,
    Namespace,
    Node,
    Deployment,
    DisruptionBudget,
    NetworkAttachment,
)
KINDS: tuple[str, ...] = tuple(projection.KIND for projection in PROJECTIONS)
