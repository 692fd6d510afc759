"""Intents: what ONE gateway should look like everywhere, as immutable values with a generation; and their reports.

A Vpc with a BFD port has an intent too: `gateway` is the bare name of the Vpc there, which no gateway can have.
An intent has six parts, each with the generation at which it last changed. A writer is sent the part it is
responsible for, with that generation, and refuses an older one than it has already applied.
"""

import hashlib
from enum import StrEnum
from typing import Any

import msgspec

from veg_contracts.base import KubernetesValue, Value, encode


class Part(StrEnum):
    """The parts of an intent. Each has exactly one writer."""

    NB = "nb"  # ovn-writer
    WORKLOAD = "workload"  # kube-writer
    FINALIZER = "finalizer"  # kube-writer
    STATUS = "status"  # kube-writer
    CONFIG = "config"  # gw-agent, by way of the KV bucket
    VPC_STATUS = "vpc_status"  # kube-writer; of a Vpc


class BfdSession(Value, frozen=True, kw_only=True):
    """A row of BFD (ovn-nb(5)): OVN's end of a session. `min_rx` and `min_tx` in milliseconds.

    The router port and the peer's address identify it. `family` is "4" or "6".
    """

    family: str
    logical_port: str
    dst_ip: str
    min_rx: int
    min_tx: int
    detect_mult: int


class BfdRelay(Value, frozen=True, kw_only=True):
    """A router with one port behind the stub switch of a BFD port: pods send to it what is meant for that port.

    OVN takes packets for a BFD port on the chassis of whoever sends them, and only the active chassis of the port has
    the sessions; what is routed through the port to something behind it gets there (docs/decisions/0017). `name` is
    that of the router and of its port; `networks` are plain addresses, sorted, IPv4 first. The route and the policy
    that lead there, and the row of BFD by which the router knows what to do, are rows like any others in `NbRows`.
    """

    name: str
    mac: str
    networks: tuple[str, ...]


class BfdRouterPort(Value, frozen=True, kw_only=True):
    """A router port that only BFD sessions use, with the chassis that may run them, the first one preferred.

    `networks` are plain addresses, as Kube-OVN writes them. The writer makes the HA_Chassis_Group of the same name, and
    a stub switch as the port's peer: without one, an OVN that lacks Kube-OVN's patch runs no session.
    `intact` is False of a port that was found, where one of these rows is missing or not as it is written; `peered`
    where it is the stub switch. `relay` is beside the port on that switch; None: pods send to the port itself.
    `peer_only`: the port is somebody else's, and only the stub switch and what is on it are ours; mac, networks and
    chassis are empty.
    """

    name: str
    mac: str
    networks: tuple[str, ...]
    chassis: tuple[str, ...]
    intact: bool = True
    peer_only: bool = False
    peered: bool = True
    relay: BfdRelay | None = None


class RoutePolicy(Value, frozen=True, kw_only=True):
    """A row of Logical_Router_Policy (ovn-nb(5)). `nexthops` are sorted; `family` is "4" or "6".

    `bfd_sessions` are the peers of the BFD sessions that it refers to, sorted; each has a row in the same `NbRows`.
    `spares`: of one with several nexthops, whether two spare rows are kept beside it, so that no packet is lost when
    its nexthops change (docs/decisions/0010). They are the writer's own, and no values of `NbRows`.
    """

    family: str
    priority: int
    match: str
    action: str
    nexthops: tuple[str, ...] = ()
    bfd_sessions: tuple[str, ...] = ()
    spares: bool = False


class StaticRoute(Value, frozen=True, kw_only=True):
    """A row of Logical_Router_Static_Route (ovn-nb(5)).

    Rows of one prefix form an ECMP group. `symmetric_reply` is its option ecmp_symmetric_reply; `selection_fields`,
    sorted, say which header fields choose the member (OVN >= 25.03). `policy` is empty where the row has none;
    `route_table` is empty for the main one. `bfd` is the peer of the BFD session that it refers to, empty for none.
    `output_port` is empty where OVN finds it by the nexthop.
    """

    family: str
    ip_prefix: str
    nexthop: str
    policy: str = "src-ip"
    route_table: str = ""
    symmetric_reply: bool = False
    selection_fields: tuple[str, ...] = ()
    bfd: str = ""
    output_port: str = ""


class NbRows(Value, frozen=True, kw_only=True):
    """All rows that one gateway owns in the OVN Northbound database, below one logical router.

    `router` is the Logical_Router's name, empty when there is nothing to own. Rows are sorted. `port_groups` are names;
    who is in them travels by commands of their own (`ChangeMembers`), so that one pod costs one pod.
    """

    router: str = ""
    policies: tuple[RoutePolicy, ...] = ()
    static_routes: tuple[StaticRoute, ...] = ()
    port_groups: tuple[str, ...] = ()
    sessions: tuple[BfdSession, ...] = ()
    bfd_port: BfdRouterPort | None = None

    @property
    def nexthops(self) -> set[str]:
        """Every address that rows send traffic to."""
        by_route = {route.nexthop for route in self.static_routes if not route.route_table}
        return by_route | {nexthop for policy in self.policies for nexthop in policy.nexthops}

    @property
    def empty(self) -> bool:
        """Whether it is no row at all."""
        return not (self.policies or self.static_routes or self.port_groups or self.sessions or self.bfd_port)


class Workload(Value, frozen=True, kw_only=True):
    """The Deployment of a gateway, and the PodDisruptionBudget of the same name: complete manifests to apply.

    `budget` is None where there shall be none.
    """

    namespace: str
    name: str
    manifest: dict[str, Any]
    budget: dict[str, Any] | None = None


class Route(Value, frozen=True, kw_only=True):
    """A route inside the pod: `destination` is a CIDR, `gateway` an address, `interface` a device name."""

    destination: str
    gateway: str
    interface: str


class Source(Value, frozen=True, kw_only=True):
    """Traffic that the gateway takes: a masked CIDR, and whether it leaves under the gateway's own address."""

    cidr: str
    snat: bool


class PodBfd(Value, frozen=True, kw_only=True):
    """The pods' end of their BFD sessions, one with each of `peers` from the pod's own address of that family.

    `min_rx` and `min_tx` in milliseconds. What is for a peer that `via` has goes to that address; its own packets come
    from its own.
    """

    min_rx: int
    min_tx: int
    multiplier: int
    peers: tuple[str, ...] = ()
    via: dict[str, str] = {}


class PodConfig(Value, frozen=True, kw_only=True):
    """What every pod of a gateway configures inside itself. The last value stands in the KV bucket.

    `families` lists "4" and/or "6": those the gateway forwards. `routes` are sorted, `sources` too.
    `lingering` sources have left the spec but OVN may still send their traffic here: they keep their NAT.
    With `default_snat` every source leaves under the gateway's address that `sources` do not list as forwarded:
    pods that are selected by labels come from anywhere, and the config does not change with them.
    `released` pods (`namespace/name`) are on their way out and no chassis sends them anything any more.
    """

    gateway: str
    gateway_uid: str
    generation: int
    families: tuple[str, ...] = ()
    internal_interface: str = "eth0"
    external_interface: str = "net1"
    routes: tuple[Route, ...] = ()
    sources: tuple[Source, ...] = ()
    lingering: tuple[Source, ...] = ()
    default_snat: bool = False
    bfd: PodBfd | None = None
    released: tuple[str, ...] = ()

    @property
    def taken(self) -> tuple[Source, ...]:
        """All sources whose traffic a pod takes: those of the config, then those that linger.

        A source that is in both counts as the config has it now: it has not left.
        """
        named = {source.cidr for source in self.sources}
        return (*self.sources, *(source for source in self.lingering if source.cidr not in named))


def digest_of_sources(sources: tuple[Source, ...]) -> str:
    """What stands for sources where there is no room for them: the SHA-256 of their JSON."""
    return hashlib.sha256(encode(sources)).hexdigest()


def same_config(one: PodConfig | None, other: PodConfig | None) -> bool:
    """Whether two configs say the same, whatever generation they are of."""
    if one is None or other is None:
        return one is other
    return one == msgspec.structs.replace(other, generation=one.generation)


class Condition(KubernetesValue, frozen=True, kw_only=True):
    """A condition in Kube-OVN's format (it has lastUpdateTime; metav1.Condition has not)."""

    type: str
    status: str
    reason: str
    message: str
    observed_generation: int
    last_transition_time: str = ""
    last_update_time: str = ""


class WorkloadStatus(KubernetesValue, frozen=True, kw_only=True):
    """`status.workload` of the document: which Deployment, and on which nodes its pods are."""

    api_version: str
    kind: str
    name: str
    nodes: tuple[str, ...] = ()


class GatewayStatus(KubernetesValue, frozen=True, kw_only=True):
    """`status` of a VpcEgressGateway as the document has it; `internal_ips[i]` and `external_ips[i]` are one pod's."""

    replicas: int
    label_selector: str
    ready: bool
    phase: str
    internal_ips: tuple[str, ...] = msgspec.field(name="internalIPs")  # not "Ips", which camel case would make of it
    external_ips: tuple[str, ...] = msgspec.field(name="externalIPs")
    workload: WorkloadStatus
    conditions: tuple[Condition, ...]


class VpcBfdStatus(KubernetesValue, frozen=True, kw_only=True):
    """`status.bfdPort` of a Vpc: the router port, its addresses as the spec gives them, and the nodes that may run it.

    All empty: there is none.
    """

    name: str = ""
    ip: str = ""
    nodes: tuple[str, ...] = ()


class Generations(Value, frozen=True, kw_only=True):
    """For each part the generation of the intent at which it last changed; 0: never set."""

    nb: int = 0
    workload: int = 0
    finalizer: int = 0
    status: int = 0
    config: int = 0
    vpc_status: int = 0

    def of(self, part: Part) -> int:
        """The generation at which `part` last changed."""
        value: int = getattr(self, part.value)
        return value


class Intent(Value, frozen=True, kw_only=True):
    """What one gateway should look like everywhere. A part that is None has no place (yet, or any more).

    `conflict` is in the place of the status where another controller reconciles the gateway: that one condition is all
    that is ours.
    """

    gateway: str
    gateway_uid: str
    generation: int
    parent: int
    nb: NbRows | None = None
    workload: Workload | None = None
    finalizer: bool = False
    status: GatewayStatus | None = None
    conflict: Condition | None = None
    config: PodConfig | None = None
    vpc_status: VpcBfdStatus | None = None
    generations: Generations = Generations()


class Step(Value, frozen=True, kw_only=True):
    """One sentence of a report. `state` is "done", "waits" or "refused"; `text` names the objects it speaks of."""

    topic: str
    state: str
    text: str


class Report(Value, frozen=True, kw_only=True):
    """Why an intent is what it is, and what it waits for."""

    gateway: str
    generation: int
    steps: tuple[Step, ...] = ()
