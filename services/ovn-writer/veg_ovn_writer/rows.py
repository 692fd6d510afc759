"""The canonical form of a gateway's rows: what was found and what is wanted are equal exactly when nothing differs."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, TypeAlias

import msgspec

from veg_contracts.intent import BfdRouterPort, NbRows
from veg_ovn_writer import spares
from veg_ovn_writer.tables import POLICY, TABLES
from veg_ovn_writer.tables.base import FoundRow

Found: TypeAlias = Mapping[str, tuple[FoundRow, ...]]  # the rows of one gateway, by the name of their table
# The same as values: one NbRows for each router that has any, by its name. Rows of root tables hang on no router. They
# stand in the first value, so that there is one value when nothing is wrong; without any router, in one of router "".
Observed: TypeAlias = tuple[NbRows, ...]

# A Kubernetes namespace and name, or a name (RFC 1123 label, subdomain). No owner of another form was ever written.
_OWNER: Final = re.compile(r"([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?/)?[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?")


def is_owner(name: str) -> bool:
    """Whether it is `namespace/name` of a gateway, or the name of a Vpc, that can exist."""
    return _OWNER.fullmatch(name) is not None


def canonical(rows: NbRows) -> NbRows:
    """The same rows, sorted and in the one form of each value."""
    fields: dict[str, Any] = {}
    for table in TABLES:
        values = {table.canonical(value) for value in getattr(rows, table.field)}
        fields[table.field] = tuple(sorted(values, key=table.sort_key))
    return NbRows(router=rows.router, bfd_port=rows.bfd_port, **fields)


def fit(rows: NbRows, lacking: Mapping[str, frozenset[str]]) -> NbRows:
    """The rows as far as a schema can hold them that lacks these optional columns, by the name of their table."""
    fields: dict[str, Any] = {}
    for table in TABLES:
        gaps = lacking.get(table.name, frozenset())
        fields[table.field] = tuple(table.without(value, gaps) for value in getattr(rows, table.field))
    return NbRows(router=rows.router, bfd_port=rows.bfd_port, **fields)


def without_sessions(rows: NbRows, ports: Collection[str]) -> NbRows:
    """The same rows without the BFD sessions of these router ports, and without references to them."""
    gone = {session.dst_ip for session in rows.sessions if session.logical_port in ports}
    if not gone:
        return rows
    return msgspec.structs.replace(
        rows,
        sessions=tuple(session for session in rows.sessions if session.dst_ip not in gone),
        policies=tuple(
            msgspec.structs.replace(policy, bfd_sessions=tuple(ip for ip in policy.bfd_sessions if ip not in gone))
            for policy in rows.policies
        ),
        static_routes=tuple(
            msgspec.structs.replace(route, bfd="" if route.bfd in gone else route.bfd) for route in rows.static_routes
        ),
    )


def wanted(rows: NbRows) -> Observed:
    """What will be observed once these rows, and no others, are there."""
    if rows.empty:
        return ()
    on_router = rows.bfd_port is not None and not rows.bfd_port.peer_only
    on_router = on_router or any(getattr(rows, table.field) for table in TABLES if table.parent_column)
    return (canonical(rows if on_router else msgspec.structs.replace(rows, router="")),)


def observed(found: Found) -> Observed:
    """The rows of one gateway as values. A row that hangs on two routers is seen on both."""
    routers: defaultdict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for table in sorted(TABLES, key=lambda table: not table.parent_column):  # root tables last: they need the routers
        for row in found.get(table.name, ()):
            below = row.routers if table.parent_column else (min(routers, default=""),)
            for router in below:
                routers[router][table.field].append(table.from_columns(row.columns))
    return tuple(_below(router, routers[router]) for router in sorted(routers))


def with_bfd_port(found: Observed, router: str, port: BfdRouterPort) -> Observed:
    """The rows of a Vpc with its BFD port: beside what hangs on the port's router, or first where it hangs on none."""
    for index, rows in enumerate(found):
        if router in (rows.router, ""):
            return (*found[:index], msgspec.structs.replace(rows, bfd_port=port), *found[index + 1 :])
    return (*found, NbRows(router=router, bfd_port=port))


def _below(router: str, fields: Mapping[str, Iterable[Any]]) -> NbRows:
    """Sorted like `canonical`, but with every copy: a row that is there twice is a difference."""
    sorted_fields: dict[str, Any] = {}
    for table in TABLES:
        values = [table.canonical(value) for value in fields.get(table.field, ())]
        if table is POLICY:
            values = spares.fold(values)
        sorted_fields[table.field] = tuple(sorted(values, key=table.sort_key))
    return NbRows(router=router, **sorted_fields)
