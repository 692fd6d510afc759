"""What must change so that the rows found become the rows wanted. Pure.

- A row whose identity is wanted stays, and only its changed columns are written: OVN need not see it go and come.
- Additions and updates come first, removals last. It is all one transaction, so nobody sees a state in between; the
  order is for whoever reads the database's log.
- Only rows of the gateway come in, so no other row can be in what goes out.
- Policies whose nexthops change may trade places with their spare rows (`spares`).
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import UUID

from veg_contracts.intent import NbRows
from veg_ovn_writer import spares
from veg_ovn_writer.rows import Found
from veg_ovn_writer.tables import POLICY, TABLES
from veg_ovn_writer.tables.base import EXTERNAL_IDS, Columns, FoundRow, Table


class AmbiguousRowsError(ValueError):
    """Two wanted rows that cannot both be there; it names them."""


@dataclass(frozen=True, slots=True)
class Insert:
    """A new row, on this router. One of a root table hangs on nothing."""

    table: Table[Any]
    router: str
    columns: Columns


@dataclass(frozen=True, slots=True)
class Update:
    """Other values for some columns of a row."""

    table: Table[Any]
    uuid: UUID
    columns: Columns


@dataclass(frozen=True, slots=True)
class Detach:
    """A row leaves these routers. OVSDB removes a row that hangs on no router any more."""

    table: Table[Any]
    uuid: UUID
    routers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Delete:
    """A row of a root table goes."""

    table: Table[Any]
    uuid: UUID


Operation: TypeAlias = Insert | Update | Detach | Delete


def diff(gateway: str, rows: NbRows, found: Found) -> list[Operation]:
    """The operations that make the rows of `gateway` exactly `rows`; none when they are.

    Raises:
        AmbiguousRowsError: `rows` wants two different rows of one identity.
    """
    operations: list[Operation] = []
    for table in TABLES:
        values = list({table.canonical(value): None for value in getattr(rows, table.field)})
        _check_unique(table, values)
        operations += _diff_table(table, _Owner(gateway, rows.router), values, found.get(table.name, ()))
    return sorted(operations, key=lambda operation: isinstance(operation, Detach | Delete))


@dataclass(frozen=True, slots=True)
class _Owner:
    gateway: str
    router: str


def _check_unique(table: Table[Any], values: Iterable[Any]) -> None:
    seen: dict[Hashable, Any] = {}
    for value in values:
        other = seen.setdefault(table.identity(value), value)
        if other != value:
            raise AmbiguousRowsError(f"{table.name}: {other!r} and {value!r} cannot both be there")


def _diff_table(table: Table[Any], owner: _Owner, values: Iterable[Any], found: Sequence[FoundRow]) -> list[Operation]:
    operations: list[Operation] = []
    left = {row.uuid: row for row in sorted(found, key=lambda row: row.uuid)}
    places = spares.arrange(owner.router, values, found) if table is POLICY else [(value, None) for value in values]
    for _, chosen in places:
        if chosen is not None:
            del left[chosen.uuid]
    for value, chosen in places:
        columns = table.to_columns(owner.gateway, value)
        row = chosen or _best(table, owner.router, columns, left.values())
        if row is None:
            operations.append(Insert(table, owner.router, columns))
            continue
        left.pop(row.uuid, None)
        if changed := _changed(columns, row):
            operations.append(Update(table, row.uuid, changed))
        if elsewhere := tuple(router for router in row.routers if router != owner.router):
            operations.append(Detach(table, row.uuid, elsewhere))
    operations += [_removal(table, row) for row in left.values()]
    return operations


def _removal(table: Table[Any], row: FoundRow) -> Operation:
    return Detach(table, row.uuid, row.routers) if table.parent_column else Delete(table, row.uuid)


def _best(table: Table[Any], router: str, columns: Columns, rows: Iterable[FoundRow]) -> FoundRow | None:
    """The row to keep for what is wanted. Of several copies one that is right already, so that the least is written."""
    identity = table.identity(table.from_columns(columns))
    copies = [
        row
        for row in rows
        if (router in row.routers or not table.parent_column)
        and table.identity(table.from_columns(row.columns)) == identity
    ]
    return min(copies, key=lambda row: bool(_changed(columns, row)), default=None)


def _changed(columns: Columns, row: FoundRow) -> Columns:
    # Keys that others put beside ours into external_ids are theirs: they stay.
    wanted = {**columns, EXTERNAL_IDS: {**row.columns[EXTERNAL_IDS], **columns[EXTERNAL_IDS]}}
    return {name: value for name, value in wanted.items() if row.columns[name] != value}
