"""The rows of a gateway in the Northbound database, for the kind of its VPC.

- Default VPC: one reroute policy for each source. Kube-OVN's own policies of priority 31000 keep traffic that stays
  inside the VPC from it.
- Other VPCs: one src-ip static route for each source and gateway pod (or policies, where the operator says so, or where
  somebody else has a src-ip route for that source). Nothing keeps traffic inside there, so policies leave it out
  themselves.
- Selected pods, in either: one policy for each family on the address set of the gateway's port group.
- With BFD: the sessions, and below all of that a policy that drops what no gateway pod takes.
- With BFD and trafficPolicy Local: above it, for each node with a gateway pod, policies for the pods of that node.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from veg_contracts import addresses, names
from veg_contracts.base import Value
from veg_contracts.intent import NbRows, RoutePolicy, Source, StaticRoute
from veg_contracts.objects import Subnet
from veg_planner.plan import bfd, forms
from veg_planner.plan.bfd import Nexthop, Watch
from veg_planner.plan.network import Network
from veg_planner.plan.notes import Notes
from veg_planner.plan.pods import Member, Members
from veg_planner.plan.sources import inside_of, order
from veg_planner.plan.strangers import Strangers
from veg_planner.spec import Spec
from veg_planner.world import World

_SOURCE_FIELD: Final = {"4": "ip_src", "6": "ipv6_src"}
# Where northd keeps the nexthop that routing chose, when policies are looked at (ovn-northd(8), lr_in_ip_routing).
_NEXTHOP_REGISTER: Final = {"4": "reg0", "6": "xxreg0"}
_NAMED_MAX: Final = 5  # sources that one sentence names


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


class Routing(Value, frozen=True, kw_only=True):
    """The rows, and the nodes that have a port group of their own among them."""

    rows: NbRows
    nodes: tuple[str, ...] = ()


def subnets_inside(world: World, vpc: str) -> tuple[Inside, ...]:
    """The overlay subnets of a VPC, sorted by family and address.

    One that Kube-OVN has not validated is none: nobody knows that its CIDR is inside, and what is inside is kept from
    every policy and drop. A gateway that is no plain address is left out.
    """
    found: set[tuple[str, str, str]] = set()
    for stored in world.objects(Subnet.KIND):
        subnet = stored.object
        overlay = isinstance(subnet, Subnet) and subnet.provider in ("", "ovn") and not subnet.deleting
        if not isinstance(subnet, Subnet) or not overlay or (subnet.vpc or world.settings.default_vpc) != vpc:
            continue
        if not subnet.validated:
            continue
        for family in addresses.FAMILIES:
            if cidr := addresses.of_family(subnet.cidr, family):
                gateway = addresses.of_family(subnet.gateway, family)
                found.add((family, addresses.masked(cidr), "" if "/" in gateway else gateway))
    made = (Inside(family=family, cidr=cidr, gateway=gateway) for family, cidr, gateway in found)
    return tuple(sorted(made, key=lambda item: (order(item.cidr), item.gateway)))


@dataclass(kw_only=True)
class Router:
    """The rows of one gateway while they are put together.

    A source or selection without a nexthop has no row, or with BFD only the one that drops it. A pod is a nexthop of a
    source only when its agent takes that source: it would leave un-NATed, or find no way back.
    """

    world: World
    gateway: str
    spec: Spec
    network: Network
    wanted: Wanted
    team: Members
    watching: Watch
    notes: Notes

    def __post_init__(self) -> None:
        default = self.network.vpc == self.world.settings.default_vpc
        self._setting = "policy" if default else self.world.settings.custom_vpc_routing
        self._strangers = Strangers(self.network.router, self.world.strange_routes(self.network.router))
        self._inside = () if default else subnets_inside(self.world, self.network.vpc)
        self._group = names.port_group(self.gateway)
        local = self.watching.enabled and self.spec.traffic_policy == "Local"
        self._nodes = tuple(sorted({member.node for member in self.team.serving})) if local else ()
        self._policies: list[RoutePolicy] = []
        self._routes: list[StaticRoute] = []
        self._panics: dict[tuple[int, int], list[str]] = {}  # sessions and pods -> whose traffic

    def routing(self) -> Routing:
        """All rows, sorted."""
        for source in self.wanted.sources:
            self._take_source(source)
        if self.wanted.selects:
            self._take_selected()
        self._note_panics()
        sessions = bfd.sessions(self.watching, self.spec, self._watched_ips())
        self._routes += bfd.anchors(sessions, self._routes)
        self._policies.sort(key=lambda policy: (policy.family, policy.priority, policy.match))
        # As text, like the writer: what it observes is compared with what is wanted.
        self._routes.sort(key=lambda route: (route.family, route.ip_prefix, route.nexthop, route.route_table))
        groups = [names.node_port_group(self.gateway, node) for node in self._nodes]
        rows = NbRows(
            router=self.network.router,
            policies=tuple(self._policies),
            static_routes=tuple(self._routes),
            port_groups=tuple(sorted([*groups, *([self._group] if self.wanted.selects else [])])),
            sessions=sessions,
        )
        return Routing(rows=NbRows() if rows.empty else rows, nodes=self._nodes)

    def _take_source(self, source: Source) -> None:
        family = addresses.family(source.cidr)
        match = f"ip{family}.src == {source.cidr}"
        able = [member for member in self.team.serving if member.takes(source)]
        leaving = [member for member in self.team.leaving if member.takes(source)]
        nexthops = self._nexthops(f"source {source.cidr}", able, leaving, family)
        form = forms.choose(self._setting, self._strangers, source.cidr, self.notes)
        if form.routes:
            self._routes += [self._route(family, source.cidr, nexthop) for nexthop in nexthops]
        if form.policies:
            self._reroute(family, names.PRIORITY_CLUSTER, match, nexthops)
        if form.routes or form.policies:
            self._take_locally(family, names.PRIORITY_LOCAL, match, able)
        if self.watching.enabled:
            # A source inside this one is somebody's closer choice, and not this gateway's to drop.
            others = [cidr for cidr in self.wanted.owners if inside_of(cidr, source.cidr)]
            # Whether up or not: a failover, and panic, then change routes and leave the policies alone (decision 0010).
            pods = {nexthop.ip for nexthop in (*self._as_nexthops(able, family), *nexthops)}
            self._drop(family, match, sorted(others, key=order), sorted(pods) if form.routes else [])
        self._note_without(f"source {source.cidr}", able, nexthops)

    def _take_selected(self) -> None:
        """Those whom labels select, by policies in either kind of VPC."""
        for family in self.network.families:
            match = f"ip{family}.src == ${self._group}_ip{family}"
            able = [member for member in self.team.serving if member.takes_selected]
            leaving = [member for member in self.team.leaving if member.takes_selected]
            what = f"IPv{family} of selected pods"
            nexthops = self._nexthops(what, able, leaving, family)
            self._reroute(family, names.PRIORITY_SELECTOR, match, nexthops)
            self._take_locally(family, names.PRIORITY_SELECTOR_LOCAL, match, able)
            if self.watching.enabled:
                self._drop(family, match, [], [])
            self._note_without(what, able, nexthops)
        if self.wanted.leads and self._setting != "policy" and not self._strangers.crowded:
            without = (item for item in self._inside if not self._strangers.cover(item.cidr))
            self._routes += _hits(without, self.network.families, self.wanted.owners)

    def _note_without(self, what: str, able: list[Member], nexthops: tuple[Nexthop, ...]) -> None:
        """Say why traffic has no gateway pod to go to and where it goes then, or why it goes to one that flapped."""
        if nexthops:
            if all(nexthop.held for nexthop in nexthops):
                text = f"{what} goes to pods that are held back: no other BFD session is up"
                self.notes.waits("routing", text)
            return
        then = "it is dropped" if self.watching.enabled else "it goes as the VPC routes it"
        if not self.spec.replicas:
            self.notes.done("routing", f"{what} has no nexthop, since spec.replicas is 0: {then}")
        elif able:
            self.notes.waits("routing", f"{what} has no nexthop: no BFD session with a pod that takes it is up: {then}")
        else:
            self.notes.waits("routing", f"{what} has no nexthop: waits for an agent that takes it: {then}")

    def _nexthops(self, what: str, able: list[Member], leaving: list[Member], family: str) -> tuple[Nexthop, ...]:
        """Those that traffic goes to, sorted."""
        choice = bfd.choose(self._as_nexthops(able, family), self._as_nexthops(leaving, family))
        if choice.panic:
            key = (len(able) + len(leaving), len(choice.nexthops))
            self._panics.setdefault(key, []).append(what)
        return choice.nexthops

    def _note_panics(self) -> None:
        """Together, or a gateway of many sources would say the same as often."""
        for (watched, existing), whats in sorted(self._panics.items()):
            more = f" and {len(whats) - _NAMED_MAX} more" if len(whats) > _NAMED_MAX else ""
            taken = ", ".join(whats[:_NAMED_MAX]) + more
            if watched > 1:
                down = f"All {watched} BFD sessions with pods that take {taken} are down"
            else:
                down = f"The only BFD session with a pod that takes {taken} is down"
            all_pods = f"all {existing} gateway pods that exist" if existing > 1 else "the only gateway pod that exists"
            self.notes.waits(bfd.PANIC, f"{down}: panic mode: traffic goes to {all_pods}")

    def _as_nexthops(self, members: list[Member], family: str) -> list[Nexthop]:
        found = (bfd.nexthop(self.world, self.gateway, self.watching, member, family) for member in members)
        return sorted(found, key=lambda item: item.ip)

    def _take_locally(self, family: str, priority: int, match: str, able: list[Member]) -> None:
        for node in self._nodes:
            group = names.node_port_group(self.gateway, node)
            here = self._as_nexthops([member for member in able if member.node == node], family)
            # What is held back is the last resort of all nodes, not the first choice of its own.
            steady = [item for item in here if item.up and not item.held]
            self._reroute(family, priority, f"ip{family}.src == ${group}_ip{family} && {match}", steady)

    def _reroute(self, family: str, priority: int, match: str, nexthops: Sequence[Nexthop]) -> None:
        if not nexthops:
            return
        policy = RoutePolicy(
            family=family,
            priority=priority,
            match=match + self._outside(family),
            action="reroute",
            nexthops=tuple(nexthop.ip for nexthop in nexthops),
            bfd_sessions=tuple(nexthop.ip for nexthop in nexthops if nexthop.watched),
            spares=self.watching.enabled and len(nexthops) > 1,
        )
        self._policies.append(policy)

    def _drop(self, family: str, match: str, others: list[str], routed: list[str]) -> None:
        """With BFD nothing leaves another way: not when no gateway pod is up, and not when another route matches."""
        match += self._outside(family)
        if others:
            match += f" && ip{family}.src != {{{', '.join(others)}}}"
        if routed:
            match += f" && {_NEXTHOP_REGISTER[family]} != {{{', '.join(routed)}}}"
        self._policies.append(RoutePolicy(family=family, priority=names.PRIORITY_DROP, match=match, action="drop"))

    def _outside(self, family: str) -> str:
        stays = [item.cidr for item in self._inside if item.family == family]
        return f" && ip{family}.dst != {{{', '.join(stays)}}}" if stays else ""

    def _route(self, family: str, prefix: str, nexthop: Nexthop) -> StaticRoute:
        return StaticRoute(
            family=family,
            ip_prefix=prefix,
            nexthop=nexthop.ip,
            symmetric_reply=True,
            selection_fields=(_SOURCE_FIELD[family],),
            bfd=nexthop.ip if nexthop.watched else "",
        )

    def _watched_ips(self) -> list[str]:
        """The pods that serve, and those on their way out that still have traffic."""
        used = NbRows(policies=tuple(self._policies), static_routes=tuple(self._routes)).nexthops
        leaving = {ip for member in self.team.leaving for ip in member.internal.values()} & used
        return sorted({ip for member in self.team.serving for ip in member.internal.values()} | leaving)


def _hits(inside: Iterable[Inside], families: tuple[str, ...], owners: dict[str, str]) -> list[StaticRoute]:
    """Routes that let selected pods get as far as the policies: stage ip_routing drops what no route matches.

    They lead back to the subnet's own gateway, so without a policy the traffic is dropped, not leaked. None for a
    prefix that some gateway, or somebody else, has a route of: that is a hit too, and both would form one ECMP group.
    Only the oldest gateway of the VPC writes them, or the same route would be there several times.
    """
    return [
        StaticRoute(family=item.family, ip_prefix=item.cidr, nexthop=item.gateway)
        for item in inside
        if item.family in families and item.gateway and item.cidr not in owners
    ]
