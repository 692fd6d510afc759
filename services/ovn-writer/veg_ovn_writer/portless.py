"""BFD rows that name a router port which ovn-northd does not know: it dies of them.

With one in the database OVN 25.03's northd ends by a fault, again at each start, until the row is gone, and meanwhile
nothing in the cluster changes (seen; docs/decisions/0009).
Northd knows a router port by its name if it is on a router that is enabled and has a MAC address. So no transaction of
ours leaves such a row behind, and those of ours that somebody else makes by taking the port away are removed. A row of
somebody else is not touched. What refers to a row that goes does so weakly: OVSDB takes the reference out, and the
route or policy stays. Runs in the connection's thread.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from ovs.db import idl

from veg_contracts.intent import NbRows
from veg_contracts.names import OWNER_KEY
from veg_ovn_writer.errors import CannotApplyError, describe
from veg_ovn_writer.replica import ENABLED, ROUTER_PORT, Replica
from veg_ovn_writer.rows import is_owner
from veg_ovn_writer.snapshot import references
from veg_ovn_writer.tables import BFD
from veg_ovn_writer.tables.base import EXTERNAL_IDS, ROUTER
from veg_ovn_writer.tables.port_group import PORTS

_MAC: Final = re.compile(r"[0-9A-Fa-f]{1,2}(:[0-9A-Fa-f]{1,2}){5}")
_NAMED_MAX: Final = 10
_DIES: Final = "ovn-northd would die of it"


@dataclass(frozen=True, slots=True)
class Found:
    """The rows without a port, each as text: those of ours, removed, and those of others."""

    removed: tuple[str, ...]
    others: tuple[str, ...]


def remove(replica: Replica, _: idl.Transaction) -> Found:
    """Remove the rows of ours without a port, and have `nb_cfg` counted up if there are any.

    Raises:
        NotNowError: the database is not set up yet.
    """
    rows = list(replica.tables[BFD.name].rows.values()) if replica.has(BFD) else []
    unknown = why_not(replica, {row.logical_port for row in rows})
    removed, others = [], []
    for row in rows:
        if row.logical_port not in unknown:
            continue
        text = f"{row.logical_port} with {row.dst_ip}: the port {unknown[row.logical_port]}"
        if _is_ours(row):
            _delete(row)
            removed.append(text)
        else:
            others.append(text)
    if removed:
        replica.nb_global().increment("nb_cfg")
    return Found(tuple(sorted(removed)), tuple(sorted(others)))


def why_not(replica: Replica, names: Collection[str]) -> dict[str, str]:
    """Those of the names by which northd knows no router port, each with what is wrong with it.

    Within a transaction: as it leaves the database.
    """
    named: defaultdict[str, list[idl.Row]] = defaultdict(list)
    for row in (*_known(replica, names), *_new(replica)):
        named[row.name].append(row)
    placed = _placed(replica, {row.uuid for name in names for row in named[name]})
    reasons = {name: _why_not(named[name], placed) for name in names}
    return {name: reason for name, reason in reasons.items() if reason}


def _why_not(ports: Iterable[idl.Row], placed: dict[UUID, bool]) -> str:
    there = [port for port in ports if port.uuid in placed]
    if not there:
        return "does not exist"
    if not any(placed[port.uuid] for port in there):
        return "is on a router that is disabled"
    if not any(is_mac(port.mac) for port in there):
        return f"has no MAC address that OVN can read: {there[0].mac!r}"
    return ""


def is_mac(text: str) -> bool:
    """Whether OVN can read it: northd leaves out a router port whose MAC address it cannot."""
    return _MAC.fullmatch(text) is not None


def _known(replica: Replica, names: Iterable[str]) -> Iterator[idl.Row]:
    return (row for name in names if (row := replica.named(ROUTER_PORT, name)) is not None)


def _new(replica: Replica) -> list[idl.Row]:
    """The router ports that the transaction at hand makes."""
    rows = replica.txn._txn_rows.values() if replica.txn is not None else ()  # noqa: SLF001  # no public way to them
    return [row for row in rows if row._table.name == ROUTER_PORT and row._data is None]  # noqa: SLF001


def _placed(replica: Replica, ports: Collection[UUID]) -> dict[UUID, bool]:
    """Those of the ports that are on a router, and whether on one that is enabled. One on no router is none."""
    found: dict[UUID, bool] = {}
    for router in replica.tables[ROUTER].rows.values() if ports else ():
        for uuid in _ports(router).intersection(ports):
            found[uuid] = found.get(uuid, False) or (getattr(router, ENABLED, None) or [True]) == [True]
    return found


def _ports(router: idl.Row) -> set[UUID]:
    if router._data is None or router._changes or router._mutations:  # noqa: SLF001  # what a transaction makes of it
        return {port.uuid for port in getattr(router, PORTS, None) or ()}
    return set(references(router, PORTS))


def left_out(replica: Replica, rows: NbRows) -> dict[str, str]:
    """The ports of wanted sessions that are not there and that these rows do not make, each with the reason."""
    port = rows.bfd_port
    made = {port.name} if port is not None and not port.peer_only else set()
    made |= {port.relay.name} if port is not None and port.relay is not None else set()
    return why_not(replica, {session.logical_port for session in rows.sessions} - made)


def message(rows: NbRows, unknown: dict[str, str]) -> str:
    """What is told of these rows, whose sessions of unknown ports are not written."""
    return "; ".join(_unwritten(rows, port, unknown[port]) for port in sorted(unknown))


def _unwritten(rows: NbRows, port: str, reason: str) -> str:
    peers = sorted({session.dst_ip for session in rows.sessions if session.logical_port == port})
    shown = ", ".join(peers[:_NAMED_MAX]) + (f" and {more} more" if (more := len(peers) - _NAMED_MAX) > 0 else "")
    what = f"BFD session with {shown} is" if len(peers) == 1 else f"BFD sessions with {shown} are"
    return f'router port "{port}" {reason}: the {what} not written ({_DIES})'


def ports_of(replica: Replica, owner: str) -> set[str]:
    """The router ports of this owner, by name, that northd knows."""
    rows = replica.tables[ROUTER_PORT].rows
    names = {rows[uuid].name for uuid, whose in replica.owned[ROUTER_PORT].items() if whose == owner and uuid in rows}
    return names - why_not(replica, names).keys()


def settle(replica: Replica, txn: idl.Transaction, rows: NbRows, before: Collection[str], *, written: bool) -> None:
    """Have the transaction leave no BFD row behind without its port: the last thing that is asked of it.

    `before` are the ports that it may take away: sessions of ours go along, also those of other owners. `written`: it
    writes sessions, whose ports must still be there when the server looks, as our copy may be a moment behind.

    Raises:
        CannotApplyError: it makes a session without a port, or takes away the port of somebody else's session.
    """
    wanted = {session.logical_port for session in rows.sessions}
    if unknown := why_not(replica, wanted):
        raise CannotApplyError(message(rows, unknown))
    for port in sorted(why_not(replica, before)):
        _take_along(replica, port)
        # Nor may somebody have made another one by now. This is looked at when all of ours are gone.
        txn.add_op(_expect(BFD.name, "logical_port", port, []))
    for port in sorted(wanted) if written else ():
        txn.add_op(_expect(ROUTER_PORT, "name", port, [{"name": port}]))


def _take_along(replica: Replica, port: str) -> None:
    for row in list(replica.tables[BFD.name].rows.values()) if replica.has(BFD) else ():
        if row.logical_port != port:
            continue
        if not _is_ours(row):
            raise CannotApplyError(
                f'router port "{port}" is not removed: a BFD session with {row.dst_ip} is on it ({_DIES}); '
                f"{describe(row.external_ids)}. Remove that session first: ovn-nbctl destroy {BFD.name} {row.uuid}"
            )
        _delete(row)


def _is_ours(row: idl.Row) -> bool:
    return is_owner(row.external_ids.get(OWNER_KEY, ""))


def _delete(row: idl.Row) -> None:
    for column in (EXTERNAL_IDS, "logical_port"):
        row.verify(column)  # our copy may be a moment behind: what lost our key by now is not ours
    row.delete()


def _expect(table: str, column: str, value: str, rows: list[dict[str, str]]) -> dict[str, object]:
    """Refuse the transaction unless these rows have that value. `Row.verify` is for rows that are written."""
    return {
        "op": "wait",
        "timeout": 0,
        "table": table,
        "where": [[column, "==", value]],
        "columns": [column],
        "until": "==",
        "rows": rows,
    }
