"""All objects of the cluster -> what decisions are made from, and what is wrong with the rest. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass

from veg_lab.mini_kube_ovn.assign import Cluster
from veg_lab.mini_kube_ovn.model import (
    InvalidObjectError,
    IpPool,
    Json,
    Subnet,
    namespace_subnet,
    parse_ip_pool,
    parse_node,
    parse_pod,
    parse_subnet,
    provider_of,
)


@dataclass(frozen=True)
class Snapshot:
    objects: Mapping[str, list[Json]]
    cluster: Cluster
    invalid: Mapping[str, str]

    @property
    def vpcs(self) -> list[str]:
        return [vpc["metadata"]["name"] for vpc in self.objects["Vpc"]]


def take(objects: Mapping[str, list[Json]]) -> Snapshot:
    """`objects` holds the objects of every kind, oldest first."""
    vpcs = {vpc["metadata"]["name"] for vpc in objects["Vpc"]}
    subnets, invalid = _subnets(objects["Subnet"], vpcs)
    providers = {
        (nad["metadata"]["namespace"], nad["metadata"]["name"]): provider
        for nad in objects["NetworkAttachmentDefinition"]
        if (provider := provider_of(nad))
    }
    cluster = Cluster(
        subnets=subnets,
        pools=_pools(objects["IPPool"]),
        pods=tuple(parse_pod(pod) for pod in objects["Pod"] if not pod["spec"].get("hostNetwork")),
        nodes=tuple(sorted((parse_node(node) for node in objects["Node"]), key=lambda node: node.name)),
        namespace_subnets={
            space["metadata"]["name"]: namespace_subnet(space, subnets.values()) for space in objects["Namespace"]
        },
        nad_providers=providers,
    )
    return Snapshot(objects, cluster, invalid)


def _subnets(objects: list[Json], vpcs: set[str]) -> tuple[dict[str, Subnet], dict[str, str]]:
    valid: dict[str, Subnet] = {}
    invalid: dict[str, str] = {}
    for obj in objects:
        name = obj["metadata"]["name"]
        try:
            valid[name] = _checked(parse_subnet(obj), vpcs, valid)
        except InvalidObjectError as error:
            invalid[name] = str(error)
    return valid, invalid


def _checked(subnet: Subnet, vpcs: set[str], older: Mapping[str, Subnet]) -> Subnet:
    if subnet.in_ovn and subnet.vpc not in vpcs:
        raise InvalidObjectError(f"spec.vpc {subnet.vpc!r} does not exist")
    clash = next((other for other in older.values() if _overlap(subnet, other)), None)
    if clash is not None:
        raise InvalidObjectError(f"spec.cidrBlock {subnet.cidr} overlaps {clash.cidr} of subnet {clash.name}")
    return subnet


def _overlap(one: Subnet, other: Subnet) -> bool:
    if (one.provider, one.vpc) != (other.provider, other.vpc):
        return False
    # Networks of different families cannot be compared: they are too far apart for typing's taste as well.
    return any(
        a.version == b.version and int(a[0]) <= int(b[-1]) and int(b[0]) <= int(a[-1])
        for a in one.networks
        for b in other.networks
    )


def _pools(objects: list[Json]) -> dict[str, IpPool]:
    pools = {}
    for obj in objects:
        try:
            pool = parse_ip_pool(obj)
        except InvalidObjectError:
            # A pod that names it is told that the pool does not exist.
            continue
        pools[pool.name] = pool
    return pools
