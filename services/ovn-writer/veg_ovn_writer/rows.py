"""The canonical form of a gateway's rows: what was found and what is wanted are equal exactly when nothing differs."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

from veg_contracts.intent import NbRows
from veg_ovn_writer.tables import TABLES
from veg_ovn_writer.tables.base import FoundRow

Found: TypeAlias = Mapping[str, tuple[FoundRow, ...]]  # the rows of one gateway, by the name of their table
Observed: TypeAlias = tuple[NbRows, ...]  # the same as values: one NbRows for each router that has any, by its name

# A Kubernetes namespace and name (RFC 1123 label, subdomain). An owner of another form is none that we ever wrote.
_GATEWAY: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?/[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?")


def is_gateway(name: str) -> bool:
    """Whether it is `namespace/name`, as a gateway that can exist is called."""
    return _GATEWAY.fullmatch(name) is not None


def canonical(rows: NbRows) -> NbRows:
    """The same rows, sorted and in the one form of each value."""
    fields: dict[str, Any] = {}
    for table in TABLES:
        values = {table.canonical(value) for value in getattr(rows, table.field)}
        fields[table.field] = tuple(sorted(values, key=table.sort_key))
    return NbRows(router=rows.router, **fields)


def wanted(rows: NbRows) -> Observed:
    """What will be observed once these rows, and no others, are there."""
    has_any = any(getattr(rows, table.field) for table in TABLES)
    return (canonical(rows),) if has_any else ()


def observed(found: Found) -> Observed:
    """The rows of one gateway as values. A row that hangs on two routers is seen on both."""
    routers: defaultdict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for table in TABLES:
        for row in found.get(table.name, ()):
            for router in row.routers:
                routers[router][table.field].append(table.from_columns(row.columns))
    return tuple(_below(router, routers[router]) for router in sorted(routers))


def _below(router: str, fields: Mapping[str, Iterable[Any]]) -> NbRows:
    """Sorted like `canonical`, but with every copy: a row that is there twice is a difference."""
    sorted_fields: dict[str, Any] = {}
    for table in TABLES:
        values = [table.canonical(value) for value in fields.get(table.field, ())]
        sorted_fields[table.field] = tuple(sorted(values, key=table.sort_key))
    return NbRows(router=router, **sorted_fields)
