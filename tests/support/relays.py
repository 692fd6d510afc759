"""The part of the independent checker that is about relays of BFD ports (docs/decisions/0017)."""

from collections.abc import Iterator
from typing import Any

from support.snapshot import OWNER, Snapshot
from support.wanted import by_family, masked

IPS = {"4": "169.254.37.84", "6": "fd37:84::1"}
_PRIORITY = 31500
_TABLES = ("Logical_Router_Policy", "Logical_Router_Static_Route", "BFD")


def ips(around: Snapshot, vpc: str) -> list[str]:
    """The addresses of the relay of a Vpc's BFD port; none where there is no relay."""
    port = _named(around, "Logical_Router_Port", f"bfd-relay@{vpc}")
    return sorted(port["networks"]) if port is not None else []


def problems(around: Snapshot) -> Iterator[str]:
    """One for each BFD port of ours, and for others all of it or nothing."""
    for vpc in (item["metadata"]["name"] for item in around.kind("Vpc")):
        port = _named(around, "Logical_Router_Port", f"bfd@{vpc}")
        relay = _named(around, "Logical_Router_Port", f"bfd-relay@{vpc}")
        if relay is None and port is not None and port["external_ids"].get(OWNER) == vpc:
            yield f"the BFD port of Vpc {vpc} has no relay"
        if port is not None and relay is not None:
            yield from (f"the relay of Vpc {vpc}: {problem}" for problem in _relay(around, vpc, port, relay))
        elif rows := [row for rows in _owned(around, vpc).values() for row in rows]:
            yield f"rows of a relay are there, and Vpc {vpc} has none: {rows}"
    there = {item["metadata"]["name"] for item in around.kind("Vpc")}
    for table in (*_TABLES, "Logical_Router"):
        for owner, _, row in around.owned(table):
            if "/" not in owner and owner not in there:
                yield f"{table} {row} belongs to Vpc {owner}, which does not exist"


def _relay(around: Snapshot, vpc: str, port: Any, relay: Any) -> Iterator[str]:
    wanted = sorted(IPS[version] for version in by_family(",".join(port["networks"])))
    if sorted(relay["networks"]) != wanted:
        yield f"has {relay['networks']}, not {wanted}"
    router = _named(around, "Logical_Router", relay["name"])
    if router is None or router["ports"] != [relay["_uuid"]]:
        yield f"its router is {router}"
    switch = _named(around, "Logical_Switch", port["name"])
    peers = {row["_uuid"]: row["name"] for row in around.tables["Logical_Switch_Port"]}
    joined = sorted(peers[uuid] for uuid in switch["ports"]) if switch is not None else []
    if joined != sorted(f"{each['name']}.peer" for each in (port, relay)):
        yield f"the stub switch joins {joined}"
    owned = _owned(around, vpc)
    ways = {(row["ip_prefix"], row["nexthop"], *row["output_port"]) for row in owned["Logical_Router_Static_Route"]}
    if ways != {(masked(ip), ip, port["name"]) for ip in wanted}:
        yield f"the ways there are {ways}"
    allowed = {(row["priority"], row["match"], row["action"]) for row in owned["Logical_Router_Policy"]}
    matches = {f"ip{version}.dst == {ip} && udp.dst == 3784" for version, ip in IPS.items() if ip in wanted}
    if allowed != {(_PRIORITY, match, "allow") for match in matches}:
        yield f"its policies are {allowed}"
    if [row["logical_port"] for row in owned["BFD"]] != [relay["name"]]:
        yield f"its rows of BFD are {owned['BFD']}"


def _owned(around: Snapshot, vpc: str) -> dict[str, list[Any]]:
    return {table: [row for owner, _, row in around.owned(table) if owner == vpc] for table in _TABLES}


def _named(around: Snapshot, table: str, name: str) -> Any | None:
    return next((row for row in around.tables[table] if row["name"] == name), None)
