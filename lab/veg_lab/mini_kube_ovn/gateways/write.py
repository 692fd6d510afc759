"""The rows of a gateway of Kube-OVN's own, written to the northbound database. Its other rows are not looked at."""

from collections.abc import Mapping
from typing import Any

from ovsdbapp import exceptions
from ovsdbapp.backend.ovs_idl import command

from veg_lab.mini_kube_ovn.ensure import NorthboundError
from veg_lab.mini_kube_ovn.gateways.decide import Removal
from veg_lab.mini_kube_ovn.gateways.model import FAMILIES
from veg_lab.mini_kube_ovn.gateways.rows import GatewayPolicy, GatewayRows, Session
from veg_lab.mini_kube_ovn.names import FOREIGN_OWNER_KEY, VENDOR


def write(api: Any, rows: GatewayRows | Removal) -> None:
    """Raises NorthboundError."""
    wanted = WriteGateway(api, rows) if isinstance(rows, GatewayRows) else RemoveGateway(api, rows)
    try:
        with api.transaction(check_error=True, log_errors=False) as transaction:
            transaction.add(wanted)
    except (RuntimeError, exceptions.TimeoutException) as error:
        raise NorthboundError(f"rows of gateway {rows.owner}: {error}") from error


class _GatewayCommand(command.BaseCommand):  # type: ignore[misc] # ovsdbapp ships no types
    def _rows(self, table: str) -> list[Any]:
        return list(self.api.tables[table].rows.values())

    def _named(self, table: str, name: str) -> Any:
        return next((row for row in self._rows(table) if row.name == name), None)

    def _router_policies(self, router: Any, owner: str) -> list[Any]:
        return [row for row in getattr(router, "policies", ()) if _belongs(row, owner)]


class WriteGateway(_GatewayCommand):
    """In Kube-OVN's order: sets, group, sessions, policies, and stale sessions last."""

    def __init__(self, api: Any, rows: GatewayRows) -> None:
        super().__init__(api)
        self._wanted = rows

    def __str__(self) -> str:
        return f"write the rows of {self._wanted.owner}"

    __repr__ = __str__

    def run_idl(self, txn: Any) -> None:
        router = self._named("Logical_Router", self._wanted.router)
        if router is None:
            raise RuntimeError(f"router {self._wanted.router} does not exist")
        self._write_group(txn)
        self._write_sets(txn)
        sessions = {each.dst_ip: self._session(txn, each) for each in self._wanted.sessions}
        kept: dict[tuple[int, str], Any] = {}
        wanted = {(each.priority, each.match): each for each in self._wanted.policies}
        for row in self._router_policies(router, self._wanted.owner):
            if (row.priority, row.match) in wanted:
                kept[row.priority, row.match] = row
            else:
                router.delvalue("policies", row)
        for key, policy in wanted.items():
            _write_policy(self.api, txn, (router, kept.get(key)), policy, sessions)
        for row in self._rows("BFD"):
            if _belongs(row, self._wanted.owner) and row.dst_ip not in sessions:
                row.delete()

    def _write_group(self, txn: Any) -> None:
        group = self._named("Port_Group", f"VEG.{self._digest()}")
        if not self._wanted.port_group:
            if group is not None:
                group.delete()
            return
        if group is None:
            group = txn.insert(self.api.tables["Port_Group"])
            group.name, group.external_ids = self._wanted.port_group, dict(self._wanted.group_ids)
        # A pod without a switch port yet is left out, and nobody is told.
        ports = [row for row in self._rows("Logical_Switch_Port") if row.name in self._wanted.ports]
        if {row.name for row in getattr(group, "ports", ())} != {row.name for row in ports}:
            group.ports = ports

    def _digest(self) -> str:
        return self._wanted.address_sets[0].name.split(".")[1]

    def _write_sets(self, txn: Any) -> None:
        names = {each.name for each in self._wanted.address_sets}
        for row in self._rows("Address_Set"):
            if _belongs(row, self._wanted.owner) and row.name not in names:
                row.delete()
        for each in self._wanted.address_sets:
            row = self._named("Address_Set", each.name)
            if row is None:
                row = txn.insert(self.api.tables["Address_Set"])
                row.name, row.external_ids = each.name, dict(each.external_ids)
            if sorted(getattr(row, "addresses", ())) != sorted(each.addresses):
                row.addresses = list(each.addresses)

    def _session(self, txn: Any, wanted: Session) -> Any:
        """One that exists is taken as it is, whoever made it: its timers are never changed."""
        for row in self._rows("BFD"):
            if (row.logical_port, row.dst_ip) == (wanted.logical_port, wanted.dst_ip):
                return row
        row = txn.insert(self.api.tables["BFD"])
        row.logical_port, row.dst_ip, row.external_ids = wanted.logical_port, wanted.dst_ip, dict(wanted.external_ids)
        row.min_rx, row.min_tx, row.detect_mult = [wanted.min_rx], [wanted.min_tx], [wanted.detect_mult]
        return row


class RemoveGateway(_GatewayCommand):
    """Sessions, policies of any priority, the group, the sets: in one transaction, which has no order."""

    def __init__(self, api: Any, removal: Removal) -> None:
        super().__init__(api)
        self._removal = removal

    def __str__(self) -> str:
        return f"remove the rows of {self._removal.owner}"

    __repr__ = __str__

    def run_idl(self, txn: Any) -> None:  # noqa: ARG002  the signature of a command
        router = self._named("Logical_Router", self._removal.router)
        for row in self._router_policies(router, self._removal.owner):
            router.delvalue("policies", row)
        for row in self._rows("BFD"):
            if _belongs(row, self._removal.owner):
                row.delete()
        group = f"VEG.{self._removal.digest}"
        sets = {f"{group}{end}" for family in FAMILIES for end in (f".ipv{family}", f"_ip{family}")}
        for row in (*self._rows("Port_Group"), *self._rows("Address_Set")):
            if row.name == group or row.name in sets:
                row.delete()


def _write_policy(
    api: Any, txn: Any, where: tuple[Any, Any], policy: GatewayPolicy, sessions: Mapping[str, Any]
) -> None:
    """`where` is the router, and the policy as it is there, if it is."""
    router, row = where
    mine = [sessions[address] for address in policy.nexthops if address in sessions]
    if row is None:
        row = txn.insert(api.tables["Logical_Router_Policy"])
        row.priority, row.match, row.action = policy.priority, policy.match, policy.action
        row.external_ids = dict(policy.external_ids)
        row.nexthops, row.bfd_sessions = list(policy.nexthops), mine
        router.addvalue("policies", row)
        return
    if sorted(row.nexthops) != sorted(policy.nexthops):
        row.nexthops = list(policy.nexthops)
    if {each.uuid for each in row.bfd_sessions} != {each.uuid for each in mine}:
        row.bfd_sessions = mine


def _belongs(row: Any, owner: str) -> bool:
    return bool(row.external_ids.get("vendor") == VENDOR["vendor"] and row.external_ids.get(FOREIGN_OWNER_KEY) == owner)
