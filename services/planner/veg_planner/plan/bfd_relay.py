"""The relay of a BFD port: whether there is one, its rows, and who may still send to it (docs/decisions/0017).

An address of it that is wanted comes at once, and pods are told to send there when it is reported as made. One that is
wanted no more goes when no pod sends to it any more: so its packets always have somewhere to go.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from veg_contracts import addresses, names
from veg_contracts.intent import BfdRelay, BfdRouterPort, BfdSession, NbRows, Part, RoutePolicy, StaticRoute
from veg_contracts.objects import Pod, Subnet, Vpc
from veg_planner.plan.notes import Notes
from veg_planner.state import BFD_RELAY
from veg_planner.world import World, is_gateway

_BFD_UDP_PORT: Final = 3784  # RFC 5881, 4
_ENDED: Final = ("Succeeded", "Failed")


def wanted(world: World, vpc: str, ips: Iterable[str], *, theirs: bool) -> tuple[str, ...]:
    """The addresses that the relay of a BFD port with these `ips` should have. `theirs`: the port is Kube-OVN's."""
    found = _asked(world, ips, theirs=theirs)
    return tuple(ip for ip in found if not _subnet_around(world, vpc, ip))


def obstacles(world: World, vpc: str, ips: Iterable[str], *, theirs: bool) -> list[str]:
    """Why the relay lacks addresses that it should have."""
    around = ((ip, _subnet_around(world, vpc, ip)) for ip in _asked(world, ips, theirs=theirs))
    return [
        f'VEG_BFD_RELAY_IPS: {ip} is in Subnet "{subnet}" of Vpc "{vpc}", so BFD port {names.bfd_port(vpc)} has no '
        f"relay: without Kube-OVN's patches only pods on the node that runs the port have a session. Choose another one"
        for ip, subnet in around
        if subnet
    ]


def networks(
    world: World, vpc: str, ips: Iterable[str], before: NbRows | None, *, theirs: bool, notes: Notes
) -> tuple[str, ...]:
    """The addresses of the relay: those that are wanted, and of before those that pods may still send to."""
    ips = tuple(ips)
    for text in obstacles(world, vpc, ips, theirs=theirs):
        notes.waits("bfd relay", text)
    found = list(wanted(world, vpc, ips, theirs=theirs))
    known = before.bfd_port.relay if before is not None and before.bfd_port is not None else None
    for ip in known.networks if known is not None else ():
        if ip not in found and (sender := next(_senders(world, vpc, ip), "")):
            notes.waits("bfd relay", f"keeps {ip} until {sender} has been told to send to it no more")
            found.append(ip)
    return tuple(sorted(found, key=lambda ip: (addresses.family(ip), ip)))


def attach(rows: NbRows, router: str, vpc: str, ips: tuple[str, ...]) -> NbRows:
    """The rows of a BFD port with a relay of these addresses; as they were where there are none."""
    if not ips or not router or rows.bfd_port is None:
        return rows
    name, mac = names.bfd_relay(vpc), names.bfd_relay_mac(vpc)
    return msgspec.structs.replace(
        rows,
        router=router,
        bfd_port=msgspec.structs.replace(rows.bfd_port, relay=BfdRelay(name=name, mac=mac, networks=ips)),
        policies=tuple(_policy(ip) for ip in ips),
        static_routes=tuple(_route(ip, rows.bfd_port.name) for ip in ips),
        sessions=(_row(name, ips[0]),),
    )


def made(world: World, vpc: str) -> tuple[str, ...]:
    """The addresses that the relay has, as far as the writer has reported and they are not to go."""
    intent, state = world.intent(vpc), world.part(vpc, Part.NB)
    port = intent.nb.bfd_port if intent is not None and intent.nb is not None else None
    if port is None or port.relay is None or state is None or intent is None:
        return ()
    reported = addresses.split(state.whose.get(BFD_RELAY, "")) if state.gateway_uid == intent.gateway_uid else ()
    return tuple(ip for ip in port.relay.networks if ip in reported)


def via(world: World, vpc: str) -> dict[str, str]:
    """Family -> the address that pods send to in place of the BFD port's.

    While the writer has not reported one that is wanted in place of another, that other one.
    """
    port, there = _port(world, vpc), made(world, vpc)
    if port is None:
        return {}
    found = {}
    for ip in wanted(world, vpc, _ips(world, vpc, port), theirs=port.peer_only):
        family = addresses.family(ip)
        same = sorted((each for each in there if addresses.family(each) == family), key=lambda each: each != ip)
        if same:
            found[family] = same[0]
    return found


def why_not(world: World, vpc: str) -> list[str]:
    """Why the BFD port of a Vpc has no relay where it should have one."""
    port = _port(world, vpc)
    return obstacles(world, vpc, _ips(world, vpc, port), theirs=port.peer_only) if port is not None else []


def awaiting(world: World, subject: str) -> set[str]:
    """The Vpc whose relay may have an address no more as soon as the pods of this gateway have been told."""
    basis = world.basis(subject) if is_gateway(subject) else None
    vpc = basis.network.vpc if basis is not None else ""
    port = _port(world, vpc)
    if port is None or port.relay is None:
        return set()
    left = set(port.relay.networks).difference(wanted(world, vpc, _ips(world, vpc, port), theirs=port.peer_only))
    return {vpc} if left else set()


def _asked(world: World, ips: Iterable[str], *, theirs: bool) -> list[str]:
    settings = world.settings
    if settings.bfd_relay == "off" or (settings.bfd_relay == "auto" and theirs):
        return []
    families = {addresses.family(ip) for ip in ips}
    found = (addresses.of_family(settings.bfd_relay_ips, family) for family in addresses.FAMILIES if family in families)
    return [ip for ip in found if ip]


def _subnet_around(world: World, vpc: str, ip: str) -> str:
    """The Subnet of that VPC whose addresses the relay would take; empty for none."""
    family = addresses.family(ip)
    found = (
        stored.object.name
        for stored in world.objects(Subnet.KIND)
        if isinstance(stored.object, Subnet)
        and (stored.object.vpc or world.settings.default_vpc) == vpc
        and (cidr := addresses.of_family(stored.object.cidr, family))
        and addresses.contains(cidr, ip)
    )
    return min(found, default="")


def _senders(world: World, vpc: str, ip: str) -> Iterator[str]:
    """The gateways whose config says so, and the pods that may not know yet that it does not."""
    for gateway in world.gateways():
        basis, intent = world.basis(gateway), world.intent(gateway)
        if basis is None or intent is None or basis.network.vpc != vpc:
            continue
        bfd = intent.config.bfd if intent.config is not None else None
        if bfd is not None and ip in bfd.via.values():
            yield f"VpcEgressGateway {gateway}"
        for stored in world.pods_of(gateway):
            agent = world.agent(stored.uid)  # one that never reported has never had a session
            runs = isinstance(stored.object, Pod) and stored.object.phase not in _ENDED
            if runs and agent is not None and agent.generation < intent.generations.config:
                yield f"pod {stored.object.key}"


def _port(world: World, vpc: str) -> BfdRouterPort | None:
    intent = world.intent(vpc)
    return intent.nb.bfd_port if intent is not None and intent.nb is not None else None


def _ips(world: World, vpc: str, port: BfdRouterPort) -> tuple[str, ...]:
    """The addresses of a BFD port; of Kube-OVN's own its maker says them."""
    if not port.peer_only:
        return port.networks
    found = world.find(Vpc, vpc)
    return addresses.split(found.bfd_port.status_ip) if found is not None and found.bfd_port is not None else ()


def _policy(ip: str) -> RoutePolicy:
    """Above all drops and reroutes, ours and Kube-OVN's, which know nothing of what the router itself is asked."""
    family = addresses.family(ip)
    match = f"ip{family}.dst == {ip} && udp.dst == {_BFD_UDP_PORT}"
    return RoutePolicy(family=family, priority=names.PRIORITY_BFD_RELAY, match=match, action="allow")


def _route(ip: str, port: str) -> StaticRoute:
    """Out by the BFD port: OVN brings to the chassis that runs it what leaves by a distributed gateway port."""
    return StaticRoute(
        family=addresses.family(ip), ip_prefix=addresses.masked(ip), nexthop=ip, policy="dst-ip", output_port=port
    )


def _row(relay: str, ip: str) -> BfdSession:
    """The relay's router hands BFD packets over to the chassis because there is a row for its port, in both families.

    No route refers to it, so nothing runs; its peer is the relay itself, which nobody else can be.
    """
    family = addresses.family(ip)
    return BfdSession(family=family, logical_port=relay, dst_ip=ip, min_rx=1000, min_tx=1000, detect_mult=3)
