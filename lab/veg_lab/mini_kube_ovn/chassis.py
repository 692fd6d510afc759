"""The chassis of the nodes, as the southbound database has them: each node's ovn-controller makes its own."""

from collections.abc import Collection
from typing import Any

from ovsdbapp import exceptions
from ovsdbapp.backend.ovs_idl import command
from ovsdbapp.schema.ovn_southbound import impl_idl

from veg_lab.mini_kube_ovn.ovsdb import connect

_TABLES = ("Chassis", "Encap")  # all of a southbound database would be a copy of every flow


class ChassisError(Exception):
    """The southbound database could not be written; the next pass tries again."""


class SouthboundDatabase:
    def __init__(self, remote: str) -> None:
        self._api = impl_idl.OvnSbApiIdlImpl(connect(remote, "OVN_Southbound", _TABLES))
        self._nodes: set[str] = set()

    def of_nodes(self, nodes: Collection[str]) -> dict[str, str]:
        """The name of the chassis of each node that has one.

        The chassis of a node whose object is gone since the last call goes as well, as Kube-OVN does it.

        Raises:
            ChassisError: the database did not take the change.
        """
        try:
            _Forget(self._api, self._nodes - set(nodes)).execute(check_error=True, log_errors=False)
        except (RuntimeError, exceptions.TimeoutException) as error:
            raise ChassisError(f"southbound database: {error}") from error
        self._nodes = set(nodes)
        rows = list(self._api.tables["Chassis"].rows.values())
        return {row.hostname: row.name for row in rows if row.hostname in self._nodes}


class _Forget(command.BaseCommand):  # type: ignore[misc] # ovsdbapp ships no types
    """Delete the chassis of these nodes; what ovn-controllers keep in other tables stays, as with Kube-OVN."""

    def __init__(self, api: Any, nodes: Collection[str]) -> None:
        super().__init__(api)
        self._nodes = nodes

    def __str__(self) -> str:
        return f"forget the chassis of {sorted(self._nodes)}"

    __repr__ = __str__

    def run_idl(self, txn: Any) -> None:  # noqa: ARG002  the rows know it
        for row in list(self.api.tables["Chassis"].rows.values()):
            if row.hostname in self._nodes:
                row.delete()
