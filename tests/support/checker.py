"""The independent checker: compares a lab with what the document says that its gateways are.

It looks at gateways that say they are ready, and for what absent ones, or losers of a source, have left behind.
"""

import json
from collections.abc import Iterator
from typing import Any

from support import relays, watched
from support.lab import Lab
from support.snapshot import OWNER, Inside, Snapshot, look_inside, take
from support.wanted import DEFAULT_VPC, Claims, Gateway, by_family, claims, family, gateways, masked

_POLICY, _ROUTE, _GROUP = "Logical_Router_Policy", "Logical_Router_Static_Route", "Port_Group"
_PORT = "Logical_Router_Port"
_CLUSTER_PRIORITY, _SELECTED_PRIORITY = 29100, 29160
_SELECTION_FIELD = {"4": "ip_src", "6": "ipv6_src"}
_DEFAULT_ROUTE = "default"


def problems(lab: Lab) -> list[str]:
    """One sentence for each difference; none, when all is as the document says."""
    around = take(lab)
    everybody = gateways(around)
    found = [*_leftovers(around, everybody), *_bfd_ports(around), *relays.problems(around)]
    for gateway in everybody:
        if gateway.living:
            found += _lost_sources(gateway, claims(gateway, everybody), around)
        if not gateway.ready:
            continue
        mine = claims(gateway, everybody)
        parts = [_rows(gateway, mine, everybody), watched.sessions(gateway)]
        parts += [_membership(gateway, everybody), _status(gateway)]
        parts += [_inside(gateway, mine, pod, look_inside(lab, pod)) for pod in gateway.pods]
        found += [f"{gateway.key}: {problem}" for part in parts for problem in part]
    return found


def _leftovers(around: Snapshot, everybody: list[Gateway]) -> Iterator[str]:
    there = {gateway.key for gateway in everybody}
    for table in (_POLICY, _ROUTE, _GROUP, watched.SESSION):
        for owner, _, row in around.owned(table):
            if "/" in owner and owner not in there:
                yield f"{table} {row} belongs to {owner}, which does not exist"


def _bfd_ports(around: Snapshot) -> Iterator[str]:
    """What a Vpc says of its BFD port is so, and no port of ours is there that none wants."""
    vpcs = {vpc["metadata"]["name"]: vpc for vpc in around.kind("Vpc")}
    ports = {row["name"]: row for row in around.tables[_PORT]}
    wanted = {name for name, vpc in vpcs.items() if (vpc.get("spec", {}).get("bfdPort") or {}).get("enabled")}
    for name, vpc in vpcs.items():
        said = (vpc.get("status") or {}).get("bfdPort") or {}
        found = ports.get(said.get("name", ""), {}).get("networks", [])
        addresses = [ip.partition("/")[0] for ip in found]
        if said.get("name") and sorted(by_family(said["ip"]).values()) != sorted(addresses):
            yield f"Vpc {name} has the status.bfdPort {said}, the port has {found}"
        if name in wanted and not said.get("name"):
            yield f"Vpc {name} has no status.bfdPort"
    for owner, _, row in around.owned(_PORT):
        if owner not in wanted:
            yield f"the BFD port {row['name']} is there, and Vpc {owner} does not want it"


def _lost_sources(gateway: Gateway, mine: Claims, around: Snapshot) -> Iterator[str]:
    for owner, _, row in around.owned(_POLICY):
        if owner == gateway.key and _source(row["match"]) in mine.lost:
            yield f"{owner}: has a policy for {row['match']}, a source of an older gateway"
    for owner, _, row in around.owned(_ROUTE):
        if owner == gateway.key and row["ip_prefix"] in mine.lost and row["nexthop"] in _all_nexthops(gateway):
            yield f"{owner}: has a route for {row['ip_prefix']}, a source of an older gateway"


def _source(match: str) -> str:
    """The CIDR of `ip4.src == CIDR[ && …]`."""
    return match.partition(" && ")[0].rpartition(" == ")[2]


def _all_nexthops(gateway: Gateway) -> list[str]:
    return [nexthop for each in gateway.families for nexthop in gateway.nexthops(each)]


# Northbound rows.


def _rows(gateway: Gateway, mine: Claims, everybody: list[Gateway]) -> Iterator[str]:
    around = gateway.around
    vpc = around.named("Vpc", gateway.vpc)
    router = vpc["status"]["router"] if vpc else ""
    policies = [(where, row) for owner, where, row in around.owned(_POLICY) if owner == gateway.key]
    routes = [(where, row) for owner, where, row in around.owned(_ROUTE) if owner == gateway.key]
    for where, row in (*policies, *routes):
        if where != router:
            yield f"a row on router {where!r}, not on {router!r}: {row}"
    known = (watched.SPARE, watched.DROP, watched.LOCAL, watched.SELECTED_LOCAL, _CLUSTER_PRIORITY, _SELECTED_PRIORITY)
    by_priority: dict[int, list[Any]] = {priority: [] for priority in known}
    for _, row in policies:
        by_priority.setdefault(row["priority"], []).append(row)
    if by_priority.keys() - set(known):
        yield f"has policies of the priorities {sorted(by_priority)}"
    live = [row for _, row in policies if row["priority"] != watched.SPARE]
    yield from watched.spares(gateway, live, by_priority[watched.SPARE])
    yield from watched.drops(gateway, mine, by_priority[watched.DROP], everybody)
    yield from watched.local(gateway, mine, by_priority[watched.LOCAL] + by_priority[watched.SELECTED_LOCAL])
    yield from _policies(gateway, mine, by_priority[_CLUSTER_PRIORITY])
    yield from _selected(gateway, by_priority[_SELECTED_PRIORITY])
    anchors = [row for _, row in routes if row["route_table"] == watched.ANCHORS]
    yield from watched.anchors(gateway, anchors)
    yield from watched.kept_running(gateway, [row for _, row in routes])
    yield from _routes(gateway, mine, [row for _, row in routes if row not in anchors], everybody)


def _policies(gateway: Gateway, mine: Claims, rows: list[Any]) -> Iterator[str]:
    by_source = {_source(row["match"]): row for row in rows}
    wanted = set(mine.own) if gateway.vpc == DEFAULT_VPC and gateway.pods else set()
    for cidr in wanted - by_source.keys():
        yield f"no policy for the source {cidr}"
    for cidr in by_source.keys() - wanted - mine.open:
        yield f"a policy for {cidr}, which is no source of it"
    for cidr, row in by_source.items():
        version = family(cidr)
        yield from _policy(gateway, row, version)
        if gateway.vpc == DEFAULT_VPC and row["match"] != f"ip{version}.src == {cidr}":
            yield f"the policy for {cidr} has the match {row['match']!r}"


def _selected(gateway: Gateway, rows: list[Any]) -> Iterator[str]:
    wanted = gateway.families if gateway.selectors and gateway.pods else []
    if len(rows) > len(wanted):
        yield f"has the policies {[row['match'] for row in rows]} for selected pods"
    for version in wanted:
        match = f"ip{version}.src == ${gateway.port_group}_ip{version}"
        chosen = [row for row in rows if row["match"].partition(" && ")[0] == match]
        if len(chosen) != 1:
            yield f"{len(chosen)} policies for the selected pods, match {match!r}"
        for row in chosen:
            yield from _policy(gateway, row, version)
            if gateway.vpc != DEFAULT_VPC and any(cidr not in row["match"] for cidr in gateway.vpc_cidrs(version)):
                yield f"the policy {row['match']!r} takes traffic that stays in the VPC"


def _policy(gateway: Gateway, row: Any, version: str) -> Iterator[str]:
    what = f"the policy {row['match']!r}"
    if row["action"] != "reroute":
        yield f"{what} has the action {row['action']}"
    if sorted(row["nexthops"]) != gateway.nexthops(version):
        yield f"{what} has the nexthops {sorted(row['nexthops'])}, the pods are {gateway.nexthops(version)}"
    if row["external_ids"] != watched.ids(gateway, version):
        yield f"{what} has the external_ids {row['external_ids']}"
    yield from watched.references(gateway, what, row["bfd_sessions"], row["nexthops"])


def _routes(gateway: Gateway, mine: Claims, rows: list[Any], everybody: list[Gateway]) -> Iterator[str]:
    custom = gateway.vpc != DEFAULT_VPC
    wanted = {(cidr, hop) for cidr in mine.own for hop in gateway.nexthops(family(cidr))} if custom else set()
    possible = wanted | {(cidr, hop) for cidr in mine.open for hop in gateway.nexthops(family(cidr))}
    found = [(row["ip_prefix"], row["nexthop"]) for row in rows]
    for prefix, hop in wanted - set(found):
        yield f"no src-ip route {prefix} -> {hop}"
    if len(found) != len(set(found)):
        yield f"the same route twice: {sorted(found)}"
    claimed = {cidr for item in everybody if item.living and item.vpc == gateway.vpc for cidr in item.sources}
    for row in rows:
        pair, version = (row["ip_prefix"], row["nexthop"]), family(row["ip_prefix"])
        what = f"the route {pair[0]} -> {pair[1]}"
        if pair in possible:
            if row["options"].get("ecmp_symmetric_reply") != "true":
                yield f"{what} has no symmetric reply: {row['options']}"
            if row["selection_fields"] != [_SELECTION_FIELD[version]]:
                yield f"{what} is chosen by {row['selection_fields']}, not by the source address"
            yield from watched.references(gateway, what, row["bfd"], [row["nexthop"]])
        elif not (gateway.selectors and custom and pair[0] in set(gateway.vpc_cidrs(version)) - claimed):
            yield f"{what} leads to no pod of it for no source of it"
        if row["policy"] != "src-ip" or row["route_table"] != "":
            yield f"{what} has the policy {row['policy']!r} in the table {row['route_table']!r}"
        if row["external_ids"] != {OWNER: gateway.key, "vpc-egress-gateway": gateway.key, "af": version}:
            yield f"{what} has the external_ids {row['external_ids']}"


def _membership(gateway: Gateway, everybody: list[Gateway]) -> Iterator[str]:
    around = gateway.around
    groups = {row["name"]: row for owner, _, row in around.owned(_GROUP) if owner == gateway.key}
    older = [item for item in everybody if item.living and item.vpc == gateway.vpc and item.age < gateway.age]
    wanted: dict[str, list[Any]] = {}
    for node in gateway.nodes if gateway.local else ():
        pods = [pod for pod in around.kind("Pod") if watched.sends_from(gateway, pod, node)]
        wanted[watched.node_group(gateway, node)] = pods
    if gateway.selectors:
        pods = [pod for pod in around.kind("Pod") if gateway.selects(pod)]
        wanted[gateway.port_group] = [pod for pod in pods if not any(item.selects(pod) for item in older)]
    if groups.keys() != wanted.keys():
        yield f"has the port groups {sorted(groups)}, not {sorted(wanted)}"
    for name in groups.keys() & wanted.keys():
        yield from _members(around, groups[name], wanted[name])


def _members(around: Snapshot, group: Any, pods: list[Any]) -> Iterator[str]:
    """Those of the pods that run; one that is ending may be in or not."""
    ports = {row["_uuid"]: row["name"] for row in around.tables["Logical_Switch_Port"]}
    must: set[str] = set()
    may: set[str] = set()
    for pod in pods:
        port = f"{pod['metadata']['name']}.{pod['metadata']['namespace']}"
        runs = pod["status"].get("phase") in ("Pending", "Running") and "deletionTimestamp" not in pod["metadata"]
        (must if runs else may).add(port)
    members = {ports[uuid] for uuid in group["ports"] if uuid in ports}
    for port in (must & set(ports.values())) - members:
        yield f"the selected pod {port} is not in its port group {group['name']}"
    for port in members - must - may:
        yield f"{port} is in the port group {group['name']} and not selected"


# The status.


def _status(gateway: Gateway) -> Iterator[str]:
    status, replicas = gateway.status, gateway.spec.get("replicas", 1)
    nodes = sorted({pod["spec"]["nodeName"] for pod in gateway.pods})
    wanted = {
        "phase": "Completed",
        "replicas": replicas,
        "labelSelector": f"app=vpc-egress-gateway,ovn.kubernetes.io/vpc-egress-gateway={gateway.name}",
        "workload": {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": f"{gateway.spec.get('prefix', '')}{gateway.name}",
            "nodes": nodes,
        },
    }
    for field, value in wanted.items():
        found = status.get(field)
        if field == "workload" and isinstance(found, dict):
            found = found | {"nodes": found.get("nodes", [])}
        if found != value:
            yield f"status.{field} is {found!r}, should be {value!r}"
    ready = {item["status"] for item in status["conditions"] if item["type"] == "Ready"}
    if ready != {"True"}:
        yield f"status.ready is true, the condition Ready is {ready}"
    if len(gateway.pods) != replicas:
        yield f"has {len(gateway.pods)} pods, spec.replicas is {replicas}"
    yield from _addresses(gateway)


def _addresses(gateway: Gateway) -> Iterator[str]:
    """internalIPs[i] and externalIPs[i] are those of one pod, in every family that is forwarded."""
    fields = (gateway.status.get("internalIPs", []), gateway.status.get("externalIPs", []))
    pairs = [tuple(frozenset(text.replace(" ", "").split(",")) for text in pair) for pair in zip(*fields, strict=False)]
    if len(fields[0]) != len(fields[1]) or len(fields[0]) != len(gateway.pods):
        yield f"status has the addresses {fields[0]} and {fields[1]} for {len(gateway.pods)} pods"
        return
    for pod in gateway.pods:
        internal = {item["ip"] for item in pod["status"]["podIPs"]}
        external = set(_external_addresses(gateway, pod))
        mine = [(inside, outside) for inside, outside in pairs if inside & internal]
        if len(mine) != 1:
            yield f"status.internalIPs {fields[0]} has no place for pod {pod['metadata']['name']} {sorted(internal)}"
            continue
        ((inside, outside),) = mine
        needed = [(inside, internal, "internalIPs"), (outside, external, "externalIPs")]
        for shown, real, field in needed:
            forwarded = {address for address in real if family(address) in gateway.families}
            if not forwarded <= shown <= real:
                yield f"status.{field} shows {sorted(shown)} for pod {pod['metadata']['name']} with {sorted(real)}"


def _external_addresses(gateway: Gateway, pod: Any) -> list[str]:
    text = pod["metadata"].get("annotations", {}).get("k8s.v1.cni.cncf.io/network-status", "[]")
    entries = [entry for entry in json.loads(text) if entry["name"] == gateway.attachment]
    return [address for entry in entries for address in entry["ips"]]


# Inside the pods.


def _inside(gateway: Gateway, mine: Claims, pod: Any, inside: Inside | None) -> Iterator[str]:
    if inside is None:
        return  # it went meanwhile; the next look does not list it
    for version in ("4", "6"):
        for problem in (*_nat(gateway, mine, inside, version), *_ways(gateway, mine, inside, version)):
            yield f"pod {pod['metadata']['name']}, IPv{version}: {problem}"


def _nat(gateway: Gateway, mine: Claims, inside: Inside, version: str) -> Iterator[str]:
    rules = [line for line in inside.nat[version] if line.startswith("-A ")]
    strange = [line for line in rules if not line.startswith("-A POSTROUTING ")]
    if strange:
        yield f"NAT rules that the document does not have: {strange}"
    wanted = [cidr for cidr, snat in mine.own.items() if snat and family(cidr) == version]
    maybe = [cidr for cidr in mine.lost | mine.open if gateway.sources[cidr] and family(cidr) == version]
    missing = {_masquerade(cidr) for cidr in wanted} - set(rules)
    if missing:
        yield f"missing NAT rules: {sorted(missing)}"
    if len(rules) != len(set(rules)):
        yield f"the same NAT rule twice: {rules}"
    more = [line for line in rules if line not in {_masquerade(cidr) for cidr in (*wanted, *maybe)}]
    if not gateway.selectors or version not in gateway.families:
        if more:
            yield f"NAT rules for nothing: {more}"
        return
    forwarded = {cidr for cidr, snat in gateway.sources.items() if not snat and family(cidr) == version}
    returns = {f"-A POSTROUTING{_from(cidr)} -o net1 -j RETURN" for cidr in forwarded}
    rest = "-A POSTROUTING -o net1 -j MASQUERADE --random-fully"
    if set(more) != returns | {rest}:
        yield f"selected pods need {sorted(returns)} and {rest!r}, there is {more}"
    elif rules[-1] != rest or any(line not in returns for line in rules[-1 - len(returns) : -1]):
        yield f"the order of the NAT rules: {rules}"


def _masquerade(cidr: str) -> str:
    return f"-A POSTROUTING{_from(cidr)} -j MASQUERADE --random-fully"


def _from(cidr: str) -> str:
    return "" if cidr.endswith("/0") else f" -s {cidr}"


def _ways(gateway: Gateway, mine: Claims, inside: Inside, version: str) -> Iterator[str]:
    """Out by the external network; back to sources outside the internal subnet by its gateway."""
    routes = {line.split(" proto ")[0].split(" metric ")[0].strip() for line in inside.routes[version]}
    if version not in gateway.families:
        stale = [line for line in routes if " via " in line and " dev net1" in line]
        if stale:
            yield f"routes of a family that is not forwarded: {stale}"
        return
    if not inside.forwards[version]:
        yield "does not forward packets"
    defaults = [line for line in routes if line.startswith(_DEFAULT_ROUTE)]
    if defaults != [f"{_DEFAULT_ROUTE} via {gateway.external_gateways[version]} dev net1"]:
        yield f"its default routes are {defaults}"
    back = gateway.internal_gateways[version]
    peers = [masked(ip) for ip in gateway.peers.values()]
    peers += [masked(ip) for ip in (relays.ips(gateway.around, gateway.vpc) if peers else ())]
    wanted = {_way(cidr, back) for cidr in (*mine.own, *peers) if _needs_way(gateway, cidr, version)}
    known = {*gateway.sources, *peers, *(gateway.vpc_cidrs(version) if gateway.selectors else ())}
    possible = {_way(cidr, back) for cidr in known if _needs_way(gateway, cidr, version)}
    internal = {line for line in routes if " via " in line and line.endswith(" dev eth0")}
    if wanted - internal:
        yield f"missing routes back: {sorted(wanted - internal)}"
    if internal - possible:
        yield f"routes back for nothing: {sorted(internal - possible)}"


def _needs_way(gateway: Gateway, cidr: str, version: str) -> bool:
    return family(cidr) == version and not cidr.endswith("/0") and not gateway.is_inside(cidr)


def _way(cidr: str, gateway: str) -> str:
    """As `ip route` prints it: without the length of a host route."""
    return f"{cidr.removesuffix('/32').removesuffix('/128')} via {gateway} dev eth0"
