"""The tables that we write to, one file each. A new one is a class there and an entry here; nothing else knows them.

Only what is particular to a table may live here: no reading, no writing, no comparing.
"""

from typing import Any, Final

from veg_ovn_writer.tables.base import Table
from veg_ovn_writer.tables.bfd import Bfd
from veg_ovn_writer.tables.logical_router_policy import LogicalRouterPolicy
from veg_ovn_writer.tables.logical_router_static_route import LogicalRouterStaticRoute
from veg_ovn_writer.tables.port_group import PortGroup

BFD: Final = Bfd()
POLICY: Final = LogicalRouterPolicy()
PORT_GROUP: Final = PortGroup()
ROUTE: Final = LogicalRouterStaticRoute()
# BFD first: rows of the others refer to its rows, also to those that one transaction makes.
TABLES: Final[tuple[Table[Any], ...]] = (BFD, POLICY, ROUTE, PORT_GROUP)
