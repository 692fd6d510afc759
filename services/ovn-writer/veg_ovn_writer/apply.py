"""Carrying out operations inside a transaction. Runs in the connection's thread."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, assert_never

from ovs.db import data, error, idl

from veg_contracts.intent import NbRows
from veg_ovn_writer import groups, snapshot
from veg_ovn_writer.differ import AmbiguousRowsError, Delete, Detach, Insert, Operation, Update, diff
from veg_ovn_writer.errors import CannotApplyError
from veg_ovn_writer.replica import Replica
from veg_ovn_writer.rows import fit
from veg_ovn_writer.tables import PORT_GROUP, TABLES
from veg_ovn_writer.tables.base import EXTERNAL_IDS, ROUTER, Columns, Table


@dataclass(frozen=True, slots=True)
class Counts:
    """How many rows a command changed."""

    inserted: int = 0
    updated: int = 0
    removed: int = 0


def ensure(replica: Replica, txn: idl.Transaction, gateway: str, rows: NbRows) -> tuple[Counts, NbRows]:
    """Make the rows of `gateway` exactly `rows`, and have `nb_cfg` counted up if that changes anything.

    Also the rows as they are now: an older schema may lack an optional column.

    Raises:
        CannotApplyError: a router, table or column is not there, or a value does not fit its column.
        NotNowError: the database is not set up yet.
    """
    found = snapshot.read(replica, gateway).get(gateway, {})
    rows = fit(rows, replica.lacking)
    try:
        operations = diff(gateway, rows, found)
    except AmbiguousRowsError as ambiguous:
        raise CannotApplyError(str(ambiguous)) from ambiguous
    for table in TABLES:
        if getattr(rows, table.field):
            replica.check_schema(table)
            if table.parent_column:
                _router(replica, rows.router)
    for operation in operations:
        _carry_out(replica, txn, gateway, operation)
    # OVSDB carries this out on the server, together with the rows and only if there are any: two writers of nb_cfg
    # never get the same number, and the number confirms these very rows.
    replica.nb_global().increment("nb_cfg")
    return _count(operations), rows


def _count(operations: Iterable[Operation]) -> Counts:
    kinds = [type(operation) for operation in operations]
    return Counts(
        inserted=kinds.count(Insert), updated=kinds.count(Update), removed=kinds.count(Detach) + kinds.count(Delete)
    )


def _carry_out(replica: Replica, txn: idl.Transaction, gateway: str, operation: Operation) -> None:
    match operation:
        case Insert(table, _, columns) if table is PORT_GROUP:
            row = groups.claim(replica, txn, columns["name"], gateway)
            _write(row, table, {**columns, EXTERNAL_IDS: {**getattr(row, EXTERNAL_IDS, {}), **columns[EXTERNAL_IDS]}})
        case Insert(table, router_name, columns):
            router = _router(replica, router_name)
            router.verify("name")  # else a router that goes at this moment would take the row along, unnoticed
            row = txn.insert(replica.tables[table.name])
            _write(row, table, columns)
            router.addvalue(table.parent_column, row.uuid)
        case Update(table, uuid, columns):
            row = replica.tables[table.name].rows[uuid]
            for column in columns:
                row.verify(column)
            _write(row, table, columns)
        case Detach(table, uuid, routers):
            for name in routers:
                for router in replica.routers_named(name):
                    router.delvalue(table.parent_column, uuid)
        case Delete(table, uuid):
            replica.tables[table.name].rows[uuid].delete()
        case _:
            assert_never(operation)


def _router(replica: Replica, name: str) -> idl.Row:
    routers = replica.routers_named(name)
    if len(routers) != 1:
        # The schema lets names repeat; to guess which one is meant would be a choice, and we make none.
        state = f"is there {len(routers)} times" if routers else "not found"
        raise CannotApplyError(f"{ROUTER} {name!r} {state}")
    return routers[0]


def _write(row: idl.Row, table: Table[Any], columns: Columns) -> None:
    types = row._table.columns  # noqa: SLF001  # the library has no other way to a column's type
    for name, value in columns.items():
        if name not in types:
            continue  # an optional column that the schema lacks: `fit` has left its value out already
        _check(table, name, types[name].type, value)
        setattr(row, name, value)


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
