"""What the Northbound database holds of a gateway, read as a person would: by name and owner id."""

import hashlib
import json
from typing import Any

from support.lab import Lab
from support.watched import SPARE


def table(lab: Lab, name: str, *columns: str, condition: str = "") -> list[dict[str, Any]]:
    """Rows of a table as ovn-nbctl prints them in JSON, with sets and maps made Python's; all columns if none is named."""
    words = ["--format=json", *([f"--columns={','.join(columns)}"] if columns else [])]
    text = lab.nbctl(*words, *(["find", name, condition] if condition else ["list", name]))
    found = json.loads(text)
    return [dict(zip(found["headings"], map(_plain, row), strict=True)) for row in found["data"]]


def _plain(value: Any) -> Any:
    match value:
        case ["set", list(items)]:
            return [_plain(item) for item in items]
        case ["map", list(pairs)]:
            return dict(pairs)
        case ["uuid", str(text)]:
            return text
        case _:
            return value


def _several(value: Any) -> list[Any]:
    """A set with one member is printed as that member."""
    return value if isinstance(value, list) else [value]


def port_group(gateway: str) -> str:
    return f"veg.{hashlib.sha256(gateway.encode()).hexdigest()[:12]}"


def members(lab: Lab, gateway: str) -> set[str] | None:
    """The pods (`namespace/name`) in the gateway's port group; None when there is no such group."""
    groups = table(lab, "Port_Group", "ports", condition=f"name={port_group(gateway)}")
    if not groups:
        return None
    ports = {row["_uuid"]: row["name"] for row in table(lab, "Logical_Switch_Port", "_uuid", "name")}
    pairs = (ports[uuid].rpartition(".") for uuid in _several(groups[0]["ports"]))
    return {f"{namespace}/{pod}" for pod, _, namespace in pairs}


def policies(lab: Lab, gateway: str) -> dict[str, list[str]]:
    """Match -> sorted nexthops of the reroute policies that the gateway owns, on whatever router; not of spare ones."""
    live = [row for row in _policy_rows(lab, gateway) if row["action"] == "reroute" and row["priority"] != SPARE]
    return {row["match"]: sorted(_several(row["nexthops"])) for row in live}


def _policy_rows(lab: Lab, gateway: str) -> list[dict[str, Any]]:
    condition = f'external_ids:vpc-egress-gateway.io/owner="{gateway}"'
    return table(lab, "Logical_Router_Policy", "match", "nexthops", "priority", "action", condition=condition)


def routes(lab: Lab, gateway: str) -> set[tuple[str, str]]:
    """(prefix, nexthop) of the static routes that the gateway owns."""
    condition = f'external_ids:vpc-egress-gateway.io/owner="{gateway}"'
    rows = table(lab, "Logical_Router_Static_Route", "ip_prefix", "nexthop", condition=condition)
    return {(row["ip_prefix"], row["nexthop"]) for row in rows}


def owns_nothing(lab: Lab, gateway: str) -> bool:
    return not _policy_rows(lab, gateway) and not routes(lab, gateway) and members(lab, gateway) is None
