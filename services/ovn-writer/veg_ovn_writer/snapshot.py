"""Reading rows of ours from the replica, as values. Runs in the connection's thread, outside or before any change."""

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from uuid import UUID

from ovs.db import idl

from veg_ovn_writer.rows import Found
from veg_ovn_writer.tables import BFD, TABLES
from veg_ovn_writer.tables.base import ROUTER, FoundRow, Table

if TYPE_CHECKING:
    from veg_ovn_writer.replica import Replica


def read(replica: "Replica", gateway: str | None = None) -> dict[str, Found]:
    """The rows of every owner, or of one, whether or not such a gateway exists or its name makes sense."""
    owners: defaultdict[str, dict[str, tuple[FoundRow, ...]]] = defaultdict(dict)
    for table in TABLES:
        rows: defaultdict[str, list[FoundRow]] = defaultdict(list)
        for row in _owned(replica, table, gateway) if replica.has(table) else ():
            rows[row.owner].append(row)
        for owner, found in rows.items():
            owners[owner][table.name] = tuple(found)
    return dict(owners)


def _owned(replica: "Replica", table: Table[Any], gateway: str | None) -> Iterator[FoundRow]:
    all_rows = replica.tables[table.name].rows
    owned = replica.owned[table.name].items()
    routers: dict[UUID, list[str]] = {uuid: [] for uuid, owner in owned if gateway in (None, owner)}
    for router in replica.tables[ROUTER].rows.values() if routers and table.parent_column else ():
        for uuid in references(router, table.parent_column):
            if uuid in routers:
                routers[uuid].append(router.name)
    lacking = replica.lacking[table.name]
    for uuid in sorted(routers):
        if uuid in all_rows:
            row = all_rows[uuid]
            columns = {name: () if name in lacking else _value(replica, table, row, name) for name in table.columns}
            yield FoundRow(uuid, columns, tuple(sorted(set(routers[uuid]))))


def _value(replica: "Replica", table: Table[Any], row: idl.Row, column: str) -> Any:
    if column not in table.references:
        return _plain(getattr(row, column))
    return tuple(sorted(_peer(replica, table, row, uuid) for uuid in references(row, column)))


def _peer(replica: "Replica", table: Table[Any], row: idl.Row, uuid: UUID) -> str:
    """The peer of a BFD session that a row refers to; of another owner's, which no value of ours can name, the uuid."""
    owner = replica.owned[table.name].get(row.uuid)
    session = replica.tables[BFD.name].rows.get(uuid) if replica.owned[BFD.name].get(uuid) == owner else None
    return str(uuid) if session is None else str(session.dst_ip)


def references(row: idl.Row, column: str) -> Iterator[UUID]:
    """The rows that a column of a row in the database refers to, whether or not we have them too."""
    # Not `getattr(row, column)`: that makes three copies and a Row of each of the thousands of policies that others
    # have on a router, or of the ports in a group, and this is read with every command.
    for atom in row._data[column].values:  # noqa: SLF001
        yield atom.value


def _plain(value: Any) -> Any:
    return tuple(sorted(value)) if isinstance(value, list) else value
