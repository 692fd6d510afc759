"""The tables that we write to, one file each. A new one is a class there and an entry here; nothing else knows them.

Only what is particular to a table may live here: no reading, no writing, no comparing.
"""

from typing import Any, Final

from veg_ovn_writer.tables.base import Table
from veg_ovn_writer.tables.logical_router_policy import LogicalRouterPolicy
from veg_ovn_writer.tables.logical_router_static_route import LogicalRouterStaticRoute
from veg_ovn_writer.tables.port_group import PortGroup

PORT_GROUP: Final = PortGroup()
TABLES: Final[tuple[Table[Any], ...]] = (LogicalRouterPolicy(), LogicalRouterStaticRoute(), PORT_GROUP)
