"""What the spec of a Vpc asks for: static routes, policies and the BFD port. No I/O."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from veg_lab.mini_kube_ovn.behaviours import Behaviour
from veg_lab.mini_kube_ovn.model import Json, Subnet, parse_addresses
from veg_lab.mini_kube_ovn.names import DEFAULT_VPC, VENDOR, bfd_port, stable_mac
from veg_lab.mini_kube_ovn.selectors import matches
from veg_lab.mini_kube_ovn.snapshot import Snapshot

SOURCE, DESTINATION = "src-ip", "dst-ip"
_POLICIES = {"policySrc": SOURCE, "policyDst": DESTINATION}
# Without a nodeSelector.
_BFD_NODES_MAX = 3


@dataclass(frozen=True)
class Route:
    prefix: str
    nexthop: str
    policy: str = DESTINATION
    table: str = ""
    external_ids: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, str, str]:
        return (self.table, self.policy, self.prefix, self.nexthop)


@dataclass(frozen=True)
class Policy:
    priority: int
    match: str
    action: str
    nexthops: tuple[str, ...] = ()


@dataclass(frozen=True)
class BfdPort:
    """A router port that only speaks BFD, and the chassis that may run it: the first one is preferred."""

    name: str
    mac: str
    networks: tuple[str, ...]
    chassis: tuple[str, ...]
    nodes: tuple[str, ...]


def routes(vpc: Json, subnets: Sequence[Subnet], behaviour: Behaviour) -> Iterator[Route]:
    """Those of spec.staticRoutes, and in custom VPCs those that Kube-OVN adds for each subnet."""
    for each in (vpc.get("spec") or {}).get("staticRoutes") or ():
        policy = _POLICIES.get(each.get("policy", ""), DESTINATION)
        yield Route(each["cidr"], each["nextHopIP"], policy, each.get("routeTable", ""), behaviour.route_ids)
    if not behaviour.subnet_routes or vpc["metadata"]["name"] == DEFAULT_VPC:
        return
    for subnet in subnets:
        for network, gateway in zip(subnet.networks, subnet.gateways, strict=True):
            yield Route(str(network), str(gateway), SOURCE, "", behaviour.route_ids)


def policies(vpc: Json) -> Iterator[Policy]:
    """Those of spec.policyRoutes."""
    for each in (vpc.get("spec") or {}).get("policyRoutes") or ():
        nexthops = tuple(str(address) for address in parse_addresses(each.get("nextHopIP", "")))
        yield Policy(int(each.get("priority", 0)), each["match"], each["action"], nexthops)


def wanted_bfd_port(vpc: Json, snapshot: Snapshot, chassis: Mapping[str, str], behaviour: Behaviour) -> BfdPort | None:
    """The BFD port of a Vpc, if it has one and Kube-OVN makes it.

    Nodes come in the order of their names: the real controller takes them as its cache lists them, which is no promise.
    """
    spec = (vpc.get("spec") or {}).get("bfdPort") or {}
    if not behaviour.makes_bfd_ports or not spec.get("enabled"):
        return None
    selector = spec.get("nodeSelector")
    ready = sorted(
        node["metadata"]["name"]
        for node in snapshot.objects["Node"]
        if is_ready(node) and matches(selector, node["metadata"].get("labels") or {})
    )
    able = [name for name in ready if name in chassis]
    nodes = tuple(able if selector is not None else able[:_BFD_NODES_MAX])
    name = bfd_port(vpc["metadata"]["name"])
    networks = tuple(part.strip() for part in spec.get("ip", "").split(",") if part.strip())
    return BfdPort(name, stable_mac(name), networks, tuple(chassis[node] for node in nodes), nodes)


def bfd_status(port: BfdPort | None) -> Json | None:
    """`status.bfdPort`."""
    if port is None:
        return None
    return {"name": port.name, "ip": ",".join(port.networks), "nodes": list(port.nodes)}


def is_ready(node: Json) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or ()
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def bfd_port_ids(vpc: str) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """The external_ids of the router port, of its HA group, and of the members of the group."""
    port = bfd_port(vpc)
    return {**VENDOR, "lr": vpc}, {**VENDOR, "lrp": port}, {**VENDOR, "group": port}
