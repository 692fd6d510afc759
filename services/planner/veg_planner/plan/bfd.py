"""How BFD watches the pods of a gateway, and which pods its sessions let traffic go to.

A pod joins when its session is up, and leaves when it is not, by policies and by static routes alike. There are three
exceptions: a pod that already has traffic when BFD comes to it (its session has never been up) keeps it until then, so
that switching BFD on breaks nothing; one whose session flapped joins later, unless no other session is up; and where no
session is up any more, traffic goes on to all pods there are (panic mode, docs/decisions/0015).

OVN takes a static route out by itself when its session is down, and puts it back when the session is no longer down.
That is faster, but not enough: in "init" OVN hears the pod and the pod does not hear OVN.
"""

from typing import Final

import msgspec

from veg_contracts import addresses, names
from veg_contracts.base import Value
from veg_contracts.intent import BfdSession, NbRows, Part, PodBfd, StaticRoute, VpcBfdStatus
from veg_contracts.objects import Vpc
from veg_planner.plan import bfd_relay
from veg_planner.plan.network import Network
from veg_planner.plan.notes import Notes
from veg_planner.plan.pods import Member
from veg_planner.plan.vpc import networks, selector
from veg_planner.spec import Spec
from veg_planner.state import BFD_PORT, FOREIGN, OURS
from veg_planner.world import World

PANIC: Final = "panic"  # the topic of what is said of it
_UP: Final = "up"


class Watch(Value, frozen=True, kw_only=True):
    """The router port that watches, and its address in each family that is watched. None of them: BFD is off, or waits.

    `via` is where pods send to in place of the port, by family; `relays` are all addresses that take what they send.
    `spared` are the addresses of pods that had traffic when BFD came to them, and keep it until their session is up.
    """

    enabled: bool
    port: str = ""
    peers: dict[str, str] = {}
    via: dict[str, str] = {}
    relays: tuple[str, ...] = ()
    spared: tuple[str, ...] = ()


class Nexthop(Value, frozen=True, kw_only=True):
    """A pod as a nexthop in one family.

    `up`: traffic may go to it. `held`: not while there is another, since its session flapped. `lost`: its session has
    been up, and is not. `watched`: rows refer to its session.
    """

    ip: str
    up: bool
    held: bool = False
    lost: bool = False
    watched: bool


class Choice(Value, frozen=True, kw_only=True):
    """The pods that traffic goes to, and whether that is because not one session is up any more."""

    nexthops: tuple[Nexthop, ...] = ()
    panic: bool = False


def watch(world: World, spec: Spec, network: Network, spared: tuple[str, ...], notes: Notes) -> Watch:
    """What watches this gateway's pods: the BFD port of its Vpc, as `status.bfdPort` has it."""
    if not spec.bfd.enabled:
        return Watch(enabled=False, spared=spared)
    # A port that somebody else has made is not in an intent, and who runs it is not ours to know.
    ours = intent.vpc_status if (intent := world.intent(network.vpc)) is not None else None
    port = _port(world, network.vpc, ours)
    if not port.ip or not port.name:
        notes.waits("bfd", f"spec.bfd.enabled: {_missing(world, network.vpc)}")
        return Watch(enabled=True, spared=spared)
    if ours is not None and ours.name == port.name and not ours.nodes:
        notes.waits("bfd", f"no node runs BFD port {port.name}: nobody watches the pods")
    found = {family: addresses.of_family(port.ip, family) for family in network.families}
    peers = {family: ip for family, ip in found.items() if ip}
    for family in network.families:
        if family not in peers:
            notes.done("bfd", f"IPv{family} is not watched: BFD port {port.name} has no IPv{family} address")
    for text in bfd_relay.why_not(world, network.vpc):
        notes.done("bfd", text)
    found = bfd_relay.via(world, network.vpc)
    via = {family: found[family] for family in peers if family in found}
    relays = bfd_relay.made(world, network.vpc)
    return Watch(enabled=True, port=port.name, peers=peers, via=via, relays=relays, spared=spared)


def _port(world: World, name: str, ours: VpcBfdStatus | None) -> VpcBfdStatus:
    """The BFD port of a Vpc, as its status has it; where the Vpc has no such field, as we have made or found it."""
    vpc = world.find(Vpc, name)
    port = vpc.bfd_port if vpc is not None else None
    if port is None:
        return VpcBfdStatus()
    if port.annotated:
        return ours or _found(world, name)
    if not port.status_name:
        return _made(world, name)
    return VpcBfdStatus(name=port.status_name, ip=port.status_ip)


def _made(world: World, name: str) -> VpcBfdStatus:
    """Our router port while the status of its Vpc says nothing yet, or no more: its sessions go on."""
    intent, state = world.intent(name), world.part(name, Part.NB)
    made = intent.nb.bfd_port if intent is not None and intent.nb is not None else None
    if made is None or state is None or state.whose.get(BFD_PORT) != OURS:
        return VpcBfdStatus()
    return VpcBfdStatus(name=made.name, ip=",".join(made.networks))


def _found(world: World, name: str) -> VpcBfdStatus:
    """Somebody else's router port where ours was to be, with the addresses that the annotation says."""
    intent, state = world.intent(name), world.part(name, Part.NB)
    wanted = intent.nb.bfd_port if intent is not None and intent.nb is not None else None
    if wanted is None or state is None or state.whose.get(BFD_PORT) != FOREIGN:
        return VpcBfdStatus()
    return VpcBfdStatus(name=wanted.name, ip=",".join(wanted.networks))


def _missing(world: World, name: str) -> str:
    """That a Vpc has no BFD port, and what is in its way or helps."""
    vpc, state = world.find(Vpc, name), world.part(name, Part.NB)
    port = vpc.bfd_port if vpc is not None else None
    if port is not None and port.enabled:
        wrong = Notes()
        networks(port, wrong)
        selector(port, wrong)
        if refused := wrong.of("refused"):
            return f'Vpc "{name}" has no BFD port: {refused[0].text}'
    if port is not None and port.annotated:
        reason = f": {state.message}" if state is not None and state.message else ""
        return f'Vpc "{name}" has no BFD port yet, which its annotation {names.ANNOTATION_BFD_PORT} asks for{reason}'
    return (
        f'Vpc "{name}" has no BFD port (status.bfdPort): set its spec.bfdPort.enabled and spec.bfdPort.ip, '
        f"or, where Kube-OVN is too old to have these, its annotation {names.ANNOTATION_BFD_PORT}"
    )


def nexthop(world: World, gateway: str, watching: Watch, member: Member, family: str) -> Nexthop:
    """The pod as a nexthop, and whether its session lets traffic go to it."""
    ip = member.internal[family]
    if family not in watching.peers:
        return Nexthop(ip=ip, up=True, watched=False)
    session = world.session(gateway, ip)
    if session is None or not session.been_up:
        spared = ip in watching.spared
        return Nexthop(ip=ip, up=spared, watched=not spared)
    up = session.status == _UP
    return Nexthop(ip=ip, up=up, held=session.held, lost=not up, watched=True)


def choose(able: list[Nexthop], leaving: list[Nexthop]) -> Choice:
    """Whom traffic goes to, of the pods that can take it; those that are leaving only where no other does.

    When all of them seem to have died at once it is the observer that stood still: then all go on, and rows refer to no
    session, since OVN takes what refers to one that is down out of service. Where none has ever been up they start.
    """
    if up := best(able) or best(leaving):
        return Choice(nexthops=tuple(up))
    if not any(item.lost for item in (*able, *leaving)):
        return Choice()
    unwatched = (msgspec.structs.replace(item, watched=False) for item in able or leaving)
    return Choice(nexthops=tuple(unwatched), panic=True)


def best(found: list[Nexthop]) -> list[Nexthop]:
    """Those that are up. What flapped is held back only while there is another: better that than nothing."""
    up = [item for item in found if item.up]
    return [item for item in up if not item.held] or up


def sessions(watching: Watch, spec: Spec, ips: list[str]) -> tuple[BfdSession, ...]:
    """OVN's ends of the sessions with these pods, sorted.

    They mirror the pods' ends: OVN may send as often as a pod wants to receive, and the other way round.
    """
    return tuple(
        BfdSession(
            family=addresses.family(ip),
            logical_port=watching.port,
            dst_ip=ip,
            min_rx=spec.bfd.min_tx,
            min_tx=spec.bfd.min_rx,
            detect_mult=spec.bfd.multiplier,
        )
        for ip in sorted(ips, key=lambda ip: (addresses.family(ip), ip))
        if addresses.family(ip) in watching.peers
    )


def anchors(watched: tuple[BfdSession, ...], routes: list[StaticRoute]) -> list[StaticRoute]:
    """Routes that keep sessions running which no other route refers to; an OVN as it comes upstream needs them.

    Its northd runs a session of a dedicated port only for static routes, not for policies. Nothing leads into their
    route table, so they carry no traffic.
    """
    referred = {route.bfd for route in routes}
    return [
        StaticRoute(
            family=session.family,
            ip_prefix=addresses.masked(session.dst_ip),
            nexthop=session.dst_ip,
            policy="dst-ip",
            route_table=names.ANCHOR_TABLE,
            bfd=session.dst_ip,
        )
        for session in watched
        if session.dst_ip not in referred
    ]


def pod_end(watching: Watch, spec: Spec) -> PodBfd | None:
    """What the speakers in the pods are told."""
    if not spec.bfd.enabled:
        return None
    return PodBfd(
        min_rx=spec.bfd.min_rx,
        min_tx=spec.bfd.min_tx,
        multiplier=spec.bfd.multiplier,
        peers=tuple(watching.peers[family] for family in addresses.FAMILIES if family in watching.peers),
        via={watching.peers[family]: watching.via[family] for family in watching.via},
    )


def note(world: World, gateway: str, watching: Watch, serving: tuple[Member, ...], notes: Notes) -> None:
    """Say of each session that is not up, or held back while another is up, that it is awaited."""
    for member in serving:
        for family in watching.peers:
            ip = member.internal[family]
            session = world.session(gateway, ip)
            if session is None or session.status != _UP:
                state = session.status if session is not None and session.status else "not there yet"
                notes.waits("bfd", f"the BFD session with pod {member.name} ({ip}) is {state}")
            elif session.held:
                held = f"held back until {session.held_until} while a steady one is up"
                text = f"went down {len(session.downs)} times lately: {held}"
                notes.waits("bfd", f"the BFD session with pod {member.name} ({ip}) {text}")


def spare(before: NbRows | None, spared: tuple[str, ...]) -> tuple[str, ...]:
    """The pods that have traffic by the rows before without a look at BFD, because they had it when BFD came. Sorted.

    In panic mode rows do not look at BFD either. But that is of pods with a session, and that were not `spared` before.
    """
    if before is None:
        return ()
    routes = {route.nexthop for route in before.static_routes if not route.bfd and not route.route_table}
    by_policy = {ip for policy in before.policies for ip in policy.nexthops if ip not in policy.bfd_sessions}
    watched = {session.dst_ip for session in before.sessions}.difference(spared)
    return tuple(sorted((routes | by_policy) - watched))
