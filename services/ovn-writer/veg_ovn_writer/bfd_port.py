"""The BFD port of a Vpc: a router port, its HA_Chassis_Group, and a stub switch as its peer, all of one name.

They are one thing made of several rows, so they are read and written as one, unlike the rows of `tables`. A router port
of that name that is not ours is somebody's BFD port all the same: nothing of it is touched. Runs in the connection's
thread.
"""

from collections.abc import Iterable
from typing import Any, Final

from ovs.db import idl

from veg_contracts.intent import BfdRouterPort
from veg_contracts.names import OWNER_KEY, bfd_port, bfd_port_owner_ids
from veg_ovn_writer.replica import CHASSIS, GROUP, ROUTER_PORT, SWITCH, Replica
from veg_ovn_writer.snapshot import references
from veg_ovn_writer.tables.base import EXTERNAL_IDS, PORT, ROUTER
from veg_ovn_writer.tables.port_group import PORTS

_PRIORITY_MAX: Final = 100  # of the chassis that is preferred, as Kube-OVN counts; each further one has one less
_OPTIONS: Final = {"bfd-only": "true"}
OURS, FOREIGN = "ours", "foreign"


def read(replica: Replica) -> dict[str, tuple[str, BfdRouterPort]]:
    """The BFD ports of ours, by their owner, each with the router it is on; also where only a part of one is left."""
    owners = {row.external_ids.get(OWNER_KEY) for name in (ROUTER_PORT, GROUP, SWITCH) for row in _rows(replica, name)}
    routers = {uuid: router.name for router in _rows(replica, ROUTER) for uuid in references(router, PORTS)}
    found = {}
    for owner in sorted(filter(None, owners)):
        port, group = _owned(replica, ROUTER_PORT, owner), _owned(replica, GROUP, owner)
        refers = group is not None and port is not None and group.uuid in references(port, "ha_chassis_group")
        whole = refers and _owned(replica, SWITCH, owner) is not None and replica.port(_peer(owner)) is not None
        value = BfdRouterPort(
            name=bfd_port(owner),
            mac=port.mac if port is not None else "",
            networks=tuple(sorted(port.networks, key=_by_family)) if port is not None else (),
            chassis=tuple(row.chassis_name for row in _members(replica, group)),
            intact=whole and port is not None and _OPTIONS.items() <= port.options.items(),
        )
        found[owner] = (routers.get(port.uuid, "") if port is not None else "", value)
    return found


def ensure(
    replica: Replica, txn: idl.Transaction, vpc: str, router: idl.Row | None, wanted: BfdRouterPort | None
) -> str:
    """Make the BFD port of `vpc` on its router what is wanted, or have none; whose it is, empty for none."""
    named = [row for row in _rows(replica, ROUTER_PORT) if wanted is not None and row.name == wanted.name]
    if any(row.external_ids.get(OWNER_KEY) != vpc for row in named):
        _remove(replica, txn, vpc)
        return FOREIGN
    if wanted is None or router is None:
        _remove(replica, txn, vpc)
        return ""
    before = read(replica).get(vpc)
    if before == (router.name, wanted):
        return OURS
    if before is not None and before[0] != router.name:
        _remove_port(replica, vpc)
    _write(replica, txn, vpc, router, wanted)
    return OURS


def _write(replica: Replica, txn: idl.Transaction, vpc: str, router: idl.Row, wanted: BfdRouterPort) -> None:
    ids = bfd_port_owner_ids(vpc)
    group = _owned(replica, GROUP, vpc) or _insert(replica, txn, GROUP, name=wanted.name, external_ids=ids)
    known = {row.chassis_name: row for row in _members(replica, group)}
    members = []
    for index, name in enumerate(wanted.chassis):
        row = known.get(name) or _insert(replica, txn, CHASSIS, chassis_name=name, external_ids={**ids, "group": vpc})
        row.priority = _PRIORITY_MAX - index
        members.append(row.uuid)
    group.ha_chassis = members
    port = _owned(replica, ROUTER_PORT, vpc) if router.name in _routers_of(replica, vpc) else None
    if port is None:
        port = _insert(replica, txn, ROUTER_PORT, name=wanted.name, external_ids=ids)
        router.verify("name")
        router.addvalue(PORTS, port.uuid)
    port.mac, port.networks = wanted.mac, list(wanted.networks)
    port.options = {**(getattr(port, "options", None) or {}), **_OPTIONS}
    port.ha_chassis_group = [group.uuid]
    _write_peer(replica, txn, vpc)


def _write_peer(replica: Replica, txn: idl.Transaction, vpc: str) -> None:
    """The stub switch. By operations of its own: we keep no copy of what other switches and ports are made of."""
    if _owned(replica, SWITCH, vpc) is not None and replica.port(_peer(vpc)) is not None:
        return
    _remove_peer(txn, vpc)
    ids = ["map", [list(item) for item in sorted(bfd_port_owner_ids(vpc).items())]]
    peer = {
        "name": _peer(vpc),
        "type": "router",
        "options": ["map", [["router-port", bfd_port(vpc)]]],
        "addresses": ["set", ["router"]],
        EXTERNAL_IDS: ids,
    }
    switch = {"name": bfd_port(vpc), PORTS: ["set", [["named-uuid", "peer"]]], EXTERNAL_IDS: ids}
    txn.add_op({"op": "insert", "table": PORT, "uuid-name": "peer", "row": peer})
    txn.add_op({"op": "insert", "table": SWITCH, "row": switch})


def _remove(replica: Replica, txn: idl.Transaction, vpc: str) -> None:
    if vpc not in read(replica):
        return
    _remove_port(replica, vpc)
    if (group := _owned(replica, GROUP, vpc)) is not None:
        group.delete()
    _remove_peer(txn, vpc)


def _remove_port(replica: Replica, vpc: str) -> None:
    port = _owned(replica, ROUTER_PORT, vpc)
    if port is not None:
        port.ha_chassis_group = []  # else its group could not go in the same transaction
    for router in _rows(replica, ROUTER):
        if port is not None and port.uuid in references(router, PORTS):
            router.delvalue(PORTS, port.uuid)


def _remove_peer(txn: idl.Transaction, vpc: str) -> None:
    ours = [EXTERNAL_IDS, "includes", ["map", [[OWNER_KEY, vpc]]]]
    txn.add_op({"op": "delete", "table": SWITCH, "where": [["name", "==", bfd_port(vpc)], ours]})


def _routers_of(replica: Replica, vpc: str) -> list[str]:
    port = _owned(replica, ROUTER_PORT, vpc)
    routers = _rows(replica, ROUTER) if port is not None else ()
    return [router.name for router in routers if port is not None and port.uuid in references(router, PORTS)]


def _insert(replica: Replica, txn: idl.Transaction, table: str, **columns: Any) -> idl.Row:
    row = txn.insert(replica.tables[table])
    for name, value in columns.items():
        setattr(row, name, value)
    return row


def _members(replica: Replica, group: idl.Row | None) -> list[idl.Row]:
    """The chassis of a group, the preferred one first."""
    if group is None or group._data is None:  # noqa: SLF001  # None: a new row
        return []
    found = (replica.tables[CHASSIS].rows.get(uuid) for uuid in references(group, "ha_chassis"))
    return sorted((row for row in found if row is not None), key=lambda row: (-row.priority, row.chassis_name))


def _owned(replica: Replica, table: str, vpc: str) -> idl.Row | None:
    rows = [
        row for row in _rows(replica, table) if row.external_ids.get(OWNER_KEY) == vpc and row.name == bfd_port(vpc)
    ]
    return min(rows, key=lambda row: row.uuid, default=None)


def _rows(replica: Replica, table: str) -> Iterable[idl.Row]:
    return list(replica.tables[table].rows.values())


def _peer(vpc: str) -> str:
    return f"{bfd_port(vpc)}.peer"


def _by_family(address: str) -> tuple[bool, str]:
    return ":" in address, address
