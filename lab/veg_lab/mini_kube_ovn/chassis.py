"""One chassis per node in the southbound database, as each node of a real cluster has.

Only one has an ovn-controller behind it: the lab's own, which bears the hostname of the first node. The others are
names for HA groups and annotations. Nobody waits for them: who follows the northbound database is counted in the table
Chassis_Private, where only an ovn-controller puts a row.
"""

from collections.abc import Collection, Iterable
from ipaddress import IPv4Address
from typing import Any

from ovsdbapp import exceptions
from ovsdbapp.backend.ovs_idl import command
from ovsdbapp.schema.ovn_southbound import impl_idl

from veg_lab.mini_kube_ovn.bootstrap import BASE_NODES
from veg_lab.mini_kube_ovn.names import chassis_name
from veg_lab.mini_kube_ovn.ovsdb import connect

_TABLES = ("Chassis", "Encap")  # all of a southbound database would be a copy of every flow
# The lab's own ovn-controller tunnels from 127.0.0.1.
_FIRST_TUNNEL_END = IPv4Address("127.0.0.2")


class ChassisError(Exception):
    """The southbound database could not be written; the next pass tries again."""


class SouthboundDatabase:
    def __init__(self, remote: str) -> None:
        self._api = impl_idl.OvnSbApiIdlImpl(connect(remote, "OVN_Southbound", _TABLES))

    def ensure(self, nodes: Collection[str]) -> dict[str, str]:
        """A chassis for every node and for no other; the names of those that exist by node. Raises ChassisError."""
        try:
            with self._api.transaction(check_error=True, log_errors=False) as transaction:
                transaction.add(EnsureChassis(self._api, nodes))
        except (RuntimeError, exceptions.TimeoutException) as error:
            raise ChassisError(f"southbound database: {error}") from error
        return {row.hostname: row.name for row in self._rows("Chassis") if row.hostname in nodes}

    def _rows(self, table: str) -> list[Any]:
        return list(self._api.tables[table].rows.values())


class EnsureChassis(command.BaseCommand):  # type: ignore[misc] # ovsdbapp ships no types
    """Compares inside the transaction, so that a retry starts from what the database holds then."""

    def __init__(self, api: Any, nodes: Collection[str]) -> None:
        super().__init__(api)
        self._nodes = nodes

    def __str__(self) -> str:
        return "ensure a chassis for each node"

    __repr__ = __str__

    def run_idl(self, txn: Any) -> None:
        present = {row.name: row for row in self.api.tables["Chassis"].rows.values()}
        wanted = {chassis_name(node): node for node in without_process(self._nodes)}
        # Before any is deleted: of such a row nothing can be read any more.
        taken = {encap.ip for row in present.values() for encap in row.encaps}
        for name in present.keys() - wanted.keys():
            if name.startswith(chassis_name("")):
                present[name].delete()
        for name in sorted(wanted.keys() - present.keys()):
            tunnel_end = free_tunnel_end(taken)
            taken.add(tunnel_end)
            self._add(txn, name, wanted[name], tunnel_end)

    def _add(self, txn: Any, name: str, node: str, tunnel_end: str) -> None:
        encap = txn.insert(self.api.tables["Encap"])
        encap.type, encap.ip, encap.chassis_name = "geneve", tunnel_end, name
        encap.options = {"csum": "true"}
        chassis = txn.insert(self.api.tables["Chassis"])
        chassis.name, chassis.hostname, chassis.encaps = name, node, [encap]


def without_process(nodes: Iterable[str]) -> list[str]:
    """The nodes whose chassis no process makes. That of the first one may be away for a while, and is not replaced."""
    return sorted(node for node in nodes if node != BASE_NODES[0].name)


def free_tunnel_end(taken: Collection[str]) -> str:
    """The lowest address of the loopback that no chassis tunnels from."""
    address = _FIRST_TUNNEL_END
    while str(address) in taken:
        address += 1
    return str(address)
