"""Src-ip static routes that are not ours: which there are, and that none is in one ECMP group with a route of ours.

OVN makes one group of all routes of a router that agree in route table, policy and prefix, whoever wrote them. Next
hops that are not ours lose the part of the traffic that they get (docs/decisions/0013).
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from ovs.db import idl

from veg_contracts import addresses
from veg_contracts.events import RoutesObserved
from veg_contracts.intent import NbRows
from veg_contracts.names import OWNER_KEY
from veg_ovn_writer.errors import CannotApplyError, describe
from veg_ovn_writer.rows import is_owner
from veg_ovn_writer.snapshot import references
from veg_ovn_writer.tables import ROUTE
from veg_ovn_writer.tables.base import ROUTER

if TYPE_CHECKING:
    from veg_ovn_writer.replica import Replica

_SRC_IP: Final = "src-ip"
# A prefix has at most 43 characters: what is told stays below the bus's limit, and nobody's routes fill the log.
_PREFIXES_MAX: Final = 4096


class Group(NamedTuple):
    """What routes of one router agree in that form one ECMP group, all of them by source."""

    route_table: str
    prefix: str


def group_of(row: idl.Row) -> Group | None:
    """The group of a src-ip route that is not ours; None of any other one.

    One with our key and no name of a gateway is nobody's that we know: no command of ours will ever take it away.
    """
    prefix = _masked(row.ip_prefix) if row.policy == [_SRC_IP] else ""
    return Group(row.route_table, prefix) if prefix and not is_owner(row.external_ids.get(OWNER_KEY, "")) else None


def read(replica: "Replica") -> dict[str, RoutesObserved]:
    """For each router that has any, by its name, the prefixes in its main table."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for router in replica.tables[ROUTER].rows.values() if replica.strange else ():
        for _, group in _on(replica, router):
            if not group.route_table:
                found[router.name].add(group.prefix)
    return {router: _observed(router, sorted(prefixes)) for router, prefixes in found.items()}


def check(replica: "Replica", router: idl.Row, rows: NbRows) -> None:
    """Refuse rows that would share the traffic of a prefix with a route that is not ours.

    Rows without such a route pass: they are what takes ours out of a group.

    Raises:
        CannotApplyError: it names both routes.
    """
    ours = {
        Group(route.route_table, _masked(route.ip_prefix)): route
        for route in reversed(rows.static_routes)  # so that the first of a group is the one that is named
        if route.policy == _SRC_IP
    }
    for row, group in _on(replica, router) if ours and replica.strange else ():
        if (route := ours.get(group)) is not None:
            raise CannotApplyError(
                f"{ROUTE.name} {route.ip_prefix} -> {route.nexthop} of router {router.name} would be in one ECMP group "
                f"with {row.ip_prefix} -> {row.nexthop}, which is not ours; {describe(row.external_ids)}. "
                f"A part of the traffic would go there. Take the policy form for this source, or remove that route"
            )


def _on(replica: "Replica", router: idl.Row) -> Iterator[tuple[idl.Row, Group]]:
    rows = replica.tables[ROUTE.name].rows
    for uuid in references(router, ROUTE.parent_column):
        group = replica.strange.get(uuid)
        if group is not None and uuid in rows:
            yield rows[uuid], group


def _observed(router: str, prefixes: list[str]) -> RoutesObserved:
    told = tuple(prefixes[:_PREFIXES_MAX])
    return RoutesObserved(router=router, prefixes=told, left_out=len(prefixes) - len(told))


def _masked(prefix: str) -> str:
    """Empty where it is none: OVN makes no route of that."""
    try:
        return addresses.masked(prefix)
    except ValueError:
        return ""
