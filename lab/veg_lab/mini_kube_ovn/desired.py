"""The rows that OVN's northbound database should hold, as values. No I/O."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from veg_lab.mini_kube_ovn.assign import Assignment, Cluster, Interface
from veg_lab.mini_kube_ovn.behaviours import Behaviour
from veg_lab.mini_kube_ovn.model import Network, Subnet
from veg_lab.mini_kube_ovn.names import (
    DEFAULT_VPC,
    JOIN_SUBNET,
    VENDOR,
    node_port,
    node_port_group,
    pod_port,
    router_port,
    stable_mac,
    subnet_node_port_group,
    switch_router_port,
)
from veg_lab.mini_kube_ovn.services import BALANCERS, LoadBalancer, load_balancers
from veg_lab.mini_kube_ovn.snapshot import Snapshot
from veg_lab.mini_kube_ovn.vpcs import BfdPort, Policy, Route, policies, routes, wanted_bfd_port

# Kube-OVN's priorities: traffic that stays in the VPC goes before traffic to nodes, and that before any gateway.
STAY_IN_VPC_PRIORITY = 31000
TO_NODE_PRIORITY = 30000
NODE_GATEWAY_PRIORITY = 29000


@dataclass(frozen=True)
class SwitchPort:
    name: str
    addresses: tuple[str, ...]
    type: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    external_ids: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Switch:
    name: str
    ports: tuple[SwitchPort, ...]
    load_balancers: tuple[str, ...] = ()


@dataclass(frozen=True)
class RouterPort:
    name: str
    mac: str
    networks: tuple[str, ...]


@dataclass(frozen=True)
class Router:
    name: str
    ports: tuple[RouterPort, ...]
    routes: tuple[Route, ...] = ()
    policies: tuple[Policy, ...] = ()
    bfd_port: BfdPort | None = None


@dataclass(frozen=True)
class PortGroup:
    name: str
    ports: frozenset[str]
    external_ids: Mapping[str, str]


@dataclass(frozen=True)
class Northbound:
    switches: tuple[Switch, ...]
    routers: tuple[Router, ...]
    port_groups: tuple[PortGroup, ...]
    load_balancers: tuple[LoadBalancer, ...]


def northbound(
    snapshot: Snapshot, assignment: Assignment, chassis: Mapping[str, str], behaviour: Behaviour
) -> Northbound:
    """`chassis` has the name of the chassis of each node."""
    names = set(snapshot.vpcs)
    subnets = [s for s in snapshot.cluster.subnets.values() if s.in_ovn and s.vpc in names]
    switches = tuple(_switch(subnet, assignment) for subnet in subnets)
    routers = [_router(vpc, subnets, snapshot.cluster, assignment) for vpc in sorted(names)]
    specs = {vpc["metadata"]["name"]: vpc for vpc in snapshot.objects["Vpc"]}
    asked = []
    for router in routers:
        vpc, own = specs[router.name], [subnet for subnet in subnets if subnet.vpc == router.name]
        port = wanted_bfd_port(vpc, snapshot, chassis, behaviour)
        more = tuple(routes(vpc, own, behaviour))
        asked.append(
            replace(router, routes=(*router.routes, *more), policies=(*router.policies, *policies(vpc)), bfd_port=port)
        )
    balancers = load_balancers(snapshot.objects["Service"], snapshot.objects["EndpointSlice"])
    return Northbound(switches, tuple(asked), _port_groups(subnets, assignment), balancers)


def _switch(subnet: Subnet, assignment: Assignment) -> Switch:
    uplink = SwitchPort(
        name=switch_router_port(subnet.vpc, subnet.name),
        addresses=("router",),
        type="router",
        options={"router-port": router_port(subnet.vpc, subnet.name)},
        external_ids={**VENDOR, "ls": subnet.name},
    )
    pods = [_pod_port(each) for each in assignment.interfaces if each.subnet.name == subnet.name and subnet.in_ovn]
    nodes = []
    if subnet.name == JOIN_SUBNET:
        for node, lease in assignment.nodes.items():
            address = " ".join([lease.mac, *map(str, lease.addresses)])
            nodes.append(SwitchPort(node_port(node), (address,), external_ids={**VENDOR, "ls": subnet.name}))
    # Nodes have kube-proxy for Services, and other VPCs have none.
    balanced = subnet.vpc == DEFAULT_VPC and subnet.name != JOIN_SUBNET
    return Switch(subnet.name, (uplink, *nodes, *pods), BALANCERS if balanced else ())


def _pod_port(interface: Interface) -> SwitchPort:
    pod, lease = interface.pod, interface.lease
    return SwitchPort(
        name=pod_port(pod.namespace, pod.name, interface.provider),
        addresses=(" ".join([lease.mac, *map(str, lease.addresses)]),),
        external_ids={**VENDOR, "pod": pod.key, "ls": interface.subnet.name},
    )


def _router(vpc: str, subnets: Iterable[Subnet], cluster: Cluster, assignment: Assignment) -> Router:
    own = [subnet for subnet in subnets if subnet.vpc == vpc]
    ports = tuple(_router_port(subnet) for subnet in own)
    if vpc != DEFAULT_VPC:
        return Router(vpc, ports)
    return Router(vpc, ports, _default_vpc_routes(own), tuple(_default_vpc_policies(own, cluster, assignment)))


def _default_vpc_routes(subnets: Iterable[Subnet]) -> tuple[Route, ...]:
    """A policy acts only on packets that a route has matched before: one for each family matches everything.

    The join network's gateway is what Kube-OVN takes. Here that network may be of IPv4 only beside subnets of both
    families; then another subnet's gateway does for IPv6: it is never asked for, since it is the router itself.
    """
    join_first = sorted(subnets, key=lambda subnet: (subnet.name != JOIN_SUBNET, subnet.name))
    found: dict[int, str] = {}
    for subnet in join_first:
        for gateway in subnet.gateways:
            found.setdefault(gateway.version, str(gateway))
    return tuple(Route(_any(version), gateway, external_ids=VENDOR) for version, gateway in sorted(found.items()))


def _router_port(subnet: Subnet) -> RouterPort:
    name = router_port(subnet.vpc, subnet.name)
    networks = (f"{g}/{n.prefixlen}" for g, n in zip(subnet.gateways, subnet.networks, strict=True))
    return RouterPort(name, stable_mac(name), tuple(networks))


def _any(version: int) -> str:
    return "0.0.0.0/0" if version == 4 else "::/0"  # noqa: PLR2004 - the IP version


def _default_vpc_policies(subnets: Iterable[Subnet], cluster: Cluster, assignment: Assignment) -> Iterable[Policy]:
    for subnet in subnets:
        for network in subnet.networks:
            yield Policy(STAY_IN_VPC_PRIORITY, f"{_ip(network)}.dst == {network}", "allow")
    for node in cluster.nodes:
        lease = assignment.nodes.get(node.name)
        if lease is None:
            continue
        join = {address.version: str(address) for address in lease.addresses}
        for address in node.internal_ips:
            if address.version in join:
                match = f"ip{address.version}.dst == {address}"
                yield Policy(TO_NODE_PRIORITY, match, "reroute", (join[address.version],))
        for subnet in subnets:
            if subnet.name == JOIN_SUBNET:
                continue
            for version in (n.version for n in subnet.networks if n.version in join):
                group = subnet_node_port_group(subnet.name, node.name)
                match = f"ip{version}.src == ${group}_ip{version}"
                yield Policy(NODE_GATEWAY_PRIORITY, match, "reroute", (join[version],))


def _ip(network: Network) -> str:
    return f"ip{network.version}"


def _port_groups(subnets: Iterable[Subnet], assignment: Assignment) -> tuple[PortGroup, ...]:
    own = [subnet for subnet in subnets if subnet.vpc == DEFAULT_VPC and subnet.name != JOIN_SUBNET]
    groups = []
    for node in assignment.nodes:
        there = [each for each in assignment.interfaces if each.pod.node == node and each.subnet in own]
        groups.append(PortGroup(node_port_group(node), _port_names(there), {**VENDOR, "networkpolicy": f"node/{node}"}))
        for subnet in own:
            ports = _port_names(each for each in there if each.subnet.name == subnet.name)
            ids = {**VENDOR, "subnet": subnet.name, "node": node}
            groups.append(PortGroup(subnet_node_port_group(subnet.name, node), ports, ids))
    return tuple(groups)


def _port_names(interfaces: Iterable[Interface]) -> frozenset[str]:
    return frozenset(pod_port(each.pod.namespace, each.pod.name, each.provider) for each in interfaces)
