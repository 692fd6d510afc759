"""Logical_Router_Static_Route (ovn-nb(5)): where a router sends packets, by their destination or their source."""

from collections.abc import Hashable
from typing import Any, ClassVar, Final

import msgspec

from veg_contracts.intent import StaticRoute
from veg_contracts.names import route_owner_ids
from veg_ovn_writer.tables.base import EXTERNAL_IDS, Columns, Table

_SYMMETRIC: Final = "ecmp_symmetric_reply"
_SELECTION: Final = "selection_fields"
_SESSION: Final = "bfd"
_OUTPUT: Final = "output_port"


class LogicalRouterStaticRoute(Table[StaticRoute]):
    """Which header fields choose the member of an ECMP group came with OVN 25.03; before, OVN hashes five of them."""

    name: ClassVar[str] = "Logical_Router_Static_Route"
    field: ClassVar[str] = "static_routes"
    parent_column: ClassVar[str] = "static_routes"
    columns: ClassVar[tuple[str, ...]] = (
        "route_table",
        "ip_prefix",
        "nexthop",
        "policy",
        "options",
        _SELECTION,
        _SESSION,
        _OUTPUT,
        EXTERNAL_IDS,
    )
    references: ClassVar[frozenset[str]] = frozenset({_SESSION})
    optional_columns: ClassVar[frozenset[str]] = frozenset({_SELECTION})

    def canonical(self, value: StaticRoute) -> StaticRoute:
        return msgspec.structs.replace(value, selection_fields=tuple(sorted(set(value.selection_fields))))

    def without(self, value: StaticRoute, lacking: frozenset[str]) -> StaticRoute:
        return msgspec.structs.replace(value, selection_fields=()) if _SELECTION in lacking else value

    def sort_key(self, value: StaticRoute) -> tuple[Any, ...]:
        return (
            value.family,
            value.ip_prefix,
            value.nexthop,
            value.route_table,
            value.policy,
            value.symmetric_reply,
            value.selection_fields,
            value.bfd,
            value.output_port,
        )

    def identity(self, value: StaticRoute) -> Hashable:
        return (value.family, value.route_table, value.ip_prefix, value.nexthop)

    def to_columns(self, gateway: str, value: StaticRoute) -> Columns:
        return {
            "route_table": value.route_table,
            "ip_prefix": value.ip_prefix,
            "nexthop": value.nexthop,
            "policy": (value.policy,) if value.policy else (),
            "options": {_SYMMETRIC: "true"} if value.symmetric_reply else {},
            _SELECTION: value.selection_fields,
            _SESSION: (value.bfd,) if value.bfd else (),
            _OUTPUT: (value.output_port,) if value.output_port else (),
            EXTERNAL_IDS: route_owner_ids(gateway, value.family),
        }

    def from_columns(self, columns: Columns) -> StaticRoute:
        return StaticRoute(
            family=columns[EXTERNAL_IDS].get("af", ""),
            ip_prefix=columns["ip_prefix"],
            nexthop=columns["nexthop"],
            policy="".join(columns["policy"]),
            route_table=columns["route_table"],
            symmetric_reply=columns["options"].get(_SYMMETRIC) == "true",
            selection_fields=columns[_SELECTION],
            bfd="".join(columns[_SESSION]),
            output_port="".join(columns[_OUTPUT]),
        )
