"""What somebody else changed of our rows, how often lately, and in which tables: it is written again each time.

Time enters as the time of the event. What is kept does not depend on the order in which events of one time came.
"""

from collections import Counter
from typing import Any, Final

from veg_contracts.events import MembersObserved, RowsObserved, Ticked
from veg_contracts.intent import BfdRelay, NbRows
from veg_planner.state import Repairs
from veg_planner.times import later
from veg_planner.world import REPAIRS, World, is_gateway

# Table -> the field of `NbRows` that has its rows. Who is in a port group comes by an event of its own.
_TABLES: Final = {
    "Logical_Router_Policy": "policies",
    "Logical_Router_Static_Route": "static_routes",
    "Port_Group": "port_groups",
    "BFD": "sessions",
}
# What the BFD port of a Vpc is made of, by what others are known to remove: its stub switch, its relay, or the rest.
_PEER: Final = "Logical_Switch"
_RELAY: Final = "Logical_Router"
_PORT: Final = "Logical_Router_Port"
MEMBERS: Final = "Port_Group.ports"


def rows(world: World, event: RowsObserved, at: str) -> list[str]:
    """Take in which rows somebody else changed; the subjects whose status that may change."""
    intent = world.intent(event.gateway)
    if intent is None or event.reason != "drift":
        return []
    wanted = (intent.nb,) if intent.nb is not None and not intent.nb.empty else ()
    if event.after == wanted:
        return []  # whoever it was has put it right
    return _add(world, event.gateway, _differing(wanted if event.before is None else event.before, event.after), at)


def members(world: World, event: MembersObserved, at: str) -> list[str]:
    """Take in that somebody else changed who is in a port group."""
    return _add(world, event.gateway, [MEMBERS], at) if world.intent(event.gateway) is not None else []


def ticked(world: World, event: Ticked) -> list[str]:
    """Forget what is so long ago that it counts no more, where the status counts it."""
    touched = []
    for subject in world.overdue_repairs(event.at):
        _put(world, subject, _lately(world.repairs(subject), event.at))
        touched += _concerned(world, subject)
    return touched


def _add(world: World, subject: str, tables: list[str], at: str) -> list[str]:
    if not tables:
        return []
    known = world.repairs(subject).times
    times = known | {table: tuple(sorted({*known.get(table, ()), at})) for table in tables}
    newest = max(found[-1] for found in times.values())
    _put(world, subject, _lately(Repairs(times=times), newest))
    return _concerned(world, subject)


def _lately(known: Repairs, now: str) -> Repairs:
    since = later(now, -Repairs.WINDOW_S)
    lately = {
        table: tuple(at for at in times if at > since)[-Repairs.KEPT_MAX :] for table, times in known.times.items()
    }
    return Repairs(times={table: lately[table] for table in sorted(lately) if lately[table]})


def _put(world: World, subject: str, new: Repairs) -> None:
    if new.times:
        world.put(REPAIRS, subject, new)
    else:
        world.remove(REPAIRS, subject)


def _concerned(world: World, subject: str) -> list[str]:
    """Gateways say it of the BFD port of their Vpc, too."""
    return [subject] if is_gateway(subject) else [subject, *world.gateways()]


def _differing(before: tuple[NbRows, ...], after: tuple[NbRows, ...]) -> list[str]:
    found = [table for table, field in _TABLES.items() if _rows(before, field) != _rows(after, field)]
    if _rows(before, "bfd_port") != _rows(after, "bfd_port"):
        found += _of_bfd_port(before, after)
    return found


def _of_bfd_port(before: tuple[NbRows, ...], after: tuple[NbRows, ...]) -> list[str]:
    peer = _peered(before) and not _peered(after)
    relay = _relays(before) != _relays(after)
    port = _router_ports(before) != _router_ports(after) or not (peer or relay)
    return [table for table, differs in ((_PORT, port), (_PEER, peer), (_RELAY, relay)) if differs]


def _peered(found: tuple[NbRows, ...]) -> bool:
    return any(rows.bfd_port is not None and rows.bfd_port.peered for rows in found)


def _relays(found: tuple[NbRows, ...]) -> list[BfdRelay | None]:
    return [rows.bfd_port.relay for rows in found if rows.bfd_port is not None and rows.bfd_port.relay is not None]


def _router_ports(found: tuple[NbRows, ...]) -> list[Any]:
    ports = ((rows.router, rows.bfd_port) for rows in found)
    return [(router, port.mac, port.networks, port.chassis) for router, port in ports if port and not port.peer_only]


def _rows(found: tuple[NbRows, ...], field: str) -> Counter[tuple[str, Any]]:
    """The rows, each with its router, as often as they are there."""
    lists = ((each.router, getattr(each, field)) for each in found)
    return Counter(
        (router, row) for router, value in lists for row in (value if isinstance(value, tuple) else [value]) if row
    )
