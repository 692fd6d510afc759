"""The BFD port of a Vpc: a router port, its HA_Chassis_Group, and a stub switch as its peer, all of one name.

They are one thing made of several rows, so they are read and written as one, unlike the rows of `tables`. A router port
of that name that is not ours is somebody's BFD port all the same: nothing of it is touched. Runs in the connection's
thread.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from ovs.db import data, idl, types

from veg_contracts.intent import BfdRouterPort
from veg_contracts.names import OWNER_KEY, bfd_port, bfd_port_owner_ids
from veg_ovn_writer.replica import CHASSIS, GROUP, ROUTER_PORT, SWITCH, Replica
from veg_ovn_writer.snapshot import references
from veg_ovn_writer.tables.base import EXTERNAL_IDS, PORT, ROUTER
from veg_ovn_writer.tables.port_group import PORTS

_PRIORITY_MAX: Final = 100  # of the chassis that is preferred, as Kube-OVN counts; each further one has one less
_OPTIONS: Final = {"bfd-only": "true"}
_GROUP_OF: Final = "ha_chassis_group"
OURS, FOREIGN = "ours", "foreign"


@dataclass(slots=True)
class _Parts:
    """The rows that one owner has; `strays` are those that it should not have, of another name or there twice."""

    port: idl.Row | None = None
    group: idl.Row | None = None
    switch: idl.Row | None = None
    strays: list[idl.Row] = field(default_factory=list)

    def __iter__(self) -> Iterator[idl.Row]:
        whole = (self.port, self.group, self.switch)
        return iter([row for row in whole if row is not None] + self.strays)


def read(replica: Replica) -> dict[str, tuple[str, BfdRouterPort]]:
    """The BFD ports of ours, by their owner, each with the router it is on; also where only a part of one is left."""
    found = _parts(replica)
    rows = replica.tables[ROUTER].rows.values() if found else ()
    routers = {uuid: router.name for router in rows for uuid in references(router, PORTS)}
    return {
        vpc: (routers.get(parts.port.uuid, "") if parts.port is not None else "", _value(replica, vpc, parts))
        for vpc, parts in sorted(found.items())
    }


def ensure(
    replica: Replica, txn: idl.Transaction, vpc: str, router: idl.Row | None, wanted: BfdRouterPort | None
) -> str:
    """Make the BFD port of `vpc` on its router what is wanted, or have none; whose it is, empty for none."""
    parts = _parts(replica, vpc).get(vpc, _Parts())
    other = _other(replica, vpc, wanted) if wanted is not None else None
    if wanted is None or router is None or other is not None:
        keeps = parts.group is not None and other is not None and parts.group.uuid in references(other, _GROUP_OF)
        for row in parts:
            if not (keeps and row is parts.group):
                _remove(replica, row)
        return FOREIGN if other is not None else ""
    routers = _routers(replica, parts.port) if parts.port is not None else []
    if routers == [router] and _value(replica, vpc, parts) == wanted:
        return OURS
    for row in parts.strays:
        _remove(replica, row)
    for elsewhere in routers:
        if elsewhere != router and parts.port is not None:
            elsewhere.delvalue(PORTS, parts.port.uuid)
    if router not in routers:
        parts.port = None  # one that was elsewhere goes with that
    _write(replica, txn, vpc, router, wanted, parts)
    return OURS


def gone(replica: Replica, vpcs: Iterable[str]) -> list[str]:
    """Those of the Vpcs that have no router port of that name, ours or another one's."""
    return [vpc for vpc in vpcs if replica.named(ROUTER_PORT, bfd_port(vpc)) is None]


def _parts(replica: Replica, vpc: str | None = None) -> dict[str, _Parts]:
    """What each owner has, or one of them."""
    found: dict[str, _Parts] = {}
    for table, part in ((ROUTER_PORT, "port"), (GROUP, "group"), (SWITCH, "switch")):
        for uuid, owner in replica.owned[table].items():
            row = replica.tables[table].rows.get(uuid) if vpc in (None, owner) else None
            if row is None:
                continue
            parts = found.setdefault(owner, _Parts())
            if row.name == bfd_port(owner) and getattr(parts, part) is None:
                setattr(parts, part, row)
            else:
                parts.strays.append(row)
    return found


def _value(replica: Replica, vpc: str, parts: _Parts) -> BfdRouterPort:
    port, group, peer = parts.port, parts.group, replica.port(_peer(vpc))
    whole = not parts.strays and parts.switch is not None and peer is not None
    intact = whole and port is not None and group is not None and group.uuid in references(port, _GROUP_OF)
    members = _members(replica, group)
    return BfdRouterPort(
        name=bfd_port(vpc),
        mac=port.mac if port is not None else "",
        networks=tuple(sorted(port.networks, key=_by_family)) if port is not None else (),
        chassis=tuple(row.chassis_name for row in members),
        intact=intact
        and port is not None
        and _OPTIONS.items() <= port.options.items()
        and [row.priority for row in members] == [_PRIORITY_MAX - index for index in range(len(members))],
    )


def _other(replica: Replica, vpc: str, wanted: BfdRouterPort) -> idl.Row | None:
    """Somebody else's router port of that name. One with our address and no owner is ours, and was robbed of that."""
    row = replica.named(ROUTER_PORT, wanted.name)
    if row is None or row.external_ids.get(OWNER_KEY, "" if row.mac == wanted.mac else None) in ("", vpc):
        return None
    return row


def _write(
    replica: Replica, txn: idl.Transaction, vpc: str, router: idl.Row, wanted: BfdRouterPort, parts: _Parts
) -> None:
    ids = bfd_port_owner_ids(vpc)
    # A group that somebody left behind is taken: its name can exist once, and nobody else's port is there to use it.
    group = parts.group or replica.named(GROUP, wanted.name) or _insert(replica, txn, GROUP, wanted.name)
    known = {row.chassis_name: row for row in _members(replica, group)}
    members = []
    for index, name in enumerate(wanted.chassis):
        row = known.get(name) or txn.insert(replica.tables[CHASSIS])
        row.chassis_name, row.priority = name, _PRIORITY_MAX - index
        row.external_ids = {**_map(row, EXTERNAL_IDS), **ids, "group": vpc}
        members.append(row.uuid)
    group.ha_chassis = members
    port = parts.port or replica.named(ROUTER_PORT, wanted.name)
    if port is None or router not in _routers(replica, port):
        port = _insert(replica, txn, ROUTER_PORT, wanted.name)
        router.verify("name")
        router.addvalue(PORTS, port.uuid)
    port.mac, port.networks = wanted.mac, list(wanted.networks)
    port.options = {**_map(port, "options"), **_OPTIONS}
    port.ha_chassis_group = [group.uuid]
    for row in (group, port):
        row.external_ids = {**_map(row, EXTERNAL_IDS), **ids}
    if parts.switch is None or replica.port(_peer(vpc)) is None:
        _write_peer(replica, txn, vpc, parts.switch)


def _write_peer(replica: Replica, txn: idl.Transaction, vpc: str, switch: idl.Row | None) -> None:
    """The stub switch. By operations of its own: we keep no copy of what other switches and ports are made of."""
    if switch is not None:
        switch.delete()
    port = replica.port(_peer(vpc))
    if port is not None:  # on a switch of that name that has lost its external_ids: the port's name can exist once
        holds = [PORTS, "includes", ["uuid", str(port)]]
        txn.add_op({"op": "delete", "table": SWITCH, "where": [["name", "==", bfd_port(vpc)], holds]})
    ids = ["map", [list(item) for item in sorted(bfd_port_owner_ids(vpc).items())]]
    peer = {
        "name": _peer(vpc),
        "type": "router",
        "options": ["map", [["router-port", bfd_port(vpc)]]],
        "addresses": ["set", ["router"]],
        EXTERNAL_IDS: ids,
    }
    made = {"name": bfd_port(vpc), PORTS: ["set", [["named-uuid", "peer"]]], EXTERNAL_IDS: ids}
    txn.add_op({"op": "insert", "table": PORT, "uuid-name": "peer", "row": peer})
    txn.add_op({"op": "insert", "table": SWITCH, "row": made})


def _remove(replica: Replica, row: idl.Row) -> None:
    if row._table.name != ROUTER_PORT:  # noqa: SLF001  # the library has no other way to a row's table
        row.delete()
        return
    row.ha_chassis_group = []  # else its group could not go in the same transaction
    for router in _routers(replica, row):
        router.delvalue(PORTS, row.uuid)


def _routers(replica: Replica, port: idl.Row) -> list[idl.Row]:
    """Those that the port is on."""
    atom = data.Atom(types.UuidType, port.uuid)
    return [row for row in replica.tables[ROUTER].rows.values() if atom in row._data[PORTS].values]  # noqa: SLF001


def _insert(replica: Replica, txn: idl.Transaction, table: str, name: str) -> idl.Row:
    row = txn.insert(replica.tables[table])
    row.name = name
    return row


def _map(row: idl.Row, column: str) -> dict[str, str]:
    """What a row has there; a new one has nothing, not even a value."""
    return getattr(row, column, None) or {}


def _members(replica: Replica, group: idl.Row | None) -> list[idl.Row]:
    """The chassis of a group, the preferred one first."""
    if group is None or group._data is None:  # noqa: SLF001  # None: a new row
        return []
    found = (replica.tables[CHASSIS].rows.get(uuid) for uuid in references(group, "ha_chassis"))
    return sorted((row for row in found if row is not None), key=lambda row: (-row.priority, row.chassis_name))


def _peer(vpc: str) -> str:
    return f"{bfd_port(vpc)}.peer"


def _by_family(address: str) -> tuple[bool, str]:
    return ":" in address, address
