"""What a lab holds at one moment, for the checker: Kubernetes objects, Northbound rows, and the insides of pods."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from support.lab import Lab

OWNER = "vpc-egress-gateway.io/owner"
_KINDS = "veg,pod,subnet,vpc,namespace,deployment"
_TABLES = {
    "Logical_Router": "name,ports,policies,static_routes,external_ids",
    "Logical_Router_Policy": "_uuid,priority,match,action,nexthops,bfd_sessions,external_ids",
    "Logical_Router_Static_Route": "_uuid,ip_prefix,nexthop,policy,route_table,bfd,options,selection_fields,"
    "output_port,external_ids",
    "BFD": "_uuid,logical_port,dst_ip,min_rx,min_tx,detect_mult,options,status,external_ids",
    "Logical_Router_Port": "_uuid,name,networks,external_ids",
    "Logical_Switch": "name,ports",
    "Port_Group": "name,ports,external_ids",
    "Logical_Switch_Port": "_uuid,name",
}
_LOOK = """
iptables -t nat -S; echo --; ip6tables -t nat -S; echo --
ip -4 -o route show; echo --; ip -6 -o route show; echo --
cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding
"""

Row = dict[str, Any]


@dataclass(frozen=True)
class Inside:
    """The network of one pod: NAT rules and routes of each family, one line each, and whether it forwards."""

    nat: dict[str, list[str]]
    routes: dict[str, list[str]]
    forwards: dict[str, bool]


@dataclass(frozen=True)
class Snapshot:
    objects: dict[str, list[Any]]
    tables: dict[str, list[Row]]

    def kind(self, kind: str) -> list[Any]:
        return self.objects.get(kind, [])

    def named(self, kind: str, name: str) -> Any | None:
        return next((item for item in self.kind(kind) if item["metadata"]["name"] == name), None)

    def owned(self, table: str) -> Iterator[tuple[str, str, Row]]:
        """(owner, router, row) of the rows of a table that carry an owner id."""
        column = {"Logical_Router_Policy": "policies", "Logical_Router_Static_Route": "static_routes"}.get(table)
        routers = {uuid: row["name"] for row in self.tables["Logical_Router"] for uuid in row.get(column or "", [])}
        for row in self.tables[table]:
            if OWNER in row["external_ids"]:
                yield row["external_ids"][OWNER], routers.get(row.get("_uuid", ""), ""), row


def take(lab: Lab) -> Snapshot:
    objects: dict[str, list[Any]] = {}
    for item in lab.get(_KINDS, "-A")["items"]:
        objects.setdefault(item["kind"], []).append(item)
    return Snapshot(objects, _northbound(lab))


def _northbound(lab: Lab) -> dict[str, list[Row]]:
    """All tables in one call: ovn-nbctl prints one JSON document for each."""
    words: list[str] = []
    for name, columns in _TABLES.items():
        words += ["--", f"--columns={columns}", "list", name]
    text = lab.nbctl("--format=json", *words[1:])
    decoder = json.JSONDecoder()
    tables: dict[str, list[Row]] = {}
    at = 0
    for name in _TABLES:
        while text[at].isspace():
            at += 1
        found, at = decoder.raw_decode(text, at)
        tables[name] = [
            {heading: _plain(heading, value) for heading, value in zip(found["headings"], row, strict=True)}
            for row in found["data"]
        ]
    return tables


_SETS = (
    "policies",
    "static_routes",
    "nexthops",
    "bfd_sessions",
    "bfd",
    "selection_fields",
    "output_port",
    "ports",
    "networks",
)


def _plain(heading: str, value: Any) -> Any:
    """RFC 7047's values as Python's; a set of one, which is written as that one, is a list again."""
    match value:
        case ["set", list(items)]:
            return [_plain("", item) for item in items]
        case ["map", list(pairs)]:
            return dict(pairs)
        case ["uuid", text]:
            value = text
    return [value] if heading in _SETS else value


def look_inside(lab: Lab, pod: Any) -> Inside | None:
    """The network of a pod, by one process; None when it has gone meanwhile."""
    meta = pod["metadata"]
    namespace = f"/run/netns/{lab.name}.pod.{meta['namespace']}.{meta['name']}"
    words = ["nsenter", f"--net={namespace}", "sh", "-euc", _LOOK]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=20)
    if done.returncode != 0:
        return None
    parts = [[line.strip() for line in part.splitlines() if line.strip()] for part in done.stdout.split("--\n")]
    nat4, nat6, routes4, routes6, forwards = parts
    return Inside(
        nat={"4": nat4, "6": nat6},
        routes={"4": routes4, "6": routes6},
        forwards={"4": forwards[0] == "1", "6": forwards[1] == "1"},
    )
