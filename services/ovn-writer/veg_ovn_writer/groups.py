"""Who is in a port group: reading it, and changing it port by port. Runs in the connection's thread.

A port is added or removed by a mutation of its own (RFC 7047, 5.2.4), never by writing the whole set, so that one pod
costs the wire, the server and every northd one port, however many are in the group.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from ovs.db import data, idl, types

from veg_contracts.commands import ChangeMembers, EnsureMembers
from veg_contracts.events import MembersObserved
from veg_contracts.names import port_group_owner_ids
from veg_ovn_writer.errors import CannotApplyError, UnknownMembersError, taken
from veg_ovn_writer.replica import Replica
from veg_ovn_writer.roster import Membership
from veg_ovn_writer.snapshot import references
from veg_ovn_writer.tables import PORT_GROUP
from veg_ovn_writer.tables.base import EXTERNAL_IDS, PORT
from veg_ovn_writer.tables.port_group import PORTS

# An observation names no more than this of either kind, so that it stays below the bus's limit: a port's name has at
# most 63 + 1 + 253 characters. Whoever repairs it sends the whole anyway.
_NAMES_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class Moves:
    """How many ports a command put in and took out, and how many it names that do not exist yet."""

    added: int = 0
    removed: int = 0
    awaited: int = 0


def make(replica: Replica, txn: idl.Transaction, name: str, gateway: str) -> idl.Row:
    """A new port group of that name, for `gateway` to own. The schema lets a name exist once.

    Raises:
        CannotApplyError: one that is not this gateway's is there, or it is no name.
    """
    if "\0" in name:  # see `apply`: the server's parser gives up on the connection
        raise CannotApplyError(f"{PORT_GROUP.name} {name!r}: a NUL character is not allowed")
    if (there := replica.group_named(name)) is not None:
        raise taken(PORT_GROUP.name, repr(name), name, there.external_ids, gateway)
    row = txn.insert(replica.tables[PORT_GROUP.name])
    row.name = name
    return row


def ensure(replica: Replica, txn: idl.Transaction, order: EnsureMembers) -> Moves:
    """Let exactly the ports of `order` be in the group, as far as they exist.

    Raises:
        CannotApplyError: the group belongs to somebody else, or the schema has no such table.
        NotNowError: the database is not set up yet.
    """
    replica.check_schema(PORT_GROUP)
    row = replica.group_of(order.gateway, order.port_group)
    if row is None and not order.ports:
        return Moves()
    if row is None:
        row = make(replica, txn, order.port_group, order.gateway)
        row.external_ids = port_group_owner_ids(order.gateway)
    wanted = set(_existing(replica, order.ports))
    found = set(references(row, PORTS)) if row._data is not None else set()  # noqa: SLF001  # None: a new row
    _mutate(replica, row, wanted - found, found - wanted)
    return Moves(len(wanted - found), len(found - wanted), len(set(order.ports)) - len(wanted))


def change(replica: Replica, order: ChangeMembers) -> Moves:
    """Add and remove the ports of `order`, as far as they exist.

    Raises:
        UnknownMembersError: the group is not there, so nothing is known of who is in it.
        CannotApplyError: the schema has no such table.
        NotNowError: the database is not set up yet.
    """
    replica.check_schema(PORT_GROUP)
    row = replica.group_of(order.gateway, order.port_group)
    if row is None:
        raise UnknownMembersError(f"{PORT_GROUP.name} {order.port_group!r} is not there")
    existing = _existing(replica, order.added)
    added = [uuid for uuid in existing if not _holds(row, uuid)]
    removed = [uuid for uuid in _existing(replica, order.removed) if _holds(row, uuid)]
    _mutate(replica, row, added, removed)
    return Moves(len(added), len(removed), len(order.added) - len(existing))


def join(replica: Replica, memberships: Sequence[Membership]) -> list[str]:
    """Put in the ports that are due and exist now; their names."""
    joined = []
    for membership in memberships:
        row = replica.group_of(membership.gateway, membership.port_group)
        existing = {name: replica.port(name) for name in sorted(membership.due)} if row is not None else {}
        added = {name: uuid for name, uuid in existing.items() if uuid is not None and not _holds(row, uuid)}
        if added:
            _mutate(replica, row, added.values(), ())
            joined += list(added)
    return joined


def compare(replica: Replica, memberships: Iterable[Membership]) -> list[MembersObserved]:
    """Which groups do not hold what they should. A group that is gone is a lost row, and told as such elsewhere."""
    events = []
    for membership in memberships:
        row = replica.group_of(membership.gateway, membership.port_group)
        if row is None:
            continue
        found = set(references(row, PORTS))
        here = {uuid: name for name in membership.ports if (uuid := replica.port(name)) is not None}
        missing = sorted(name for uuid, name in here.items() if uuid not in found and name not in membership.due)
        foreign = sorted(name for uuid in found - here.keys() if (name := _name(replica, uuid)))
        if missing or foreign:
            events.append(
                MembersObserved(
                    gateway=membership.gateway,
                    port_group=membership.port_group,
                    generation=membership.generation,
                    missing=tuple(missing[:_NAMES_MAX]),
                    foreign=tuple(foreign[:_NAMES_MAX]),
                )
            )
    return events


def _mutate(replica: Replica, row: idl.Row, added: Iterable[UUID], removed: Iterable[UUID]) -> None:
    row.verify(EXTERNAL_IDS)  # our copy may be a moment behind: a group that lost our key by now is not ours
    for uuid in sorted(added):
        row.addvalue(PORTS, uuid)
    for uuid in sorted(removed):
        row.delvalue(PORTS, uuid)
    replica.nb_global().increment("nb_cfg")  # only if there is anything to commit: see `apply.ensure`


def _existing(replica: Replica, names: Iterable[str]) -> list[UUID]:
    return [uuid for name in dict.fromkeys(names) if (uuid := replica.port(name)) is not None]


def _holds(row: idl.Row, uuid: UUID) -> bool:
    # Not `uuid in row.ports`: that makes a Row of every port in the group, to look for one.
    return data.Atom(types.UuidType, uuid) in row._data[PORTS]  # noqa: SLF001


def _name(replica: Replica, uuid: UUID) -> str:
    port = replica.tables[PORT].rows.get(uuid)
    return str(port.name) if port is not None else ""
