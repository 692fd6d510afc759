"""The BFD port of a Vpc: a router port, its HA_Chassis_Group, a stub switch as its peer, and the relay behind that.

They are one thing made of several rows, so they are read and written as one, unlike the rows of `tables`. A router port
of that name that is not ours is somebody's BFD port all the same: it is used, and nothing of it is touched. What is
ours says so itself, by our key (docs/decisions/0013), down to each chassis. Where it is known that the port is
Kube-OVN's, the stub switch and what is on it are wanted alone (`peer_only`); a router port that was ours until then is
handed over: it stays and loses our key. Runs in the connection's thread.
"""

from collections.abc import Iterable

from ovs.db import idl

from veg_contracts.intent import BfdRouterPort
from veg_contracts.names import OWNER_KEY, bfd_port, bfd_port_owner_ids, chassis_group_owner_ids, chassis_owner_ids
from veg_ovn_writer import bfd_parts, bfd_relay, stub_switch
from veg_ovn_writer.bfd_parts import Parts, routers_of
from veg_ovn_writer.errors import taken
from veg_ovn_writer.replica import CHASSIS, GROUP, ROUTER_PORT, Replica
from veg_ovn_writer.snapshot import references
from veg_ovn_writer.tables.base import EXTERNAL_IDS, ROUTER
from veg_ovn_writer.tables.port_group import PORTS

OURS, FOREIGN, PEER = "ours", "foreign", "peer"


def read(replica: Replica) -> dict[str, tuple[str, BfdRouterPort]]:
    """The BFD ports of ours, by their owner, each with the router it is on; also where only a part of one is left."""
    found = bfd_parts.find(replica)
    rows = replica.tables[ROUTER].rows.values() if found else ()
    routers = {uuid: router.name for router in rows for uuid in references(router, PORTS)}
    return {
        vpc: (routers.get(parts.port.uuid, "") if parts.port is not None else "", bfd_parts.value(replica, vpc, parts))
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
    parts = bfd_parts.find(replica, vpc).get(vpc, Parts())
    if wanted is not None and wanted.peer_only:
        _ensure_peer(replica, txn, vpc, wanted, parts)
        return PEER
    other = _other(replica, vpc, wanted) if wanted is not None else None
    if wanted is None or router is None or other is not None:
        _give_up(replica, parts, _of_others(replica, vpc))
        return FOREIGN if other is not None else ""
    routers = routers_of(replica, parts.port) if parts.port is not None else []
    if routers == [router] and bfd_parts.value(replica, vpc, parts) == wanted:
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


def _ensure_peer(replica: Replica, txn: idl.Transaction, vpc: str, wanted: BfdRouterPort, parts: Parts) -> None:
    """Only the stub switch and the relay are ours. A router port that was is handed over: nobody may make another."""
    if bfd_parts.value(replica, vpc, parts) == wanted:
        return
    if parts.port is not None:
        _hand_over(parts.port)
    _give_up(replica, Parts(group=parts.group, strays=parts.strays), replica.named(ROUTER_PORT, wanted.name))
    _ensure_switch(replica, txn, vpc, wanted, parts)


def _ensure_switch(replica: Replica, txn: idl.Transaction, vpc: str, wanted: BfdRouterPort, parts: Parts) -> None:
    """The stub switch, and the relay behind it."""
    if parts.switch is None or parts.strays or not bfd_parts.is_peered(replica, vpc, parts):
        stub_switch.make(replica, txn, vpc, parts.switch, wanted)
    elif bfd_parts.relay(vpc, parts) != wanted.relay or not bfd_parts.is_relaying(replica, vpc, parts):
        stub_switch.ensure_relay(replica, txn, vpc, parts.switch, wanted)
    bfd_relay.ensure(replica, txn, vpc, wanted.relay, parts)


def _give_up(replica: Replica, parts: Parts, stays: idl.Row | None) -> None:
    """Remove these rows of ours, but hand a group over to the router port that stays and uses it."""
    used = set(references(stays, bfd_parts.GROUP_OF)) if stays is not None else set()
    for row in parts:
        if row.uuid in used:
            for each in (row, *(row for row in bfd_parts.members(replica, row) if OWNER_KEY in row.external_ids)):
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


def is_others(replica: Replica, vpc: str, wanted: BfdRouterPort | None) -> bool:
    """Whether somebody else's router port is where one of ours is wanted.

    Raises:
        CannotApplyError: as `ensure`.
    """
    return wanted is not None and not wanted.peer_only and _other(replica, vpc, wanted) is not None


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
    replica: Replica, txn: idl.Transaction, vpc: str, router: idl.Row, wanted: BfdRouterPort, parts: Parts
) -> None:
    group = parts.group or _new_group(replica, txn, vpc, wanted.name)
    # A chassis of somebody else in our group leaves it; the same chassis gets a row of ours.
    found = bfd_parts.members(replica, group)
    known = {row.chassis_name: row for row in found if row.external_ids.get(OWNER_KEY) == vpc}
    members = []
    for index, name in enumerate(wanted.chassis):
        row = known.get(name) or txn.insert(replica.tables[CHASSIS])
        row.chassis_name, row.priority = name, bfd_parts.PRIORITY_MAX - index
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
    port.options = {**_map(port, "options"), **bfd_parts.OPTIONS}
    port.ha_chassis_group = [group.uuid]
    port.external_ids = {**_map(port, EXTERNAL_IDS), **bfd_port_owner_ids(vpc)}
    _ensure_switch(replica, txn, vpc, wanted, parts)


def _new_group(replica: Replica, txn: idl.Transaction, vpc: str, name: str) -> idl.Row:
    there = replica.named(GROUP, name)
    if there is not None:
        raise taken(GROUP, repr(name), name, there.external_ids, vpc)
    return _insert(replica, txn, GROUP, name)


def _remove(replica: Replica, row: idl.Row) -> None:
    if row._table.name != ROUTER_PORT:  # noqa: SLF001  # the library has no other way to a row's table
        row.delete()
        return
    row.ha_chassis_group = []  # else its group could not go in the same transaction
    for router in routers_of(replica, row):
        router.delvalue(PORTS, row.uuid)


def _insert(replica: Replica, txn: idl.Transaction, table: str, name: str) -> idl.Row:
    row = txn.insert(replica.tables[table])
    row.name = name
    return row


def _map(row: idl.Row, column: str) -> dict[str, str]:
    """What a row has there; a new one has nothing, not even a value."""
    return getattr(row, column, None) or {}
