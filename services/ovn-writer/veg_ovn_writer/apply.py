"""Carrying out operations inside a transaction. Runs in the connection's thread."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, assert_never
from uuid import UUID

from ovs.db import data, error, idl

from veg_contracts.intent import NbRows
from veg_contracts.names import OWNER_KEY
from veg_ovn_writer import bfd_port, groups, portless, snapshot, strange
from veg_ovn_writer.differ import AmbiguousRowsError, Delete, Detach, Insert, Operation, Update, diff
from veg_ovn_writer.errors import CannotApplyError, taken
from veg_ovn_writer.replica import Replica
from veg_ovn_writer.rows import fit, without_sessions
from veg_ovn_writer.tables import BFD, PORT_GROUP, TABLES
from veg_ovn_writer.tables.base import EXTERNAL_IDS, ROUTER, Columns, Table


@dataclass(frozen=True, slots=True)
class Counts:
    """How many rows a command changed, whose the BFD port is, and the addresses of its relay, joined by commas.

    The last two are empty where none is wanted.
    """

    inserted: int = 0
    updated: int = 0
    removed: int = 0
    bfd_port: str = ""
    bfd_relay: str = ""


@dataclass(frozen=True, slots=True)
class Ensured:
    """What a command came to: the rows as they are now, and why sessions are not among them; empty where all are.

    An older schema may lack an optional column, too. `lacking` are the router ports of those sessions.
    """

    counts: Counts
    rows: NbRows
    lacking: frozenset[str] = frozenset()
    message: str = ""


def ensure(replica: Replica, txn: idl.Transaction, gateway: str, rows: NbRows) -> Ensured:
    """Make the rows of `gateway` exactly `rows`, and have `nb_cfg` counted up if that changes anything.

    A session whose router port is not there is left out, with what refers to it (see `portless`).

    Raises:
        CannotApplyError: a router, table or column is not there, a value does not fit its column, or another one's row
            is in the way.
        NotNowError: the database is not set up yet.
    """
    found = snapshot.read(replica, gateway).get(gateway, {})
    rows = fit(rows, replica.lacking)
    if bfd_port.is_others(replica, gateway, rows.bfd_port):
        rows = NbRows(router=rows.router, bfd_port=rows.bfd_port)  # what leads to a relay of ours would lead nowhere
    unknown = portless.left_out(replica, rows)
    message, rows = portless.message(rows, unknown), without_sessions(rows, unknown)
    ports = portless.ports_of(replica, gateway)
    try:
        operations = diff(gateway, rows, found)
    except AmbiguousRowsError as ambiguous:
        raise CannotApplyError(str(ambiguous)) from ambiguous
    for table in TABLES:
        if getattr(rows, table.field):
            replica.check_schema(table)
            if table.parent_column:
                _router(replica, rows.router)
    if rows.static_routes:
        strange.check(replica, _router(replica, rows.router), rows)
    sessions = _sessions(replica, gateway, rows)
    for operation in operations:
        _carry_out(replica, txn, _Owner(gateway, sessions), operation)
    on_router = rows.bfd_port is not None and not rows.bfd_port.peer_only
    router = _router(replica, rows.router) if on_router else None
    whose = bfd_port.ensure(replica, txn, gateway, router, rows.bfd_port)
    portless.settle(replica, txn, rows, ports, written=any(_writes_session(operation) for operation in operations))
    # OVSDB carries this out on the server, together with the rows and only if there are any: two writers of nb_cfg
    # never get the same number, and the number confirms these very rows.
    replica.nb_global().increment("nb_cfg")
    relay = rows.bfd_port.relay if rows.bfd_port is not None and whose != bfd_port.FOREIGN else None
    relayed = ",".join(relay.networks) if relay is not None else ""
    counts = dataclasses.replace(_count(operations), bfd_port=whose, bfd_relay=relayed)
    return Ensured(counts, rows, frozenset(unknown), message)


def _writes_session(operation: Operation) -> bool:
    return isinstance(operation, Insert | Update) and operation.table is BFD


@dataclass(frozen=True, slots=True)
class _Owner:
    """Whose rows are written, and their BFD sessions by peer, those that this transaction makes too."""

    gateway: str
    sessions: dict[str, UUID]


def _sessions(replica: Replica, gateway: str, rows: NbRows) -> dict[str, UUID]:
    """The rows of wanted sessions that are there already.

    Raises:
        CannotApplyError: one of them is not this gateway's; a pair of port and peer can exist only once.
    """
    found = {}
    for session in rows.sessions:
        row = replica.session(session.logical_port, session.dst_ip)
        if row is None:
            continue
        if row.external_ids.get(OWNER_KEY) != gateway:
            what = f"session of {row.logical_port} with {row.dst_ip}"
            raise taken(BFD.name, what, str(row.uuid), row.external_ids, gateway)
        found[session.dst_ip] = row.uuid
    return found


def _count(operations: Iterable[Operation]) -> Counts:
    kinds = [type(operation) for operation in operations]
    return Counts(
        inserted=kinds.count(Insert), updated=kinds.count(Update), removed=kinds.count(Detach) + kinds.count(Delete)
    )


def _carry_out(replica: Replica, txn: idl.Transaction, owner: _Owner, operation: Operation) -> None:
    match operation:
        case Insert(table, _, columns) if table is PORT_GROUP:
            _write(groups.make(replica, txn, columns["name"], owner.gateway), table, columns, owner)
        case Insert(table, _, columns) if not table.parent_column:
            row = txn.insert(replica.tables[table.name])
            _write(row, table, columns, owner)
            owner.sessions[columns["dst_ip"]] = row.uuid
        case Insert(table, router_name, columns):
            router = _router(replica, router_name)
            router.verify("name")  # else a router that goes at this moment would take the row along, unnoticed
            row = txn.insert(replica.tables[table.name])
            _write(row, table, columns, owner)
            router.addvalue(table.parent_column, row.uuid)
        case Update(table, uuid, columns):
            row = _still_ours(replica, table, uuid)
            for column in columns:
                row.verify(column)
            _write(row, table, columns, owner)
        case Detach(table, uuid, routers):
            _still_ours(replica, table, uuid)
            for name in routers:
                for router in replica.routers_named(name):
                    router.delvalue(table.parent_column, uuid)
        case Delete(table, uuid):
            _still_ours(replica, table, uuid).delete()
        case _:
            assert_never(operation)


def _still_ours(replica: Replica, table: Table[Any], uuid: UUID) -> idl.Row:
    """The row, to be changed only if it has its external_ids when the server looks: our copy may be a moment behind."""
    row = replica.tables[table.name].rows[uuid]
    row.verify(EXTERNAL_IDS)
    return row


def _router(replica: Replica, name: str) -> idl.Row:
    routers = replica.routers_named(name)
    if len(routers) != 1:
        # The schema lets names repeat; to guess which one is meant would be a choice, and we make none.
        state = f"is there {len(routers)} times" if routers else "not found"
        raise CannotApplyError(f"{ROUTER} {name!r} {state}")
    return routers[0]


def _write(row: idl.Row, table: Table[Any], columns: Columns, owner: _Owner) -> None:
    types = row._table.columns  # noqa: SLF001  # the library has no other way to a column's type
    for name, value in columns.items():
        if name not in types:
            continue  # an optional column that the schema lacks: `fit` has left its value out already
        if name in table.references:
            setattr(row, name, [_session(table, owner, peer) for peer in value])
            continue
        _check(table, name, types[name].type, value)
        setattr(row, name, value)


def _session(table: Table[Any], owner: _Owner, peer: str) -> UUID:
    if peer not in owner.sessions:
        raise CannotApplyError(f"{table.name}: {owner.gateway} has no BFD session with {peer!r} to refer to")
    return owner.sessions[peer]


def _check(table: Table[Any], column: str, kind: Any, value: Any) -> None:
    """Say what the library would only log: it leaves a value out that does not fit, and goes on."""
    try:
        data.Datum.from_python(kind, value, lambda atom: atom)
    except error.Error as unfit:
        raise CannotApplyError(f"{table.name}.{column} = {value!r}: {unfit}") from unfit
    # The server's JSON parser gives up on the whole connection when it meets a NUL, again and again.
    if "\0" in "".join(text for text in _strings(value)):
        raise CannotApplyError(f"{table.name}.{column} = {value!r}: a NUL character is not allowed")


def _strings(value: Any) -> Iterable[str]:
    members = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, tuple) else [value]
    return [member for member in members if isinstance(member, str)]
