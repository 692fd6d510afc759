"""The part of the independent checker that is about BFD: sessions, anchors, drops, and the rows of local traffic.

Without BFD a gateway has none of these rows.
"""

import hashlib
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

from support.snapshot import OWNER, Row
from support.wanted import DEFAULT_VPC, Claims, Gateway, annotations, family, labels

SESSION = "BFD"
SPARE, DROP, LOCAL, SELECTED_LOCAL = 29080, 29090, 29150, 29170
ANCHORS = "veg-bfd"
_REGISTER = {"4": "reg0", "6": "xxreg0"}

Terms = frozenset[tuple[str, str, frozenset[str]]]
"""A match without its order: (field, operator, values) of each term."""


def terms(match: str) -> Terms:
    """`ip4.src == 10.0.0.0/8 && reg0 != {a, b}` in its parts."""
    found = [part.split(" ", 2) for part in match.split(" && ")]
    return frozenset((words[0], words[1], frozenset(words[2].strip("{}").split(", "))) for words in found)


def ids(gateway: Gateway, version: str) -> dict[str, str]:
    """The external_ids of its rows of one family."""
    return {"vendor": "kube-ovn", OWNER: gateway.key, "vpc-egress-gateway": gateway.key, "af": version}


def session_rows(gateway: Gateway) -> list[Row]:
    return [row for owner, _, row in gateway.around.owned(SESSION) if owner == gateway.key]


def sessions(gateway: Gateway) -> Iterator[str]:
    """One row for each pod and family that is watched."""
    rows = session_rows(gateway)
    wanted = [ip for version in gateway.peers for ip in gateway.nexthops(version)]
    found = sorted(row["dst_ip"] for row in rows)
    if found != sorted(wanted):
        yield f"has BFD sessions with {found}, its pods are {sorted(wanted)}"
    timers = gateway.spec.get("bfd") or {}
    for row in rows:
        columns = {
            "logical_port": gateway.bfd_port["name"] if gateway.bfd_port else "",
            "min_rx": timers.get("minTX", 1000),
            "min_tx": timers.get("minRX", 1000),
            "detect_mult": timers.get("multiplier", 3),
            "options": {},
            "status": "up",
            "external_ids": ids(gateway, family(row["dst_ip"])),
        }
        for column, value in columns.items():
            if row[column] != value:
                yield f"the BFD session with {row['dst_ip']} has {column} {row[column]!r}, not {value!r}"


def references(gateway: Gateway, what: str, found: list[str], nexthops: list[str]) -> Iterator[str]:
    """The sessions that a row refers to are those of its nexthops."""
    ips = {row["_uuid"]: row["dst_ip"] for row in session_rows(gateway)}
    named = sorted(ips.get(uuid, "another one's") for uuid in found)
    wanted = sorted(ip for ip in nexthops if family(ip) in gateway.peers)
    if named != wanted:
        yield f"{what} refers to the BFD sessions with {named}, not with {wanted}"


def anchors(gateway: Gateway, rows: list[Any]) -> Iterator[str]:
    """Routes in a table of their own, to the pods themselves: only they may stand there."""
    mine = {row["dst_ip"] for row in session_rows(gateway)}
    for row in rows:
        what = f"the anchor {row['ip_prefix']} -> {row['nexthop']}"
        if ip_network(row["ip_prefix"]) != ip_network(row["nexthop"]) or row["nexthop"] not in mine:
            yield f"{what} is of no session"
        if row["policy"] != "dst-ip":
            yield f"{what} has the policy {row['policy']!r}"
        yield from references(gateway, what, row["bfd"], [row["nexthop"]])


def kept_running(gateway: Gateway, rows: list[Any]) -> Iterator[str]:
    """OVN runs a session while a static route refers to it, whichever; in a policy it does not see it."""
    referred = {uuid for row in rows for uuid in row["bfd"]}
    for row in session_rows(gateway):
        if row["_uuid"] not in referred:
            yield f"no static route refers to the BFD session with {row['dst_ip']}"


def drops(gateway: Gateway, mine: Claims, rows: list[Any], everybody: list[Gateway]) -> Iterator[str]:
    """One for each source, and for each family of selected pods, whether there are pods or not."""
    found = {terms(row["match"]): row for row in rows}
    if len(found) != len(rows):
        yield f"the same drop twice: {sorted(row['match'] for row in rows)}"
    for row in rows:
        mine_alone = row["external_ids"] == ids(gateway, row["match"][2])
        if row["action"] != "drop" or row["nexthops"] or row["bfd_sessions"] or not mine_alone:
            yield f"the drop {row['match']!r} is {row['action']} to {row['nexthops']} with {row['external_ids']}"
    wanted = [_drop(gateway, cidr, everybody) for cidr in mine.own] if gateway.watched else []
    if gateway.watched and gateway.selectors:
        wanted += [{_selected(gateway, version) | _outside(gateway, version)} for version in gateway.families]
    for allowed in wanted:
        if not allowed & found.keys():
            yield f"no drop {_text(min(allowed, key=len))}"
    possible = frozenset[Terms]().union(*wanted)
    for match, row in found.items():
        source = next(
            (iter(values) for name, sign, values in match if name.endswith(".src") and sign == "=="), iter(())
        )
        if match not in possible and not mine.open & set(source):
            yield f"a drop that should not be: {row['match']!r}"


def local(gateway: Gateway, mine: Claims, rows: list[Any]) -> Iterator[str]:
    """For each node with pods: what its clients send goes to those."""
    found = {(row["priority"], terms(row["match"])): row for row in rows}
    wanted = {}
    for node in gateway.nodes if gateway.local else ():
        group = node_group(gateway, node)
        for cidr in mine.own:
            version = family(cidr)
            match = _src(version, f"${group}_ip{version}") | _src(version, cidr) | _outside(gateway, version)
            wanted[LOCAL, match] = gateway.nexthops(version, node)
        for version in gateway.families if gateway.selectors else ():
            match = _src(version, f"${group}_ip{version}") | _selected(gateway, version) | _outside(gateway, version)
            wanted[SELECTED_LOCAL, match] = gateway.nexthops(version, node)
    for priority, match in wanted.keys() - found.keys():
        yield f"no policy of priority {priority} for {_text(match)}"
    for key, row in found.items():
        what = f"the local policy {row['match']!r}"
        if key not in wanted:
            if not any(_src(family(cidr), cidr) <= key[1] for cidr in mine.open):
                yield f"{what} of priority {key[0]} should not be"
            continue
        if row["action"] != "reroute" or sorted(row["nexthops"]) != wanted[key]:
            yield f"{what} leads to {row['nexthops']}, the pods there are {wanted[key]}"
        yield from references(gateway, what, row["bfd_sessions"], row["nexthops"])


def node_group(gateway: Gateway, node: str) -> str:
    return f"{gateway.port_group}.{hashlib.sha256(node.encode()).hexdigest()[:8]}"


def sends_from(gateway: Gateway, pod: Any, node: str) -> bool:
    """Whether it is a client of the gateway's VPC on that node."""
    found = annotations(pod)
    return (
        found.get("ovn.kubernetes.io/allocated") == "true"
        and found.get("ovn.kubernetes.io/logical_router") == gateway.vpc
        and pod["spec"].get("nodeName") == node
        and not pod["spec"].get("hostNetwork")
        and labels(pod).get("app") != "vpc-egress-gateway"
    )


def _drop(gateway: Gateway, cidr: str, everybody: list[Gateway]) -> set[Terms]:
    """The forms of the drop of a source: closer choices of gateways that are not ready may be left out of it or not."""
    version = family(cidr)
    match = _src(version, cidr) | _outside(gateway, version)
    nexthops = gateway.nexthops(version)
    if gateway.vpc != DEFAULT_VPC and nexthops:
        match |= {(_REGISTER[version], "!=", frozenset(nexthops))}
    here = [item for item in everybody if item.living and item.vpc == gateway.vpc]
    sure = frozenset(_closer(cidr, [item for item in here if item.ready]))
    return {
        match | ({(f"ip{version}.src", "!=", others)} if others else frozenset())
        for others in (sure, frozenset(_closer(cidr, here)))
    }


def _closer(cidr: str, others: list[Gateway]) -> Iterator[str]:
    """The sources that are true parts of this one."""
    for item in others:
        for other in item.sources:
            if other != cidr and family(other) == family(cidr) and _subnet_of(other, cidr):
                yield other


def _subnet_of(one: str, other: str) -> bool:
    return ip_network(one).subnet_of(ip_network(other))  # type: ignore[arg-type]  # both are of one family


def _src(version: str, value: str) -> Terms:
    return frozenset({(f"ip{version}.src", "==", frozenset({value}))})


def _selected(gateway: Gateway, version: str) -> Terms:
    return _src(version, f"${gateway.port_group}_ip{version}")


def _outside(gateway: Gateway, version: str) -> Terms:
    """In a VPC of its own nothing but the gateway's policies keeps traffic inside."""
    stays = frozenset(gateway.vpc_cidrs(version)) if gateway.vpc != DEFAULT_VPC else frozenset()
    return frozenset({(f"ip{version}.dst", "!=", stays)}) if stays else frozenset()


def _text(match: Terms) -> str:
    return " && ".join(f"{name} {sign} {', '.join(sorted(values))}" for name, sign, values in sorted(match, key=str))


def spares(gateway: Gateway, rows: list[Any], spare: list[Any]) -> Iterator[str]:
    """Beside a policy with several nexthops lie one of its kind and one with a single nexthop; they take nothing."""
    reroutes = {row["match"]: row for row in rows if row["action"] == "reroute"}
    beside: dict[str, list[bool]] = {match: [] for match in reroutes}
    for row in spare:
        beside.setdefault(row["match"], []).append(len(row["nexthops"]) > 1)
        if row["action"] != "reroute":
            yield f"the spare policy {row['match']!r} has the action {row['action']}"
    for match, wide in beside.items():
        several = match in reroutes and len(reroutes[match]["nexthops"]) > 1
        allowed = [[False, True]] if several and gateway.watched else [[]]
        if match in reroutes and not several:
            allowed = [[], [True, True]]  # they stay when BFD is turned off meanwhile, until there are several again
        if sorted(wide) not in allowed:
            yield f"beside the policy {match!r} there are spare ones, of several nexthops or not: {wide}"
