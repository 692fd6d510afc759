"""Rows of a policy that take turns, so that OVN changes its nexthops without losing a packet. Pure.

northd makes of a policy with several nexthops an OpenFlow group (`select`), numbers the policies of a router that have
one, and the chassis hash packets by recirculating them. A packet that was hashed by the flows before a change meets the
flows after it: a group or a member that is gone drops it, for as long as Open vSwitch takes to look at its cached flows
again. What was hashed before must therefore find everything as it was, and no policy may get another number.

So a policy with `RoutePolicy.spares` has three rows: the live one at its priority, and below all others
(`names.PRIORITY_SPARE`) two with its match, which take nothing: a wide one (several nexthops) and a narrow one (one
nexthop, which northd makes no group of). New nexthops are written into a spare row of their kind, which then trades
places with the live one, in one transaction. What was the live row keeps its nexthops until its next turn. Rows neither
come nor go, so all keep their numbers. See docs/decisions/0010.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import TypeAlias

import msgspec

from veg_contracts.intent import RoutePolicy
from veg_contracts.names import PRIORITY_SPARE
from veg_ovn_writer.tables import POLICY
from veg_ovn_writer.tables.base import FoundRow

_Key: TypeAlias = tuple[str, str, str]  # of a policy and its spare rows: family, match, action
Place: TypeAlias = tuple[RoutePolicy, FoundRow | None]
"""A value that a row shall have; without a row: whichever has the value's identity, or a new one."""


def arrange(router: str, values: Iterable[RoutePolicy], found: Iterable[FoundRow]) -> list[Place]:
    """The wanted policies and their spare rows, each with the row on `router` whose turn it is."""
    alike: defaultdict[_Key, list[FoundRow]] = defaultdict(list)
    for row in found:
        if router in row.routers:
            alike[_key(_value(row))].append(row)
    places: list[Place] = []
    for value in values:
        mine = alike.pop(_key(value), [])
        parked = [row for row in mine if _is_parked(_value(row))]
        # With one nexthop the value does not say it: it has spare rows, or BFD sessions, as those have that get some.
        if value.spares or (len(value.nexthops) == 1 and (parked or value.bfd_sessions)):
            places += _take_turns(value, [row for row in mine if row not in parked], parked)
        else:
            places.append((value, None))
    return places


def fold(values: Iterable[RoutePolicy]) -> list[RoutePolicy]:
    """Policies as observed: one with all its spare rows is one value. Spare rows out of order stay in sight."""
    groups: defaultdict[_Key, list[RoutePolicy]] = defaultdict(list)
    for value in values:
        groups[_key(value)].append(value)
    return [one for group in groups.values() for one in _fold_group(group)]


def _fold_group(group: list[RoutePolicy]) -> list[RoutePolicy]:
    live = [value for value in group if not _is_parked(value)]
    parked = sorted(_is_wide(value) for value in group if _is_parked(value))
    if len(live) == 1 and parked == ([False, True] if _is_wide(live[0]) else [True, True]):
        return [msgspec.structs.replace(live[0], spares=_is_wide(live[0]))]
    return group


def _take_turns(value: RoutePolicy, live: list[FoundRow], parked: list[FoundRow]) -> list[Place]:
    wide = [row for row in parked if _is_wide(_value(row))]
    narrow = [row for row in parked if not _is_wide(_value(row))]
    before = min(live, key=lambda row: _value(row).nexthops != value.nexthops, default=None)
    turn = before
    if before is not None and _loses_packets(_value(before), value):
        ready = wide if _is_wide(value) else narrow
        turn = ready.pop(0) if ready else None
        # Of too many it is the first that stays: packets are under way by it.
        (wide if _is_wide(_value(before)) else narrow).insert(0, before)
    if _is_wide(value):
        return [(value, turn), _spare(wide, value), _spare(narrow, _first(value))]
    if not wide:
        return [(value, turn)]
    return [(value, turn), *(_spare(rows, _value(wide[0])) for rows in (wide, wide[1:]))]


def _loses_packets(before: RoutePolicy, after: RoutePolicy) -> bool:
    """Whether the row may not simply be changed: packets may be under way by its group."""
    return before.nexthops != after.nexthops and (_is_wide(before) or _is_wide(after))


def _spare(rows: list[FoundRow], like: RoutePolicy) -> Place:
    """The first of the rows as a spare one, with the nexthops that it has; without any a new one like that value."""
    if rows:
        return msgspec.structs.replace(_value(rows[0]), priority=PRIORITY_SPARE), rows[0]
    return msgspec.structs.replace(like, priority=PRIORITY_SPARE, bfd_sessions=(), spares=False), None


def _first(value: RoutePolicy) -> RoutePolicy:
    return msgspec.structs.replace(value, nexthops=value.nexthops[:1])


def _value(row: FoundRow) -> RoutePolicy:
    return POLICY.from_columns(row.columns)


def _key(value: RoutePolicy) -> _Key:
    return value.family, value.match, value.action


def _is_parked(value: RoutePolicy) -> bool:
    return value.priority == PRIORITY_SPARE


def _is_wide(value: RoutePolicy) -> bool:
    return len(value.nexthops) > 1
