"""What of a BFD port is there: the rows that each owner has, and the value that they come to. Reads, writes nothing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec
from ovs.db import data, idl, types

from veg_contracts.intent import BfdRelay, BfdRouterPort
from veg_contracts.names import (
    bfd_peer,
    bfd_port,
    bfd_port_owner_ids,
    bfd_relay,
    bfd_relay_owner_ids,
    chassis_group_owner_ids,
    chassis_owner_ids,
    stub_switch_owner_ids,
)
from veg_ovn_writer.replica import CHASSIS, GROUP, ROUTER_PORT, SWITCH, Replica
from veg_ovn_writer.snapshot import references
from veg_ovn_writer.tables.base import ROUTER
from veg_ovn_writer.tables.port_group import PORTS

PRIORITY_MAX: Final = 100  # of the chassis that is preferred, as Kube-OVN counts; each further one has one less
OPTIONS: Final = {"bfd-only": "true"}
GROUP_OF: Final = "ha_chassis_group"
# In which table each part is, and under which name.
_PLACES: Final = (
    (ROUTER_PORT, bfd_port, "port"),
    (GROUP, bfd_port, "group"),
    (SWITCH, bfd_port, "switch"),
    (ROUTER_PORT, bfd_relay, "relay_port"),
    (ROUTER, bfd_relay, "relay"),
)


@dataclass(slots=True)
class Parts:
    """The rows that one owner has; `strays` are those that it should not have, of another name or there twice."""

    port: idl.Row | None = None
    group: idl.Row | None = None
    switch: idl.Row | None = None
    relay_port: idl.Row | None = None
    relay: idl.Row | None = None
    strays: list[idl.Row] = field(default_factory=list)

    def __iter__(self) -> Iterator[idl.Row]:
        whole = (self.port, self.group, self.switch, self.relay_port, self.relay)
        return iter([row for row in whole if row is not None] + self.strays)


def find(replica: Replica, vpc: str | None = None) -> dict[str, Parts]:
    """What each owner has, or one of them."""
    found: dict[str, Parts] = {}
    for table in (ROUTER_PORT, GROUP, SWITCH, ROUTER):
        for uuid, owner in replica.owned[table].items():
            row = replica.tables[table].rows.get(uuid) if vpc in (None, owner) else None
            if row is None:
                continue
            parts = found.setdefault(owner, Parts())
            places = (part for where, name, part in _PLACES if where == table and row.name == name(owner))
            part = next(places, None)
            if part is not None and getattr(parts, part) is None:
                setattr(parts, part, row)
            else:
                parts.strays.append(row)
    return found


def value(replica: Replica, vpc: str, parts: Parts) -> BfdRouterPort:
    """What these rows come to."""
    port, group, peered = parts.port, parts.group, is_peered(replica, vpc, parts)
    behind, relays = relay(vpc, parts), is_relaying(replica, vpc, parts)
    if port is None and group is None and not parts.strays:
        empty = BfdRouterPort(name=bfd_port(vpc), mac="", networks=(), chassis=(), peer_only=True, relay=behind)
        return msgspec.structs.replace(empty, intact=peered and relays, peered=peered)
    owned = has(port, bfd_port_owner_ids(vpc)) and has(group, chassis_group_owner_ids(vpc))
    whole = owned and peered and relays and not parts.strays
    intact = whole and port is not None and group is not None and group.uuid in references(port, GROUP_OF)
    chassis = members(replica, group)
    return BfdRouterPort(
        name=bfd_port(vpc),
        mac=port.mac if port is not None else "",
        networks=_networks(port),
        chassis=tuple(row.chassis_name for row in chassis),
        peered=peered,
        relay=behind,
        intact=intact
        and port is not None
        and OPTIONS.items() <= port.options.items()
        and all(has(row, chassis_owner_ids(vpc)) for row in chassis)
        and [row.priority for row in chassis] == [PRIORITY_MAX - index for index in range(len(chassis))],
    )


def relay(vpc: str, parts: Parts) -> BfdRelay | None:
    """The relay, also where only a part of it is left."""
    port = parts.relay_port
    if port is None and parts.relay is None:
        return None
    return BfdRelay(name=bfd_relay(vpc), mac=port.mac if port is not None else "", networks=_networks(port))


def is_peered(replica: Replica, vpc: str, parts: Parts) -> bool:
    """Whether the stub switch is there, and the router port's peer."""
    return replica.port(bfd_peer(bfd_port(vpc))) is not None and has(parts.switch, stub_switch_owner_ids(vpc))


def is_relaying(replica: Replica, vpc: str, parts: Parts) -> bool:
    """Whether the relay is whole; that is also one of which nothing is there."""
    port, router = parts.relay_port, parts.relay
    if port is None and router is None:
        return True
    ids = bfd_relay_owner_ids(vpc)
    placed = port is not None and router is not None and routers_of(replica, port) == [router]
    return placed and has(port, ids) and has(router, ids) and replica.port(bfd_peer(bfd_relay(vpc))) is not None


def routers_of(replica: Replica, port: idl.Row) -> list[idl.Row]:
    """Those in the database that the router port is on."""
    atom = data.Atom(types.UuidType, port.uuid)
    known = [row for row in replica.tables[ROUTER].rows.values() if row._data is not None]  # noqa: SLF001  # None: a new row
    return [row for row in known if atom in row._data[PORTS].values]  # noqa: SLF001  # as in `references`


def members(replica: Replica, group: idl.Row | None) -> list[idl.Row]:
    """The chassis of a group, the preferred one first."""
    if group is None or group._data is None:  # noqa: SLF001  # None: a new row
        return []
    found = (replica.tables[CHASSIS].rows.get(uuid) for uuid in references(group, "ha_chassis"))
    return sorted((row for row in found if row is not None), key=lambda row: (-row.priority, row.chassis_name))


def has(row: idl.Row | None, ids: Mapping[str, str]) -> bool:
    """Whether the row is there, with these external_ids among others."""
    return row is not None and ids.items() <= row.external_ids.items()


def _networks(port: idl.Row | None) -> tuple[str, ...]:
    return tuple(sorted(port.networks, key=lambda address: (":" in address, address))) if port is not None else ()
