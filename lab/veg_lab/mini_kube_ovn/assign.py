"""Who gets which address: pods, nodes, subnets and pools in, interfaces with leases out. No I/O."""

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from veg_lab.mini_kube_ovn.ipam import AcquireError, Ipam, Lease, Owner, Wanted
from veg_lab.mini_kube_ovn.model import (
    Address,
    InvalidObjectError,
    IpPool,
    Node,
    Pod,
    Range,
    Subnet,
    parse_addresses,
)
from veg_lab.mini_kube_ovn.names import JOIN_SUBNET, OVN_PROVIDER, annotation


@dataclass(frozen=True)
class Cluster:
    """All that decisions are made from."""

    subnets: Mapping[str, Subnet]
    pools: Mapping[str, IpPool]
    pods: tuple[Pod, ...]
    nodes: tuple[Node, ...]
    namespace_subnets: Mapping[str, str]
    nad_providers: Mapping[tuple[str, str], str]


@dataclass(frozen=True)
class Interface:
    pod: Pod
    provider: str
    subnet: Subnet
    lease: Lease


@dataclass(frozen=True)
class Failure:
    """A pod that got no address, and why."""

    pod: Pod
    message: str


@dataclass(frozen=True)
class Assignment:
    interfaces: tuple[Interface, ...]
    nodes: Mapping[str, Lease]
    failures: tuple[Failure, ...]


def assign(cluster: Cluster, ipam: Ipam) -> Assignment:
    """Leases for all; `ipam` remembers them. Leases already written in annotations go before new ones."""
    owners = {_owner(pod, provider) for pod in cluster.pods for provider in _providers(pod, cluster)}
    node_owners = {Owner(node.name, OVN_PROVIDER) for node in cluster.nodes}
    ipam.retain(owners | node_owners)
    adopted = _adopt_written(cluster, ipam)
    nodes = {node.name: lease for node in cluster.nodes if (lease := _node_lease(node, cluster, ipam))}
    interfaces, failures = [], list(adopted)
    for pod in cluster.pods:
        try:
            interfaces += [_interface(pod, provider, cluster, ipam) for provider in _providers(pod, cluster)]
        except (AcquireError, InvalidObjectError) as error:
            failures.append(Failure(pod, str(error)))
            # What the pod has got already is its own: it keeps its port while it waits for the rest.
            interfaces += _held(pod, cluster, ipam)
    return Assignment(tuple(interfaces), nodes, tuple(failures))


def _owner(pod: Pod, provider: str) -> Owner:
    return Owner(pod.uid, provider)


def _providers(pod: Pod, cluster: Cluster) -> list[str]:
    attached = (cluster.nad_providers.get(attachment) for attachment in pod.attachments)
    return [OVN_PROVIDER, *dict.fromkeys(provider for provider in attached if provider)]


def _adopt_written(cluster: Cluster, ipam: Ipam) -> list[Failure]:
    failures = []
    for pod in cluster.pods:
        for provider in _providers(pod, cluster):
            if _owner(pod, provider) in ipam.leases or pod.annotations.get(annotation(provider, "allocated")) != "true":
                continue
            try:
                ipam.adopt(_owner(pod, provider), _written_lease(pod.annotations, provider))
            except (AcquireError, InvalidObjectError) as error:
                failures.append(Failure(pod, f"cannot keep the address written in its annotations: {error}"))
    for node in cluster.nodes:
        owner = Owner(node.name, OVN_PROVIDER)
        if owner not in ipam.leases and annotation(OVN_PROVIDER, "ip_address") in node.annotations:
            # A node whose written address is garbage or taken gets a new one, as a new node does.
            with contextlib.suppress(AcquireError, InvalidObjectError):
                written = _written_lease(node.annotations, OVN_PROVIDER)
                ipam.adopt(owner, Lease(JOIN_SUBNET, written.addresses, written.mac or owner.mac))
    return failures


def _written_lease(annotations: Mapping[str, str], provider: str) -> Lease:
    return Lease(
        subnet=annotations.get(annotation(provider, "logical_switch"), ""),
        addresses=parse_addresses(annotations.get(annotation(provider, "ip_address"), "")),
        mac=annotations.get(annotation(provider, "mac_address"), ""),
    )


def _node_lease(node: Node, cluster: Cluster, ipam: Ipam) -> Lease | None:
    join = cluster.subnets.get(JOIN_SUBNET)
    return ipam.acquire(Owner(node.name, OVN_PROVIDER), join, Wanted(), ()) if join else None


def _interface(pod: Pod, provider: str, cluster: Cluster, ipam: Ipam) -> Interface:
    owner = _owner(pod, provider)
    held = ipam.leases.get(owner)
    subnet = _subnet_named(held.subnet, cluster) if held else _subnet_for(pod, provider, cluster)
    reserved = tuple(r for pool in cluster.pools.values() if pool.subnet == subnet.name for r in pool.ranges)
    lease = held or ipam.acquire(owner, subnet, _wanted(pod, provider, subnet, cluster), reserved)
    return Interface(pod, provider, subnet, lease)


def _held(pod: Pod, cluster: Cluster, ipam: Ipam) -> list[Interface]:
    leases = ((provider, ipam.leases.get(_owner(pod, provider))) for provider in _providers(pod, cluster))
    return [
        Interface(pod, provider, cluster.subnets[lease.subnet], lease)
        for provider, lease in leases
        if lease and lease.subnet in cluster.subnets
    ]


def _subnet_named(name: str, cluster: Cluster) -> Subnet:
    subnet = cluster.subnets.get(name)
    if subnet is None:
        raise AcquireError(f"subnet {name!r} does not exist or is not valid")
    return subnet


def _subnet_for(pod: Pod, provider: str, cluster: Cluster) -> Subnet:
    named = pod.annotations.get(annotation(provider, "logical_switch"))
    if named is None and provider == OVN_PROVIDER:
        named = cluster.namespace_subnets.get(pod.namespace, "")
    if named is not None:
        return _subnet_named(named, cluster)
    matching = sorted(name for name, subnet in cluster.subnets.items() if subnet.provider == provider)
    if not matching:
        raise AcquireError(f"no subnet has the provider {provider}")
    return cluster.subnets[matching[0]]


def _wanted(pod: Pod, provider: str, subnet: Subnet, cluster: Cluster) -> Wanted:
    mac = pod.annotations.get(annotation(provider, "mac_address"), "")
    fixed = pod.annotations.get(annotation(provider, "ip_address"))
    if fixed:
        return Wanted(choices=(parse_addresses(fixed),), mac=mac)
    text = pod.annotations.get(annotation(provider, "ip_pool"), "").strip()
    if not text:
        return Wanted(mac=mac)
    pool = cluster.pools.get(text)
    if pool is not None:
        if pool.subnet != subnet.name:
            raise AcquireError(f"IPPool {pool.name} is of subnet {pool.subnet}, not of {subnet.name}")
        return Wanted(ranges=_covering(pool.ranges, subnet), mac=mac)
    return Wanted(choices=parse_choices(text, subnet), mac=mac)


def parse_choices(text: str, subnet: Subnet) -> tuple[tuple[Address, ...], ...]:
    """`a;b` with items `v4`, `v6` or `v4,v6`; without `;`, a list `a,b` of one family is one choice per address."""
    if ";" in text:
        return tuple(parse_addresses(item) for item in text.split(";") if item.strip())
    addresses = parse_addresses(text)
    if len(subnet.networks) == 1:
        return tuple((address,) for address in addresses)
    return (addresses,)


def _covering(ranges: Iterable[Range], subnet: Subnet) -> tuple[Range, ...]:
    covering = tuple(ranges)
    for network in subnet.networks:
        if not any(r.first.version == network.version for r in covering):
            raise AcquireError(f"the IPPool has no address of {network}")
    return covering
