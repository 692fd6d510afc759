"""Port_Group (ovn-nb(5)): ports under a name. OVN keeps an address set of each, which policies match on.

Who is in it is no part of the row here: `veg_ovn_writer.groups` writes that, port by port.
"""

from collections.abc import Hashable
from typing import Any, ClassVar, Final

from veg_contracts.names import port_group_owner_ids
from veg_ovn_writer.tables.base import EXTERNAL_IDS, Columns, Table

PORTS: Final = "ports"  # of weak references, so a port that goes leaves its groups by itself


class PortGroup(Table[str]):
    """The value is the name, which the schema lets exist only once."""

    name: ClassVar[str] = "Port_Group"
    field: ClassVar[str] = "port_groups"
    parent_column: ClassVar[str] = ""
    columns: ClassVar[tuple[str, ...]] = ("name", EXTERNAL_IDS)
    watched_columns: ClassVar[tuple[str, ...]] = (PORTS,)

    def canonical(self, value: str) -> str:
        return value

    def sort_key(self, value: str) -> tuple[Any, ...]:
        return (value,)

    def identity(self, value: str) -> Hashable:
        return value

    def to_columns(self, gateway: str, value: str) -> Columns:
        return {"name": value, EXTERNAL_IDS: port_group_owner_ids(gateway)}

    def from_columns(self, columns: Columns) -> str:
        name: str = columns["name"]
        return name
