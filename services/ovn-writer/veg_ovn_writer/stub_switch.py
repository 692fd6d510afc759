"""The stub switch of a BFD port, with the peers of the router ports that it joins: of that port, and of its relay.

By operations of its own: we keep no copy of what other switches and ports are.
"""

from typing import Any, Final

from ovs.db import idl

from veg_contracts.intent import BfdRouterPort
from veg_contracts.names import OWNER_KEY, bfd_peer, bfd_port, bfd_relay, stub_switch_owner_ids
from veg_ovn_writer.errors import taken
from veg_ovn_writer.replica import SWITCH, Replica
from veg_ovn_writer.tables.base import EXTERNAL_IDS, PORT
from veg_ovn_writer.tables.port_group import PORTS

# Names within one transaction.
_PEER: Final = "peer"
_RELAY_PEER: Final = "relay_peer"


def make(replica: Replica, txn: idl.Transaction, vpc: str, switch: idl.Row | None, wanted: BfdRouterPort) -> None:
    """The whole of it anew.

    Raises:
        CannotApplyError: a port of that name is there and not ours.
        NotNowError: no server answers.
    """
    if switch is not None:
        switch.verify(EXTERNAL_IDS)
        switch.delete()
    _insert(replica, txn, vpc, bfd_port(vpc), _PEER)
    peers = [_PEER]
    if wanted.relay is not None:
        _insert(replica, txn, vpc, wanted.relay.name, _RELAY_PEER)
        peers.append(_RELAY_PEER)
    ports = ["set", [["named-uuid", peer] for peer in peers]]
    txn.add_op({"op": "insert", "table": SWITCH, "row": {"name": bfd_port(vpc), PORTS: ports, EXTERNAL_IDS: _ids(vpc)}})


def ensure_relay(replica: Replica, txn: idl.Transaction, vpc: str, switch: idl.Row, wanted: BfdRouterPort) -> None:
    """Have the relay's peer on this switch, or not. The switch stays: a session goes by it.

    Raises:
        CannotApplyError: a port of that name is there and not ours.
        NotNowError: no server answers.
    """
    if wanted.relay is None:
        peer = bfd_peer(bfd_relay(vpc))
        if replica.port(peer) is not None and replica.port_ids(peer).get(OWNER_KEY) == vpc:
            _take_away(replica, txn, peer)
        return
    _insert(replica, txn, vpc, wanted.relay.name, _RELAY_PEER)
    # A switch that has lost our key by now is not changed; the new port belongs to nothing then, and is none.
    where = [["_uuid", "==", ["uuid", str(switch.uuid)]], [EXTERNAL_IDS, "includes", ["map", [[OWNER_KEY, vpc]]]]]
    comes = [[PORTS, "insert", ["set", [["named-uuid", _RELAY_PEER]]]]]
    txn.add_op({"op": "mutate", "table": SWITCH, "where": where, "mutations": comes})


def _insert(replica: Replica, txn: idl.Transaction, vpc: str, router_port: str, uuid_name: str) -> None:
    """The peer of a router port, in place of one of ours that is there."""
    name = bfd_peer(router_port)
    if replica.port(name) is not None:
        there = replica.port_ids(name)
        if there.get(OWNER_KEY) != vpc:
            raise taken(PORT, repr(name), name, there, vpc)
        # Also on a switch that is not ours, or not any more: the port's name can exist once, and the switch stays.
        _take_away(replica, txn, name)
    row = {
        "name": name,
        "type": "router",
        "options": ["map", [["router-port", router_port]]],
        "addresses": ["set", ["router"]],
        EXTERNAL_IDS: _ids(vpc),
    }
    txn.add_op({"op": "insert", "table": PORT, "uuid-name": uuid_name, "row": row})


def _take_away(replica: Replica, txn: idl.Transaction, name: str) -> None:
    uuid = ["uuid", str(replica.port(name))]
    leaves = [[PORTS, "delete", uuid]]
    txn.add_op({"op": "mutate", "table": SWITCH, "where": [[PORTS, "includes", uuid]], "mutations": leaves})


def _ids(vpc: str) -> list[Any]:
    return ["map", [list(item) for item in sorted(stub_switch_owner_ids(vpc).items())]]
