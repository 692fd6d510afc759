"""The BFD ports of Vpcs in the northbound database: router port, HA group and its members."""

from collections.abc import Sequence
from typing import Any

from veg_lab.mini_kube_ovn.names import bfd_port
from veg_lab.mini_kube_ovn.vpcs import BfdPort, bfd_port_ids

_PRIORITY_MAX = 100  # of the preferred chassis; each further one has one less


def ensure_bfd_port(api: Any, txn: Any, router: Any, wanted: BfdPort | None) -> None:
    """Within a transaction: make the router have this BFD port, or none. There is no stub switch as its peer."""
    name = bfd_port(router.name)
    port = next((row for row in getattr(router, "ports", ()) if row.name == name), None)
    group = _named(api, "HA_Chassis_Group", name)
    if wanted is None:
        if port is not None:
            router.delvalue("ports", port)
        if group is not None:
            group.delete()
        return
    port_ids, group_ids, member_ids = bfd_port_ids(router.name)
    if group is None:
        group = txn.insert(api.tables["HA_Chassis_Group"])
        group.name, group.external_ids = name, group_ids
    _ensure_members(api, txn, group, wanted.chassis, member_ids)
    if port is None:
        port = txn.insert(api.tables["Logical_Router_Port"])
        port.name, port.mac, port.external_ids = name, wanted.mac, port_ids
        port.options, port.ha_chassis_group = {"bfd-only": "true"}, [group]
        port.networks = list(wanted.networks)
        router.addvalue("ports", port)
    elif sorted(port.networks) != sorted(wanted.networks):
        port.networks = list(wanted.networks)


def _ensure_members(api: Any, txn: Any, group: Any, chassis: Sequence[str], ids: dict[str, str]) -> None:
    found = {row.chassis_name: row for row in getattr(group, "ha_chassis", ())}
    for name in found.keys() - set(chassis):
        group.delvalue("ha_chassis", found[name])
    for position, name in enumerate(chassis):
        row, priority = found.get(name), _PRIORITY_MAX - position
        if row is None:
            row = txn.insert(api.tables["HA_Chassis"])
            row.chassis_name, row.priority, row.external_ids = name, priority, ids
            group.addvalue("ha_chassis", row)
        elif row.priority != priority:
            row.priority = priority


def _named(api: Any, table: str, name: str) -> Any:
    return next((row for row in api.tables[table].rows.values() if row.name == name), None)
