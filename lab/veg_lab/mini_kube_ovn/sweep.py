"""Which rows of others Kube-OVN deletes, and when. Rows are values here: `Any` has the columns of the table. No I/O."""

from typing import Any

from veg_lab.mini_kube_ovn.behaviours import Behaviour, Rows
from veg_lab.mini_kube_ovn.desired import PortGroup, Router, Switch
from veg_lab.mini_kube_ovn.names import DEFAULT_VPC, FOREIGN_OWNER_KEY, VENDOR
from veg_lab.mini_kube_ovn.occasion import Occasion
from veg_lab.mini_kube_ovn.vpcs import DESTINATION, SOURCE

RouteKey = tuple[str, str, str, str]


def route_key(row: Any) -> RouteKey:
    """As `Route.key`. OVN takes a route without a policy for one by destination."""
    policy = next(iter(_list(getattr(row, "policy", []))), DESTINATION)
    return (getattr(row, "route_table", ""), policy, row.ip_prefix, row.nexthop)


def doomed_route(row: Any, router: Router, occasion: Occasion, behaviour: Behaviour) -> bool:
    """Whether a static route that the router should not have goes now, whoever wrote it."""
    key = route_key(row)
    if any(route.key == key for route in router.routes):
        return False
    if router.name in occasion.vpcs and _covers(behaviour.deletes_routes, row.external_ids):
        return True
    return behaviour.subnet_routes and _is_rival(key, router, occasion)


def _is_rival(key: RouteKey, router: Router, occasion: Occasion) -> bool:
    """Whether the helper that adds a subnet's own route deletes it: one of the same table, policy and prefix.

    It spares a route only if both have a BFD session, and each another one; its own never has one.
    """
    if router.name == DEFAULT_VPC or key[1] != SOURCE:
        return False
    edited = {f"{router.name}-{subnet}" for subnet in occasion.subnets}
    ports = [port for port in router.ports if port.name in edited]
    gateways = {network.partition("/")[0] for port in ports for network in port.networks}
    return any(route.nexthop in gateways and route.key[:3] == key[:3] for route in router.routes)


def doomed_policy(row: Any, router: Router, occasion: Occasion, behaviour: Behaviour) -> bool:
    """Whether a policy that the router should not have goes now, whoever wrote it."""
    if router.name == DEFAULT_VPC or router.name not in occasion.vpcs:
        return False
    wanted = any((policy.priority, policy.match) == (row.priority, row.match) for policy in router.policies)
    return not wanted and _covers(behaviour.deletes_policies, row.external_ids)


def doomed_port_group(row: Any, wanted: tuple[PortGroup, ...], occasion: Occasion, behaviour: Behaviour) -> bool:
    """Whether a port group goes at a start: all that belong to no security group are taken for leftovers."""
    if not occasion.start or not behaviour.deletes_port_groups_at_start:
        return False
    return "sg" not in row.external_ids and all(group.name != row.name for group in wanted)


def doomed_switch(row: Any, wanted: tuple[Switch, ...], occasion: Occasion, behaviour: Behaviour) -> bool:
    """Whether a switch goes at a start: one that no Subnet asks for."""
    if not occasion.start or any(switch.name == row.name for switch in wanted):
        return False
    return _covers(behaviour.deletes_switches_at_start, row.external_ids)


def doomed_router(row: Any, wanted: tuple[Router, ...], occasion: Occasion, behaviour: Behaviour) -> bool:
    """Whether a router goes at a start: one that no Vpc asks for. The same flag decides about it and about switches."""
    if not occasion.start or any(router.name == row.name for router in wanted):
        return False
    return _covers(behaviour.deletes_switches_at_start, row.external_ids)


def _covers(rows: Rows, external_ids: Any) -> bool:
    match rows:
        case Rows.ALL:
            return True
        case Rows.VENDOR:
            return bool(external_ids.get("vendor") == VENDOR["vendor"])
        case Rows.UNMARKED:
            return FOREIGN_OWNER_KEY not in external_ids
        case Rows.NONE:
            return False


def _list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
