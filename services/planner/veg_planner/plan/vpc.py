"""The BFD port of a Vpc: its router port in OVN, the chassis that may run it, and `status.bfdPort`.

A port that somebody else has made is left alone: what it is, its maker says in `status.bfdPort`. It gets a stub peer of
ours while a gateway uses it: without one, an OVN that lacks Kube-OVN's patch runs no session on it.
"""

import re
from typing import Final

import msgspec

from veg_contracts import addresses, names
from veg_contracts.intent import BfdRouterPort, Intent, NbRows, Part, VpcBfdStatus
from veg_contracts.objects import BfdPort, Node, Vpc
from veg_planner.plan import bfd_relay, silence
from veg_planner.plan.contest import refused
from veg_planner.plan.draft import Draft, Plan
from veg_planner.plan.notes import Notes
from veg_planner.plan.subject import living
from veg_planner.selectors import matches
from veg_planner.spec import Selector, Spec, vpc_of
from veg_planner.state import BFD_PORT, FOREIGN, OURS
from veg_planner.world import World

# The document: without a nodeSelector at most three nodes.
_NODES_MAX: Final = 3


def plan_vpc(world: World, name: str) -> Plan:
    """What the BFD port of this Vpc should look like now, and why."""
    notes = Notes()
    stored, last = world.stored(Vpc.KIND, name), world.intent(name)
    vpc = stored.object if stored is not None and isinstance(stored.object, Vpc) else None
    uid = stored.uid if stored is not None else last.gateway_uid if last is not None else ""
    before = last if last is not None and last.gateway_uid == uid else None
    port = vpc.bfd_port if vpc is not None and not vpc.deleting else None
    state = world.part(name, Part.NB)
    ours = state is not None and state.gateway_uid == uid and state.whose.get(BFD_PORT) == OURS
    managed = world.settings.manage_bfd_ports or (port is not None and port.annotated)
    if vpc is not None and port is not None and not managed and (port.enabled or not ours):
        return _peer(world, vpc, uid, before if ours else None, notes)
    if vpc is None or port is None or not port.enabled:
        notes.done("bfd port", "none is wanted")
        gone = VpcBfdStatus() if vpc is not None and before is not None and before.vpc_status is not None else None
        return Plan(draft=Draft(gateway=name, gateway_uid=uid, nb=NbRows(), vpc_status=gone), steps=notes.steps)
    found, chosen = networks(port, notes), selector(port, notes)
    if not found or not vpc.router or notes.of("refused"):
        if not vpc.router:
            notes.waits("bfd port", f'waits for the logical router of Vpc "{name}"')
        return _kept(name, uid, before, notes)
    nodes = _nodes(world, chosen if port.node_selector is not None else None, before)
    if not nodes:
        notes.waits("bfd port", "no node that is Ready and has an OVN chassis is selected: no session can run")
    rows = _rows(name, vpc.router, found, silence.members(world, nodes, before, notes))
    relayed = bfd_relay.networks(
        world, name, found, before.nb if before is not None else None, theirs=False, notes=notes
    )
    rows = bfd_relay.attach(rows, vpc.router, name, relayed)
    wanted = VpcBfdStatus(name=names.bfd_port(name), ip=",".join(found), nodes=tuple(node.name for node in nodes))
    status = _status(world, before, rows, wanted, notes)
    return Plan(draft=Draft(gateway=name, gateway_uid=uid, nb=rows, vpc_status=status), steps=notes.steps)


def _rows(name: str, router: str, ips: tuple[str, ...], chassis: tuple[str, ...]) -> NbRows:
    port = BfdRouterPort(name=names.bfd_port(name), mac=names.bfd_port_mac(name), networks=ips, chassis=chassis)
    return NbRows(router=router, bfd_port=port)


def _peer(world: World, vpc: Vpc, uid: str, made: Intent | None, notes: Notes) -> Plan:
    """A port that Kube-OVN makes: all that is ours is its stub peer, once it is there and somebody uses it.

    `made`: the router port is ours. It stays until Kube-OVN has it in the Vpc's status, and is handed over then, used
    or not: if it went, nobody would make it again.
    """
    port, name = vpc.bfd_port, names.bfd_port(vpc.name)
    if made is not None and (port is None or port.status_name != name):
        notes.waits("bfd port", f"waits for Kube-OVN to take router port {name} over (status.bfdPort)")
        return Plan(draft=Draft(gateway=vpc.name, gateway_uid=uid, nb=made.nb), steps=notes.steps)
    used = made is not None or any(_uses(world, gateway, vpc.name) for gateway in world.gateways())
    if not used or port is None or port.status_name != name:
        notes.done("bfd port", "it is Kube-OVN's to make (VEG_MANAGE_BFD_PORTS)")
        return Plan(draft=Draft(gateway=vpc.name, gateway_uid=uid, nb=NbRows()), steps=notes.steps)
    notes.done("bfd port", f"router port {name} is Kube-OVN's: it gets a stub peer, and is used as it is")
    peer = BfdRouterPort(name=name, mac="", networks=(), chassis=(), peer_only=True)
    before = last.nb if (last := world.intent(vpc.name)) is not None and last.gateway_uid == uid else None
    ips = addresses.split(port.status_ip)
    relayed = bfd_relay.networks(world, vpc.name, ips, before, theirs=True, notes=notes)
    rows = bfd_relay.attach(NbRows(bfd_port=peer), vpc.router, vpc.name, relayed)  # a switch hangs on no router
    return Plan(draft=Draft(gateway=vpc.name, gateway_uid=uid, nb=rows), steps=notes.steps)


def _uses(world: World, gateway: str, vpc: str) -> bool:
    """Whether it has BFD in that Vpc, by its spec or by what it goes on from while that cannot be acted on."""
    spec, basis = world.spec(gateway), world.basis(gateway)
    asks = isinstance(spec, Spec) and spec.bfd.enabled and vpc_of(spec, world.settings) == vpc
    subject = living(world, gateway)
    asks = asks and subject is not None and not refused(world, subject)
    return asks or (basis is not None and basis.spec.bfd.enabled and basis.network.vpc == vpc)


def _kept(name: str, uid: str, before: Intent | None, notes: Notes) -> Plan:
    """Nothing can be planned: what there was stays as it was."""
    draft = Draft(
        gateway=name,
        gateway_uid=uid,
        nb=before.nb if before is not None else None,
        vpc_status=before.vpc_status if before is not None else None,
    )
    return Plan(draft=draft, steps=notes.steps)


def _status(
    world: World, before: Intent | None, rows: NbRows, wanted: VpcBfdStatus, notes: Notes
) -> VpcBfdStatus | None:
    """It is written when the port is there, in one write; never when the port is another one's."""
    state = world.part(wanted.name.partition("@")[2], Part.NB)
    known = before.vpc_status if before is not None else None
    if before is None or before.nb != rows or state is None or state.state != "applied":
        notes.waits("bfd port", f"waits for router port {wanted.name} to be written to OVN")
        return known
    if state.whose.get(BFD_PORT) == FOREIGN:
        notes.done("bfd port", f"router port {wanted.name} is there and not ours: it is used as it is")
        return None
    return wanted


def networks(port: BfdPort, notes: Notes) -> tuple[str, ...]:
    """The addresses of the port, IPv4 first."""
    field, text = f"annotation {names.ANNOTATION_BFD_PORT}" if port.annotated else "spec.bfdPort.ip", port.ip
    try:
        found = addresses.families(text)
    except ValueError:
        found = ()
    if not found or "/" in text:
        notes.refused("bfd port", f'{field}: {text!r}: an address "v4", "v6" or "v4,v6" is needed')
        return ()
    return tuple(addresses.of_family(text, family) for family in addresses.FAMILIES if family in found)


def selector(port: BfdPort, notes: Notes) -> Selector:
    try:
        return msgspec.convert(port.node_selector or {}, Selector)
    except msgspec.ValidationError as error:
        if port.annotated:
            value = (port.node_selector or {}).get("matchLabels")
            text = f'annotation {names.ANNOTATION_BFD_PORT_NODES}: {value!r}: "key=value,key=value" is needed'
        else:
            reason = re.sub(r" - at `\$(.*)`", r" at spec.bfdPort.nodeSelector\1", str(error))
            text = f"spec.bfdPort.nodeSelector: {port.node_selector!r}: {reason}"
        notes.refused("bfd port", text)
        return Selector()


def _nodes(world: World, chosen: Selector | None, before: Intent | None) -> list[Node]:
    """The Ready nodes that may run the port: all that are selected, or three, and those that ran it before stay."""
    nodes = {stored.object.name: stored.object for stored in world.objects(Node.KIND)}
    able = {
        name: node
        for name, node in nodes.items()
        if isinstance(node, Node) and node.ready and node.chassis and matches(chosen, node.labels)
    }
    status = before.vpc_status if before is not None else None
    kept = [name for name in status.nodes if name in able] if status is not None else []
    order = [*kept, *sorted(able.keys() - set(kept))]
    return [able[name] for name in (order if chosen is not None else order[:_NODES_MAX])]
