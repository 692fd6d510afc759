"""What must be true of every intent, whatever led to it. Checked in production too, before an intent is recorded."""

import re
from collections import Counter
from itertools import groupby

from veg_contracts import addresses, names
from veg_contracts.intent import NbRows, PodConfig, RoutePolicy, StaticRoute
from veg_planner.plan.draft import Draft

_SEVERAL = 2  # nexthops that make an ECMP group


def violations(draft: Draft, strange: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """Every broken invariant, as a sentence. Empty: none.

    `strange` are the prefixes of src-ip routes on its router that are not ours.
    """
    return (
        *_of_rows(draft.gateway, draft.nb),
        *_of_groups(draft.nb, strange),
        *_of_config(draft.config),
        *_of_conflict(draft),
    )


def _of_conflict(draft: Draft) -> list[str]:
    """What another controller reconciles has nothing of ours but the condition that says so."""
    rows = draft.nb is not None and not draft.nb.empty
    ours = rows or draft.finalizer or draft.workload is not None or draft.config is not None or draft.status is not None
    return ["more than the condition of a conflict"] if draft.conflict is not None and ours else []


def _of_rows(gateway: str, rows: NbRows | None) -> list[str]:
    if rows is None or rows == NbRows():
        return []
    found = [text for policy in rows.policies for text in (*_of_policy(policy), *_of_address_sets(rows, policy))]
    found += _of_routes(rows.static_routes)
    if any(not group.startswith(names.port_group(gateway)) for group in rows.port_groups):
        found.append(f"port groups {', '.join(rows.port_groups)} are not those of {gateway}")
    found += _of_sessions(rows)
    found += _of_relay(rows)
    alone = rows.bfd_port is not None and rows.bfd_port.peer_only and rows == NbRows(bfd_port=rows.bfd_port)
    if not rows.router and not alone:
        found.append("rows without a logical router")
    keys = [(policy.family, policy.priority, policy.match) for policy in rows.policies]
    if keys != sorted(set(keys)):
        found.append("policies are not sorted, or one is there twice")
    return found


def _of_policy(policy: RoutePolicy) -> list[str]:
    found = []
    if f"ip{policy.family}." not in policy.match or f"ip{'6' if policy.family == '4' else '4'}." in policy.match:
        found.append(f"policy {policy.match!r} is not of family {policy.family} alone")
    if list(policy.nexthops) != sorted(set(policy.nexthops)):
        found.append(f"nexthops of {policy.match!r} are not sorted, or one is there twice")
    if any(not addresses.of_family(nexthop, policy.family) for nexthop in policy.nexthops):
        found.append(f"a nexthop of {policy.match!r} is of another family")
    if policy.spares and len(policy.nexthops) < _SEVERAL:
        found.append(f"spare rows for {policy.match!r}, which has {len(policy.nexthops)} nexthops")
    if (policy.action == "reroute") != bool(policy.nexthops):
        found.append(f"policy {policy.match!r}: action {policy.action} with {len(policy.nexthops)} nexthops")
    return found


def _of_address_sets(rows: NbRows, policy: RoutePolicy) -> list[str]:
    """OVN drops a policy, and says so only in a log, whose match names an address set that does not exist."""
    known = {f"{group}_ip{policy.family}" for group in rows.port_groups}
    used = re.findall(r"\$([\w.]+)", policy.match)
    return [
        f"policy {policy.match!r} needs ${name}, of which there is no port group" for name in used if name not in known
    ]


def _of_routes(routes: tuple[StaticRoute, ...]) -> list[str]:
    found = [text for route in routes for text in _of_route(route)]
    keys = [(route.family, route.ip_prefix, route.nexthop, route.route_table) for route in routes]
    if keys != sorted(set(keys)):
        found.append("static routes are not sorted, or one is there twice")
    for prefix, group in groupby(
        (route for route in routes if not route.route_table), key=lambda route: route.ip_prefix
    ):
        # Else a route that only lets a packet get as far as the policies would share the traffic with the gateways.
        if len({(route.policy, route.symmetric_reply, route.selection_fields) for route in group}) > 1:
            found.append(f"static routes of {prefix} form one ECMP group, and differ")
    return found


def _of_route(route: StaticRoute) -> list[str]:
    found = []
    if not addresses.of_family(route.ip_prefix, route.family) or addresses.masked(route.ip_prefix) != route.ip_prefix:
        found.append(f"static route {route.ip_prefix!r} is not a CIDR of family {route.family} without host bits")
    if not addresses.of_family(route.nexthop, route.family) or "/" in route.nexthop:
        found.append(f"nexthop {route.nexthop!r} of {route.ip_prefix} is not an address of family {route.family}")
    if route.route_table == names.ANCHOR_TABLE:
        if route.bfd != route.nexthop or addresses.masked(route.nexthop) != route.ip_prefix:
            found.append(f"route {route.ip_prefix} of table {route.route_table} is no anchor of a BFD session")
    elif route.output_port:
        pass  # the way to a relay, see `_of_relay`
    elif route.policy != "src-ip":
        found.append(f"static route {route.ip_prefix} goes by {route.policy!r}, not by its source")
    allowed = {"4": "ip_src", "6": "ipv6_src"}.get(route.family)
    if any(field != allowed for field in route.selection_fields):
        found.append(f"static route {route.ip_prefix}: selection by {', '.join(route.selection_fields)}")
    return found


def _of_groups(rows: NbRows | None, strange: frozenset[str]) -> list[str]:
    """Some of the traffic would go to a next hop that does not take it."""
    prefixes = {route.ip_prefix for route in rows.static_routes if not route.route_table} if rows is not None else set()
    return [
        f"static routes of {prefix} are in one ECMP group with another one's" for prefix in sorted(prefixes & strange)
    ]


def _of_sessions(rows: NbRows) -> list[str]:
    """A row refers only to sessions that are there, of pods that it sends traffic to; a route keeps each running."""
    relay = rows.bfd_port.relay if rows.bfd_port is not None else None
    peers = [each.dst_ip for each in rows.sessions if relay is None or each.logical_port != relay.name]
    found = [f"BFD session with {peer} is there twice" for peer, times in sorted(Counter(peers).items()) if times > 1]
    used = {route.nexthop: route.bfd for route in rows.static_routes if route.bfd}
    found += [
        f"route to {nexthop} refers to the session with {peer}" for nexthop, peer in used.items() if nexthop != peer
    ]
    for policy in rows.policies:
        if not set(policy.bfd_sessions) <= set(policy.nexthops):
            found.append(f"policy {policy.match!r} refers to sessions of others than its nexthops")
    # OVN stops a session that no static route refers to (plan/bfd.anchors), and its pod would never come back.
    found += [f"no static route keeps the BFD session with {peer} running" for peer in peers if peer not in used]
    named = {*used.values(), *(peer for policy in rows.policies for peer in policy.bfd_sessions)}
    return found + [f"there is no BFD session with {peer}" for peer in sorted(named - set(peers))]


def _of_relay(rows: NbRows) -> list[str]:
    """All that leads to a relay is there, and nothing else goes by a port of its choice."""
    port = rows.bfd_port
    relay = port.relay if port is not None else None
    ips = relay.networks if relay is not None else ()
    wanted = {(addresses.masked(ip), ip, "dst-ip", port.name if port is not None else "") for ip in ips}
    routes = (route for route in rows.static_routes if route.output_port)
    found = {(route.ip_prefix, route.nexthop, route.policy, route.output_port) for route in routes}
    allowed = {policy.match for policy in rows.policies if policy.priority == names.PRIORITY_BFD_RELAY}
    matches = {f"ip{addresses.family(ip)}.dst == {ip} && udp.dst == 3784" for ip in ips}
    problems = []
    if found != wanted:
        problems.append(f"routes by a port {sorted(found)}, the relay needs {sorted(wanted)}")
    if allowed != matches:
        problems.append(f"policies of priority {names.PRIORITY_BFD_RELAY}: {sorted(allowed)}, not {sorted(matches)}")
    if relay is not None and all(session.logical_port != relay.name for session in rows.sessions):
        problems.append(f"there is no row of BFD for the relay {relay.name}")
    return problems


def _of_config(config: PodConfig | None) -> list[str]:
    if config is None:
        return []
    cidrs = [source.cidr for source in (*config.sources, *config.lingering)]
    found = [f"source {cidr} is in the config twice" for cidr, times in sorted(Counter(cidrs).items()) if times > 1]
    found += [f"source {cidr} has host bits" for cidr in cidrs if addresses.masked(cidr) != cidr]
    return found
