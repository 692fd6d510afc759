"""The rows of a gateway in the Northbound database, for the kind of its VPC.

- Default VPC: one reroute policy for each source. Kube-OVN's own policies of priority 31000 keep traffic that stays
  inside the VPC from it.
- Other VPCs: one src-ip static route for each source and gateway pod (or policies, where the operator says so). Nothing
  keeps traffic inside there, so policies leave it out themselves.
- Selected pods, in either: one policy for each family on the address set of the gateway's port group.
"""

from typing import Final

from veg_contracts import addresses, names
from veg_contracts.base import Value
from veg_contracts.intent import NbRows, RoutePolicy, Source, StaticRoute
from veg_contracts.objects import Subnet
from veg_planner.plan.network import Network
from veg_planner.plan.notes import Notes
from veg_planner.plan.pods import Member
from veg_planner.plan.sources import order
from veg_planner.world import World

_SOURCE_FIELD: Final = {"4": "ip_src", "6": "ipv6_src"}


class Wanted(Value, frozen=True, kw_only=True):
    """What a gateway takes: `sources` that are its own, and whether it selects pods by labels.

    `owners` says which gateway has a source; `leads` that this is the oldest of the VPC's gateways that select pods.
    """

    sources: tuple[Source, ...]
    selects: bool
    owners: dict[str, str]
    leads: bool


class Inside(Value, frozen=True, kw_only=True):
    """A subnet of the VPC on the overlay, in one family."""

    family: str
    cidr: str
    gateway: str


def rows(
    world: World, gateway: str, network: Network, wanted: Wanted, serving: tuple[Member, ...], notes: Notes
) -> NbRows:
    """All rows, sorted. A source or selection without a nexthop has none.

    A pod is a nexthop of a source only when its agent takes that source: it would leave un-NATed, or find no way back.
    """
    default = network.vpc == world.settings.default_vpc
    by_static_route = not default and world.settings.custom_vpc_routing == "static-route"
    inside = () if default else subnets_inside(world, network.vpc)
    policies: list[RoutePolicy] = []
    routes: list[StaticRoute] = []
    for source in wanted.sources:
        family = addresses.family(source.cidr)
        nexthops = sorted({member.internal[family] for member in serving if member.takes(source)})
        if not nexthops:
            notes.waits("routing", f"source {source.cidr} has no nexthop: waits for an agent that takes it")
        elif by_static_route:
            routes += [_route(family, source.cidr, nexthop) for nexthop in nexthops]
        else:
            match = f"ip{family}.src == {source.cidr}"
            policies.append(_policy(family, names.PRIORITY_CLUSTER, match, inside, nexthops))
    group = names.port_group(gateway)
    if wanted.selects:
        policies += _for_selected(group, network, inside, serving, notes)
    if wanted.selects and wanted.leads and by_static_route:
        routes += _hits(inside, network.families, wanted.owners)
    policies.sort(key=lambda policy: (policy.family, policy.priority, policy.match))
    # As text, like the writer: what it observes is compared with what is wanted.
    routes.sort(key=lambda route: (route.family, route.ip_prefix, route.nexthop))
    made = NbRows(
        router=network.router,
        policies=tuple(policies),
        static_routes=tuple(routes),
        port_groups=(group,) if wanted.selects else (),
    )
    return NbRows() if made.empty else made


def subnets_inside(world: World, vpc: str) -> tuple[Inside, ...]:
    """The overlay subnets of a VPC, sorted by family and address."""
    found: set[tuple[str, str, str]] = set()
    for stored in world.objects(Subnet.KIND):
        subnet = stored.object
        overlay = isinstance(subnet, Subnet) and subnet.provider in ("", "ovn") and not subnet.deleting
        if not isinstance(subnet, Subnet) or not overlay or (subnet.vpc or world.settings.default_vpc) != vpc:
            continue
        for family in addresses.FAMILIES:
            if cidr := addresses.of_family(subnet.cidr, family):
                found.add((family, addresses.masked(cidr), addresses.of_family(subnet.gateway, family)))
    made = (Inside(family=family, cidr=cidr, gateway=gateway) for family, cidr, gateway in found)
    return tuple(sorted(made, key=lambda item: (order(item.cidr), item.gateway)))


def _policy(family: str, priority: int, match: str, inside: tuple[Inside, ...], nexthops: list[str]) -> RoutePolicy:
    if stays := [item.cidr for item in inside if item.family == family]:
        match = f"{match} && ip{family}.dst != {{{', '.join(stays)}}}"
    return RoutePolicy(family=family, priority=priority, match=match, action="reroute", nexthops=tuple(nexthops))


def _route(family: str, prefix: str, nexthop: str) -> StaticRoute:
    fields = (_SOURCE_FIELD[family],)
    return StaticRoute(family=family, ip_prefix=prefix, nexthop=nexthop, symmetric_reply=True, selection_fields=fields)


def _for_selected(
    group: str, network: Network, inside: tuple[Inside, ...], serving: tuple[Member, ...], notes: Notes
) -> list[RoutePolicy]:
    made = []
    for family in network.families:
        nexthops = sorted({member.internal[family] for member in serving if member.takes_selected})
        if not nexthops:
            notes.waits("routing", f"selected pods have no IPv{family} nexthop: waits for an agent that takes them")
            continue
        match = f"ip{family}.src == ${group}_ip{family}"
        made.append(_policy(family, names.PRIORITY_SELECTOR, match, inside, nexthops))
    return made


def _hits(inside: tuple[Inside, ...], families: tuple[str, ...], owners: dict[str, str]) -> list[StaticRoute]:
    """Routes that let selected pods get as far as the policies: stage ip_routing drops what no route matches.

    They lead back to the subnet's own gateway, so without a policy the traffic is dropped, not leaked. None for a
    prefix that some gateway has a route of: that is a hit too, and both would form one ECMP group. Only the oldest
    gateway of the VPC writes them, or the same route would be there several times.
    """
    return [
        StaticRoute(family=item.family, ip_prefix=item.cidr, nexthop=item.gateway)
        for item in inside
        if item.family in families and item.gateway and item.cidr not in owners
    ]
