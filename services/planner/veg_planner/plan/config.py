"""The config of a gateway's pods: NAT of the sources, and the way back to sources outside the internal subnet."""

from ipaddress import ip_network

from veg_contracts import addresses
from veg_contracts.base import Value
from veg_contracts.intent import PodBfd, PodConfig, Route, Source
from veg_contracts.objects import Subnet
from veg_planner.plan.network import Network
from veg_planner.plan.sources import order

_INTERNAL = "eth0"
_EXTERNAL = "net1"


class Traffic(Value, frozen=True, kw_only=True):
    """What the pods must be ready for.

    `wanted` sources, `lingering` ones that OVN may still send, `selected`: pods that labels select may come from
    anywhere `inside` the VPC (CIDRs). `subnets` are those that its pods are in, more than one while they move.
    `bfd` is the pods' end of their sessions, and `relays` are addresses that they send to or have just sent to;
    `released` are pods to which no chassis sends anything any more.
    """

    wanted: tuple[Source, ...]
    lingering: tuple[Source, ...]
    selected: bool
    inside: tuple[str, ...]
    subnets: tuple[Subnet, ...]
    bfd: PodBfd | None = None
    relays: tuple[str, ...] = ()
    released: tuple[str, ...] = ()


def config(gateway: str, uid: str, network: Network, traffic: Traffic) -> PodConfig:
    """The config without its generation (0): that is given when it differs from the last one."""
    cidrs = {source.cidr for source in (*traffic.wanted, *traffic.lingering)}
    if traffic.selected:
        cidrs |= {cidr for cidr in traffic.inside if addresses.family(cidr) in network.families}
    if traffic.bfd is not None:
        cidrs |= {addresses.masked(ip) for ip in (*traffic.bfd.peers, *traffic.relays)}
    return PodConfig(
        gateway=gateway,
        gateway_uid=uid,
        generation=0,
        families=network.families,
        internal_interface=_INTERNAL,
        external_interface=_EXTERNAL,
        routes=tuple(route for subnet in traffic.subnets for route in _routes(subnet, cidrs)),
        sources=traffic.wanted,
        lingering=traffic.lingering,
        default_snat=traffic.selected,
        bfd=traffic.bfd,
        released=traffic.released,
    )


def lingering_sources(last: PodConfig | None, wanted: tuple[Source, ...], *, settled: bool) -> tuple[Source, ...]:
    """Sources that left the spec while OVN may still send their traffic here: they keep their NAT until it does not.

    `settled`: the chassis have the rows without them.
    """
    if last is None or settled:
        return ()
    cidrs = {source.cidr for source in wanted}
    before = {source.cidr: source for source in (*last.lingering, *last.sources)}
    return tuple(before[cidr] for cidr in sorted(before, key=order) if cidr not in cidrs)


def _routes(internal: Subnet, cidrs: set[str]) -> tuple[Route, ...]:
    """For pods in that subnet: a way back for each CIDR that it does not contain (a contained one is on-link)."""
    routes = []
    for cidr in sorted(cidrs, key=order):
        family = addresses.family(cidr)
        gateway = addresses.of_family(internal.gateway, family)
        network = addresses.of_family(internal.cidr, family)
        if not gateway or not network:
            continue
        source = ip_network(cidr)
        # A source of length 0 takes everything; a route for it would take the gateway's own way out.
        if source.prefixlen == 0 or source.subnet_of(ip_network(addresses.masked(network))):  # type: ignore[arg-type]  # both are of one family
            continue
        routes.append(Route(destination=cidr, gateway=gateway, interface=_INTERNAL))
    return tuple(routes)
