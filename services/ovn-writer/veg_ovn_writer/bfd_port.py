"""The BFD port of a Vpc: a router port, its HA_Chassis_Group, and a stub switch as its peer, all of one name.

They are one thing made of several rows, so they are read and written as one, unlike the rows of `tables`. A router port
of that name that is not ours is somebody's BFD port all the same: it is used, and nothing of it is touched. What is
ours says so itself, by our key (docs/decisions/0013), down to each chassis. Where it is known that the port is
Kube-OVN's, the stub switch alone is wanted (`peer_only`); a router port that was ours until then is handed over: it
stays and loses our key. Runs in the connection's thread.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec
from ovs.db import data, idl, types

from veg_contracts.intent import BfdRouterPort
from veg_contracts.names import (
    OWNER_KEY,
    bfd_port,
    bfd_port_owner_ids,
    chassis_group_owner_ids,
    chassis_owner_ids,
    stub_switch_owner_ids,
)
from veg_ovn_writer.errors import taken
from veg_ovn_writer.replica import CHASSIS, GROUP, ROUTER_PORT, SWITCH, Replica
from veg_ovn_writer.snapshot import references
from veg_ovn_writer.tables.base import EXTERNAL_IDS, PORT, ROUTER
from veg_ovn_writer.tables.port_group import PORTS

_PRIORITY_MAX: Final = 100  # of the chassis that is preferred, as Kube-OVN counts; each further one has one less
_OPTIONS: Final = {"bfd-only": "true"}
_GROUP_OF: Final = "ha_chassis_group"
OURS, FOREIGN, PEER = "ours", "foreign", "peer"


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
    """Make the BFD port of `vpc` on its router what is wanted, or have none; what of it is ours, empty for none.

    Raises:
        CannotApplyError: a row with a name of ours is there and not ours.
        NotNowError: no server answers.
    """
    parts = _parts(replica, vpc).get(vpc, _Parts())
    if wanted is not None and wanted.peer_only:
        _ensure_peer(replica, txn, vpc, wanted, parts)
        return PEER
    other = _other(replica, vpc, wanted) if wanted is not None else None
    if wanted is None or router is None or other is not None:
        _give_up(replica, parts, _of_others(replica, vpc))
        return FOREIGN if other is not None else ""
    routers = _routers(replica, parts.port) if parts.port is not None else []
    if routers == [router] and _value(replica, vpc, parts) == wanted:
        return OURS
    for row in parts:
        row.verify(EXTERNAL_IDS)  # our copy may be a moment behind: what lost our key by now is not ours
    for row in parts.strays:
        _remove(replica, row)
    for elsewhere in routers:
        if elsewhere != router and parts.port is not None:
            elsewhere.delvalue(PORTS, parts.port.uuid)
    if router not in routers:
        parts.port = None  # one that was elsewhere goes with that
    _write(replica, txn, vpc, router, wanted, parts)
    return OURS


def _ensure_peer(replica: Replica, txn: idl.Transaction, vpc: str, wanted: BfdRouterPort, parts: _Parts) -> None:
    """Only the stub switch is ours. A router port that was ours is handed over: its maker may not make another one."""
    if _value(replica, vpc, parts) == wanted:
        return
    if parts.port is not None:
        _hand_over(parts.port)
    _give_up(replica, _Parts(group=parts.group, strays=parts.strays), replica.named(ROUTER_PORT, wanted.name))
    if parts.strays or not _peered(replica, vpc, parts):
        _write_peer(replica, txn, vpc, parts.switch)


def _give_up(replica: Replica, parts: _Parts, stays: idl.Row | None) -> None:
    """Remove these rows of ours, but hand a group over to the router port that stays and uses it."""
    used = set(references(stays, _GROUP_OF)) if stays is not None else set()
    for row in parts:
        if row.uuid in used:
            for each in (row, *(member for member in _members(replica, row) if OWNER_KEY in member.external_ids)):
                _hand_over(each)
        else:
            row.verify(EXTERNAL_IDS)
            _remove(replica, row)


def _hand_over(row: idl.Row) -> None:
    """Take our key off a row, which stays as it is: from here on it is another one's."""
    row.verify(EXTERNAL_IDS)
    row.external_ids = {key: value for key, value in row.external_ids.items() if key != OWNER_KEY}


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
    port, group, peered = parts.port, parts.group, _peered(replica, vpc, parts)
    if port is None and group is None and not parts.strays:
        empty = BfdRouterPort(name=bfd_port(vpc), mac="", networks=(), chassis=(), peer_only=True)
        return msgspec.structs.replace(empty, intact=peered, peered=peered)
    owned = _has(port, bfd_port_owner_ids(vpc)) and _has(group, chassis_group_owner_ids(vpc))
    whole = owned and peered and not parts.strays
    intact = whole and port is not None and group is not None and group.uuid in references(port, _GROUP_OF)
    members = _members(replica, group)
    return BfdRouterPort(
        name=bfd_port(vpc),
        mac=port.mac if port is not None else "",
        networks=tuple(sorted(port.networks, key=_by_family)) if port is not None else (),
        chassis=tuple(row.chassis_name for row in members),
        peered=peered,
        intact=intact
        and port is not None
        and _OPTIONS.items() <= port.options.items()
        and all(_has(row, chassis_owner_ids(vpc)) for row in members)
        and [row.priority for row in members] == [_PRIORITY_MAX - index for index in range(len(members))],
    )


def _peered(replica: Replica, vpc: str, parts: _Parts) -> bool:
    """Whether the stub switch and its port are there."""
    return replica.port(_peer(vpc)) is not None and _has(parts.switch, stub_switch_owner_ids(vpc))


def _of_others(replica: Replica, vpc: str) -> idl.Row | None:
    """The router port of that name, if it is not ours."""
    row = replica.named(ROUTER_PORT, bfd_port(vpc))
    return row if row is not None and row.external_ids.get(OWNER_KEY) != vpc else None


def _other(replica: Replica, vpc: str, wanted: BfdRouterPort) -> idl.Row | None:
    """Somebody else's router port of that name.

    Raises:
        CannotApplyError: it has our address and no owner: to leave it to itself would cost it its peer.
    """
    row = _of_others(replica, vpc)
    if row is None:
        return None
    if row.mac == wanted.mac and OWNER_KEY not in row.external_ids:
        raise taken(ROUTER_PORT, repr(row.name), row.name, row.external_ids, vpc)
    return row


def _write(
    replica: Replica, txn: idl.Transaction, vpc: str, router: idl.Row, wanted: BfdRouterPort, parts: _Parts
) -> None:
    group = parts.group or _new_group(replica, txn, vpc, wanted.name)
    # A chassis of somebody else in our group leaves it; the same chassis gets a row of ours.
    known = {row.chassis_name: row for row in _members(replica, group) if row.external_ids.get(OWNER_KEY) == vpc}
    members = []
    for index, name in enumerate(wanted.chassis):
        row = known.get(name) or txn.insert(replica.tables[CHASSIS])
        row.chassis_name, row.priority = name, _PRIORITY_MAX - index
        row.external_ids = {**_map(row, EXTERNAL_IDS), **chassis_owner_ids(vpc)}
        members.append(row.uuid)
    group.ha_chassis = members
    group.external_ids = {**_map(group, EXTERNAL_IDS), **chassis_group_owner_ids(vpc)}
    port = parts.port
    if port is None:
        port = _insert(replica, txn, ROUTER_PORT, wanted.name)
        router.verify("name")
        router.addvalue(PORTS, port.uuid)
    port.mac, port.networks = wanted.mac, list(wanted.networks)
    port.options = {**_map(port, "options"), **_OPTIONS}
    port.ha_chassis_group = [group.uuid]
    port.external_ids = {**_map(port, EXTERNAL_IDS), **bfd_port_owner_ids(vpc)}
    if not _peered(replica, vpc, parts):
        _write_peer(replica, txn, vpc, parts.switch)


def _new_group(replica: Replica, txn: idl.Transaction, vpc: str, name: str) -> idl.Row:
    there = replica.named(GROUP, name)
    if there is not None:
        raise taken(GROUP, repr(name), name, there.external_ids, vpc)
    return _insert(replica, txn, GROUP, name)


def _write_peer(replica: Replica, txn: idl.Transaction, vpc: str, switch: idl.Row | None) -> None:
    """The stub switch, made anew. By operations of its own: we keep no copy of what other switches and ports are."""
    if switch is not None:
        switch.verify(EXTERNAL_IDS)
        switch.delete()
    ids = stub_switch_owner_ids(vpc)
    port = replica.port(_peer(vpc))
    if port is not None:
        there = replica.port_ids(_peer(vpc))
        if there.get(OWNER_KEY) != vpc:
            raise taken(PORT, repr(_peer(vpc)), _peer(vpc), there, vpc)
        # Ours on a switch that is not, or not any more: the port's name can exist once, and the switch stays.
        uuid = ["uuid", str(port)]
        leaves = [[PORTS, "delete", uuid]]
        txn.add_op({"op": "mutate", "table": SWITCH, "where": [[PORTS, "includes", uuid]], "mutations": leaves})
    written = ["map", [list(item) for item in sorted(ids.items())]]
    peer = {
        "name": _peer(vpc),
        "type": "router",
        "options": ["map", [["router-port", bfd_port(vpc)]]],
        "addresses": ["set", ["router"]],
        EXTERNAL_IDS: written,
    }
    made = {"name": bfd_port(vpc), PORTS: ["set", [["named-uuid", "peer"]]], EXTERNAL_IDS: written}
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


def _has(row: idl.Row | None, ids: Mapping[str, str]) -> bool:
    return row is not None and ids.items() <= row.external_ids.items()


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
