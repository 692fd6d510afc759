"""Logical_Router_Policy (ovn-nb(5)): what a router does with packets that match, before it routes them."""

from collections.abc import Hashable
from typing import Any, ClassVar, Final

import msgspec

from veg_contracts.intent import RoutePolicy
from veg_contracts.names import owner_ids
from veg_ovn_writer.tables.base import EXTERNAL_IDS, Columns, Table

_SESSIONS: Final = "bfd_sessions"


class LogicalRouterPolicy(Table[RoutePolicy]):
    """References to BFD sessions came with OVN 24.03."""

    name: ClassVar[str] = "Logical_Router_Policy"
    field: ClassVar[str] = "policies"
    parent_column: ClassVar[str] = "policies"
    columns: ClassVar[tuple[str, ...]] = ("priority", "match", "action", "nexthops", _SESSIONS, EXTERNAL_IDS)
    optional_columns: ClassVar[frozenset[str]] = frozenset({_SESSIONS})
    references: ClassVar[frozenset[str]] = frozenset({_SESSIONS})

    def canonical(self, value: RoutePolicy) -> RoutePolicy:
        nexthops, sessions = tuple(sorted(set(value.nexthops))), tuple(sorted(set(value.bfd_sessions)))
        spares = value.spares and len(nexthops) > 1
        return msgspec.structs.replace(value, nexthops=nexthops, bfd_sessions=sessions, spares=spares)

    def without(self, value: RoutePolicy, lacking: frozenset[str]) -> RoutePolicy:
        return msgspec.structs.replace(value, bfd_sessions=()) if _SESSIONS in lacking else value

    def sort_key(self, value: RoutePolicy) -> tuple[Any, ...]:
        # Action and nexthops only matter for rows that somebody copied: their order must not be an accident either.
        return (value.family, value.priority, value.match, value.action, value.nexthops, value.bfd_sessions)

    def identity(self, value: RoutePolicy) -> Hashable:
        return (value.family, value.priority, value.match)

    def to_columns(self, gateway: str, value: RoutePolicy) -> Columns:
        return {
            "priority": value.priority,
            "match": value.match,
            "action": value.action,
            "nexthops": value.nexthops,
            _SESSIONS: value.bfd_sessions,
            EXTERNAL_IDS: owner_ids(gateway, value.family),
        }

    def from_columns(self, columns: Columns) -> RoutePolicy:
        return RoutePolicy(
            family=columns[EXTERNAL_IDS].get("af", ""),
            priority=columns["priority"],
            match=columns["match"],
            action=columns["action"],
            nexthops=columns["nexthops"],
            bfd_sessions=columns[_SESSIONS],
        )
