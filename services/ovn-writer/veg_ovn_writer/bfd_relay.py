"""The relay of a BFD port: a router with one port, to which pods send what is meant for that port (decision 0017)."""

from ovs.db import idl

from veg_contracts.intent import BfdRelay
from veg_contracts.names import bfd_relay_owner_ids
from veg_ovn_writer.bfd_parts import Parts, routers_of
from veg_ovn_writer.errors import taken
from veg_ovn_writer.replica import ROUTER_PORT, Replica
from veg_ovn_writer.tables.base import EXTERNAL_IDS, ROUTER
from veg_ovn_writer.tables.port_group import PORTS


def ensure(replica: Replica, txn: idl.Transaction, vpc: str, wanted: BfdRelay | None, parts: Parts) -> None:
    """Make the relay's router and its port what is wanted, or have none.

    Raises:
        CannotApplyError: a row of that name is there and not ours.
    """
    for row in (parts.relay_port, parts.relay):
        if row is not None:
            row.verify(EXTERNAL_IDS)
    if wanted is None:
        if parts.relay_port is not None:
            _take_away(replica, parts.relay_port)
        if parts.relay is not None:
            parts.relay.delete()
        return
    router = parts.relay or _new_router(replica, txn, vpc, wanted.name)
    port = parts.relay_port or _new_port(replica, txn, vpc, wanted.name)
    ids = bfd_relay_owner_ids(vpc)
    port.mac, port.networks = wanted.mac, list(wanted.networks)
    for row in (router, port):
        row.external_ids = {**(getattr(row, EXTERNAL_IDS, None) or {}), **ids}
    if parts.relay_port is None or parts.relay is None or routers_of(replica, port) != [router]:
        _take_away(replica, port)
        router.addvalue(PORTS, port.uuid)


def _new_router(replica: Replica, txn: idl.Transaction, vpc: str, name: str) -> idl.Row:
    # The schema would take a second one of that name, and no one who looks for it by its name could tell them apart.
    for there in replica.routers_named(name):
        raise taken(ROUTER, repr(name), name, there.external_ids, vpc)
    row = txn.insert(replica.tables[ROUTER])
    row.name = name
    return row


def _new_port(replica: Replica, txn: idl.Transaction, vpc: str, name: str) -> idl.Row:
    there = replica.named(ROUTER_PORT, name)
    if there is not None:
        raise taken(ROUTER_PORT, repr(name), name, there.external_ids, vpc)
    row = txn.insert(replica.tables[ROUTER_PORT])
    row.name = name
    return row


def _take_away(replica: Replica, port: idl.Row) -> None:
    """From whatever router it is on. One that is on none goes."""
    for router in routers_of(replica, port):
        router.delvalue(PORTS, port.uuid)
