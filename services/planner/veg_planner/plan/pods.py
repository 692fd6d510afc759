"""The pods of a gateway: which there are, and which may be a nexthop.

A pod joins when it runs, has an address on both sides, and its agent has applied a config; it leaves when it is
deleted or no longer runs. A pod that is not Ready stays: whether it forwards is BFD's to say, not the probe's.
A pod that is being deleted still forwards for a while: it is left the traffic that no other pod can take yet.
"""

from veg_contracts import addresses
from veg_contracts.base import Value
from veg_contracts.intent import Source
from veg_contracts.objects import Pod, Subnet
from veg_planner.plan.network import Network
from veg_planner.plan.notes import Notes
from veg_planner.state import AgentState, Stored
from veg_planner.world import World


class Member(Value, frozen=True, kw_only=True):
    """A pod that may serve, with its addresses by family, and what its agent has applied."""

    name: str
    uid: str
    node: str
    internal: dict[str, str]
    external: dict[str, str]
    agent: AgentState | None

    @property
    def internal_text(self) -> str:
        return ",".join(self.internal[family] for family in addresses.FAMILIES if family in self.internal)

    @property
    def external_text(self) -> str:
        return ",".join(self.external[family] for family in addresses.FAMILIES if family in self.external)

    def takes(self, source: Source) -> bool:
        """Whether the agent forwards this source (under whatever address: a change of that is made in place)."""
        return self.agent is not None and any(taken.cidr == source.cidr for taken in self.agent.sources)

    @property
    def takes_selected(self) -> bool:
        """Whether the agent forwards pods that are selected by labels."""
        return self.agent is not None and self.agent.default_snat

    def applied(self, generation: int) -> bool:
        return self.agent is not None and self.agent.generation >= generation and not self.agent.error


class Members(Value, frozen=True, kw_only=True):
    """The pods of a gateway that run and have their addresses, sorted by internal address.

    `leaving` ones are being deleted, `serving` ones are not.
    """

    serving: tuple[Member, ...] = ()
    leaving: tuple[Member, ...] = ()


def members(world: World, gateway: str, uid: str, network: Network, notes: Notes) -> Members:
    """All of them."""
    found = {True: list[Member](), False: list[Member]()}
    for stored in world.pods_of(gateway):
        if isinstance(pod := stored.object, Pod):
            # Of a pod on its way out nothing is awaited.
            member = _member(world, stored, pod, uid, network, Notes() if pod.deleting else notes)
            found[pod.deleting] += [member] if member is not None else []
    for side in found.values():
        side.sort(key=lambda member: (member.internal_text, member.uid))
    return Members(serving=tuple(found[False]), leaving=tuple(found[True]))


def subnets(world: World, gateway: str, network: Network) -> tuple[Subnet, ...]:
    """The internal subnet, and those in which pods still are that were made before it was another one.

    They serve until they are replaced, so they need their way back until then.
    """
    switches = {stored.object.logical_switch for stored in world.pods_of(gateway) if isinstance(stored.object, Pod)} - {
        "",
        network.internal.name,
    }
    found = [world.find(Subnet, name) for name in sorted(switches)]
    others = [subnet for subnet in found if subnet is not None and subnet.vpc == network.internal.vpc]
    return (network.internal, *others)


def _member(world: World, stored: Stored, pod: Pod, uid: str, network: Network, notes: Notes) -> Member | None:
    if pod.phase != "Running":
        notes.waits(
            "pods", f"waits for pod {pod.key} to run (phase {pod.phase or 'unknown'}, node {pod.node or 'none'})"
        )
        return None
    external_ips = next((item.ips for item in pod.attachments if item.network == network.attachment), ())
    internal = {family: _first(pod.ips, family) for family in network.families}
    external = {family: _first(external_ips, family) for family in network.families}
    missing = [
        f"an {side} IPv{family} address"
        for side, found in (("internal", internal), ("external", external))
        for family in network.families
        if not found[family]
    ]
    if missing:
        notes.waits("pods", f"waits for {' and '.join(missing)} of pod {pod.key}")
        return None
    agent = world.agent(stored.uid)
    if agent is not None and (agent.gateway_uid != uid or agent.pod not in ("", pod.name)):
        agent = None  # said by another pod, before this one was known
    return Member(name=pod.key, uid=stored.uid, node=pod.node, internal=internal, external=external, agent=agent)


def _first(ips: tuple[str, ...], family: str) -> str:
    return next((ip for ip in ips if addresses.of_family(ip, family)), "")
