"""Makes the northbound database hold the desired rows, in one transaction. Rows of other owners stay as they are."""

from collections.abc import Mapping
from typing import Any

from ovsdbapp import exceptions
from ovsdbapp.backend.ovs_idl import command
from ovsdbapp.schema.ovn_northbound import impl_idl

from veg_lab.mini_kube_ovn.behaviours import Behaviour
from veg_lab.mini_kube_ovn.bfd_ports import ensure_bfd_port
from veg_lab.mini_kube_ovn.desired import Northbound, PortGroup, Router, Switch
from veg_lab.mini_kube_ovn.names import FOREIGN_OWNER_KEY, GLOBAL_OPTIONS, VENDOR
from veg_lab.mini_kube_ovn.occasion import Occasion
from veg_lab.mini_kube_ovn.ovsdb import connect
from veg_lab.mini_kube_ovn.services import LoadBalancer
from veg_lab.mini_kube_ovn.sweep import (
    doomed_policy,
    doomed_port_group,
    doomed_route,
    doomed_router,
    doomed_switch,
    route_key,
)

# A value by which a row is recognised as the wanted one, whatever its uuid.
Key = tuple[object, ...]


class NorthboundError(Exception):
    """The database could not be written; the next pass tries again."""


class NorthboundDatabase:
    def __init__(self, remote: str, behaviour: Behaviour) -> None:
        self._api = impl_idl.OvnNbApiIdlImpl(connect(remote, "OVN_Northbound"))
        self._behaviour = behaviour

    @property
    def api(self) -> Any:
        """For further commands."""
        return self._api

    def ensure(self, desired: Northbound, occasion: Occasion) -> None:
        """Idempotent: an equal database is not written. Raises NorthboundError."""
        try:
            # ovsdbapp reports a refused transaction as RuntimeError, a lost server as TimeoutException.
            with self._api.transaction(check_error=True, log_errors=False) as transaction:
                transaction.add(EnsureNorthbound(self._api, desired, occasion, self._behaviour))
        except (RuntimeError, exceptions.TimeoutException) as error:
            raise NorthboundError(f"northbound database: {error}") from error


class EnsureNorthbound(command.BaseCommand):  # type: ignore[misc] # ovsdbapp ships no types
    """Compares inside the transaction, so that a retry starts from what the database holds then."""

    def __init__(self, api: Any, desired: Northbound, occasion: Occasion, behaviour: Behaviour) -> None:
        super().__init__(api)
        self._desired = desired
        self._occasion = occasion
        self._behaviour = behaviour
        self._ports: dict[str, Any] = {}

    def __str__(self) -> str:
        return "ensure the northbound database"

    __repr__ = __str__

    def run_idl(self, txn: Any) -> None:
        self._ports = {}
        for row in self.api.tables["NB_Global"].rows.values():
            _set_map(row, "options", GLOBAL_OPTIONS)
        self._prune("Logical_Switch", {switch.name for switch in self._desired.switches})
        self._prune("Logical_Router", {router.name for router in self._desired.routers})
        self._prune("Port_Group", {group.name for group in self._desired.port_groups})
        self._sweep()
        balancers = {wanted.name: self._ensure_balancer(txn, wanted) for wanted in self._desired.load_balancers}
        for switch in self._desired.switches:
            self._ensure_switch(txn, switch, balancers)
        for router in self._desired.routers:
            self._ensure_router(txn, router)
        for group in self._desired.port_groups:
            self._ensure_group(txn, group)

    def _sweep(self) -> None:
        """Delete what this version of Kube-OVN takes for leftovers now, whoever made it."""
        for row in list(self.api.tables["Logical_Switch"].rows.values()):
            if doomed_switch(row, self._desired.switches, self._occasion, self._behaviour):
                row.delete()
        for row in list(self.api.tables["Logical_Router"].rows.values()):
            if doomed_router(row, self._desired.routers, self._occasion, self._behaviour):
                row.delete()
        for row in list(self.api.tables["Port_Group"].rows.values()):
            if doomed_port_group(row, self._desired.port_groups, self._occasion, self._behaviour):
                row.delete()

    def _prune(self, table: str, wanted: set[str]) -> None:
        for row in list(self.api.tables[table].rows.values()):
            if _is_ours(row) and row.name not in wanted:
                row.delete()

    def _named(self, txn: Any, table: str, name: str, external_ids: Mapping[str, str]) -> Any:
        row = next((row for row in self.api.tables[table].rows.values() if row.name == name), None)
        if row is None:
            row = txn.insert(self.api.tables[table])
            row.name = name
            row.external_ids = dict(external_ids)
        _set_map(row, "external_ids", external_ids)
        return row

    def _ensure_balancer(self, txn: Any, wanted: LoadBalancer) -> Any:
        row = self._named(txn, "Load_Balancer", wanted.name, VENDOR)
        values = {
            "protocol": [wanted.protocol],
            "vips": dict(wanted.vips),
            "options": dict(wanted.options),
            "selection_fields": list(wanted.selection_fields),
        }
        for column, value in values.items():
            if getattr(row, column, None) != value:
                setattr(row, column, value)
        return row

    def _ensure_switch(self, txn: Any, switch: Switch, balancers: Mapping[str, Any]) -> None:
        row = self._named(txn, "Logical_Switch", switch.name, VENDOR)
        found = {balancer.name for balancer in _references(row, "load_balancer")}
        for name in sorted(set(switch.load_balancers) - found):
            row.addvalue("load_balancer", balancers[name])
        wanted: dict[Key, dict[str, Any]] = {
            (port.name,): {
                "name": port.name,
                "type": port.type,
                "addresses": list(port.addresses),
                "options": dict(port.options),
                "external_ids": dict(port.external_ids),
            }
            for port in switch.ports
        }
        rows = self._ensure_children(txn, (row, "ports", "Logical_Switch_Port"), ("name",), wanted)
        self._ports.update({str(key[0]): child for key, child in rows.items()})

    def _ensure_router(self, txn: Any, router: Router) -> None:
        row = self._named(txn, "Logical_Router", router.name, VENDOR)
        ports: dict[Key, dict[str, Any]] = {
            (port.name,): {
                "name": port.name,
                "mac": port.mac,
                "networks": sorted(port.networks),
                "external_ids": {**VENDOR, "lr": router.name, "ls": port.name.removeprefix(f"{router.name}-")},
            }
            for port in router.ports
        }
        self._ensure_children(txn, (row, "ports", "Logical_Router_Port"), ("name",), ports)
        if self._behaviour.makes_bfd_ports:
            ensure_bfd_port(self.api, txn, row, router.bfd_port)
        self._ensure_routes(txn, row, router)
        self._ensure_policies(txn, row, router)

    def _ensure_routes(self, txn: Any, row: Any, router: Router) -> None:
        """A route without external_ids may be of our making, too: it is known by all that it says."""
        wanted = {route.key: route for route in router.routes}
        for child in _references(row, "static_routes"):
            if wanted.pop(route_key(child), None) is not None:
                continue
            if _is_ours(child) or doomed_route(child, router, self._occasion, self._behaviour):
                row.delvalue("static_routes", child)
        for route in wanted.values():
            child = txn.insert(self.api.tables["Logical_Router_Static_Route"])
            child.ip_prefix, child.nexthop, child.route_table = route.prefix, route.nexthop, route.table
            child.policy, child.external_ids = [route.policy], dict(route.external_ids)
            row.addvalue("static_routes", child)

    def _ensure_policies(self, txn: Any, row: Any, router: Router) -> None:
        for child in _references(row, "policies"):
            if doomed_policy(child, router, self._occasion, self._behaviour):
                row.delvalue("policies", child)
        wanted: dict[Key, dict[str, Any]] = {
            (policy.priority, policy.match): {
                "priority": policy.priority,
                "match": policy.match,
                "action": policy.action,
                "nexthops": sorted(policy.nexthops),
                "external_ids": dict(VENDOR),
            }
            for policy in router.policies
        }
        self._ensure_children(txn, (row, "policies", "Logical_Router_Policy"), ("priority", "match"), wanted)

    def _ensure_children(
        self, txn: Any, where: tuple[Any, str, str], key: tuple[str, ...], wanted: dict[Key, dict[str, Any]]
    ) -> dict[Key, Any]:
        """Rows of the table `where[2]` in the column `where[1]` of the row `where[0]`, found by the `key` columns."""
        parent, column, table = where
        found: dict[Key, Any] = {}
        for row in _references(parent, column):
            identity = tuple(getattr(row, name) for name in key)
            if not _is_ours(row):
                continue
            if identity in wanted and identity not in found:
                found[identity] = row
            else:
                parent.delvalue(column, row)
        for identity, values in wanted.items():
            child = found.get(identity)
            if child is None:
                child = txn.insert(self.api.tables[table])
                found[identity] = child
                for name, value in values.items():
                    setattr(child, name, value)
                parent.addvalue(column, child)
                continue
            for name, value in values.items():
                _set(child, name, value)
        return found

    def _ensure_group(self, txn: Any, group: PortGroup) -> None:
        row = self._named(txn, "Port_Group", group.name, group.external_ids)
        # A pod whose subnet has gone has no port to put into a group.
        wanted = {name: self._ports[name] for name in group.ports if name in self._ports}
        found = {port.name: port for port in _references(row, "ports")}
        for name in found.keys() - wanted.keys():
            row.delvalue("ports", found[name])
        for name in sorted(wanted.keys() - found.keys()):
            row.addvalue("ports", wanted[name])


def _is_ours(row: Any) -> bool:
    ids = row.external_ids
    # The BFD port of a VPC is described by the Vpc but kept by another owner, with our vendor and without an owner key.
    return (
        ids.get("vendor") == VENDOR["vendor"]
        and FOREIGN_OWNER_KEY not in ids
        and not str(getattr(row, "name", "")).startswith("bfd@")
    )


def _references(row: Any, column: str) -> list[Any]:
    """The rows in that column; a row that is being inserted has no value in a column that nobody has set."""
    return list(getattr(row, column, ()))


def _set(row: Any, column: str, value: Any) -> None:
    if isinstance(value, dict):
        _set_map(row, column, value)
    elif (sorted(getattr(row, column)) if isinstance(value, list) else getattr(row, column)) != value:
        setattr(row, column, value)


def _set_map(row: Any, column: str, wanted: Mapping[str, str]) -> None:
    """Keys of others stay."""
    for key, value in wanted.items():
        if getattr(row, column).get(key) != value:
            row.setkey(column, key, value)
