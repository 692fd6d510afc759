"""Who should be in each gateway's port group, as the last command said. Pure.

Nothing here outlives the process: a writer that starts refuses changes until it is sent the whole.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from veg_contracts.commands import ChangeMembers, EnsureMembers, EnsureNb


@dataclass(slots=True)
class Membership:
    """The ports, by name, that should be in a gateway's group at a generation.

    `due` are those among them that came or went since they were last put into the group: a port that somebody deletes
    and makes again has left its groups, and must be put into ours once more.
    """

    gateway: str
    gateway_uid: str
    generation: int
    port_group: str
    ports: set[str]
    due: set[str] = field(default_factory=set)


class Roster:
    """The membership of each port group. A group is of one gateway, and a gateway may have several."""

    def __init__(self) -> None:
        self._memberships: dict[str, Membership] = {}  # by port group
        self._wanted_by: defaultdict[str, set[str]] = defaultdict(set)  # by port, so that one port costs one look

    def all(self) -> list[Membership]:
        return [self._memberships[group] for group in sorted(self._memberships)]

    def of(self, gateways: Iterable[str]) -> list[Membership]:
        wanted = set(gateways)
        return [membership for membership in self.all() if membership.gateway in wanted]

    def known(self, order: ChangeMembers) -> int:
        """The generation that is known of the membership that a change speaks of; 0: none."""
        found = self._memberships.get(order.port_group)
        same = found is not None and (found.gateway, found.gateway_uid) == (order.gateway, order.gateway_uid)
        return found.generation if found is not None and same else 0

    def follows(self, order: ChangeMembers) -> bool:
        """Whether a change builds on what is known. The same change again does: it changes nothing."""
        return self.known(order) in (order.base, order.generation) and order.base > 0

    def replace(self, order: EnsureMembers) -> None:
        """The membership is now this."""
        self._drop(order.port_group)
        self._memberships[order.port_group] = Membership(
            order.gateway, order.gateway_uid, order.generation, order.port_group, set(order.ports)
        )
        for port in order.ports:
            self._wanted_by[port].add(order.port_group)

    def change(self, order: ChangeMembers) -> None:
        """The membership is now the one known, changed like this."""
        membership = self._memberships[order.port_group]
        membership.generation = order.generation
        for port in order.removed:
            membership.ports.discard(port)
            membership.due.discard(port)
            self._want_no_more(port, order.port_group)
        for port in order.added:
            membership.ports.add(port)
            self._wanted_by[port].add(order.port_group)

    def keep(self, order: EnsureNb) -> None:
        """Forget the memberships of groups that the gateway no longer owns."""
        for found in self.of([order.gateway]):
            if found.gateway_uid != order.gateway_uid or found.port_group not in order.rows.port_groups:
                self._drop(found.port_group)

    def touch(self, ports: Iterable[str]) -> None:
        """These ports came or went."""
        for port in ports:
            for group in self._wanted_by.get(port, ()):
                self._memberships[group].due.add(port)

    def due(self) -> list[Membership]:
        """The memberships that some ports may have to be put into once more."""
        return [membership for membership in self.all() if membership.due]

    def settle(self) -> None:
        """All due ports that exist are in their groups now; those that do not will be touched when they come."""
        for membership in self._memberships.values():
            membership.due.clear()

    def _drop(self, group: str) -> None:
        found = self._memberships.pop(group, None)
        for port in found.ports if found is not None else ():
            self._want_no_more(port, group)

    def _want_no_more(self, port: str, group: str) -> None:
        self._wanted_by[port].discard(group)
        if not self._wanted_by[port]:
            del self._wanted_by[port]
