"""What OVN's Northbound database says."""

from typing import Any, Final

from veg_contracts import names
from veg_runtime.settings import SettingsError
from veg_runtime.tls import Pem
from vegctl.preflight.facts import BfdPort, Northbound, Route, Unreached
from vegctl.preflight.gather.ovsdb import Ovsdb, OvsdbError, connected
from vegctl.preflight.ovn import NEEDED, ROUTES

_DATABASE: Final = "OVN_Northbound"
_ROUTER: Final = "Logical_Router"
_NORTHD: Final = "northd_internal_version"
_ANY: Final[list[Any]] = []
_DEFAULTS: Final = ("0.0.0.0/0", "::/0")

Json = dict[str, Any]


async def look(remotes: str, pem: Pem) -> Northbound | Unreached | None:
    """Ask the first server that answers; None where there is none to ask."""
    if not remotes:
        return None
    try:
        async with connected(remotes, _DATABASE, pem) as database:
            return await _look(database)
    except (OvsdbError, SettingsError) as error:
        return Unreached(where=remotes, reason=str(error))


async def _look(database: Ovsdb) -> Northbound:
    schema = await database.schema()
    columns = {table: frozenset(schema["tables"][table]["columns"]) for table in NEEDED if table in schema["tables"]}
    found = Northbound(version=schema.get("version", ""), columns=columns)
    if not {_ROUTER, ROUTES, "BFD"} <= columns.keys():
        return found  # too old to be asked more
    options, routers, routes, *rest = await database.select(
        {"table": "NB_Global", "where": _ANY, "columns": ["options"]},
        {"table": _ROUTER, "where": _ANY, "columns": ["name", "static_routes"]},
        _routes(["policy", "==", "src-ip"]),
        *(_routes(["ip_prefix", "==", prefix]) for prefix in _DEFAULTS),
        {"table": "Logical_Router_Port", "where": _ANY, "columns": ["name", "peer", "options"]},
        {"table": "Logical_Switch_Port", "where": [["type", "==", "router"]], "columns": ["options"]},
        {"table": "BFD", "where": [["status", "==", "up"]], "columns": ["logical_port"]},
    )
    first, second, ports, peers, sessions = rest
    northd = next((row["options"].get(_NORTHD, "") for row in options), "")
    return Northbound(
        version=found.version,
        columns=columns,
        northd=northd,
        routes=_on_routers(routers, [*routes, *first, *second]),
        bfd_ports=_bfd_ports(ports, peers, sessions),
    )


def _routes(condition: list[str]) -> Json:
    columns = ["_uuid", "ip_prefix", "nexthop", "policy", "route_table", "external_ids"]
    return {"table": ROUTES, "where": [condition], "columns": columns}


def _on_routers(routers: list[Json], routes: list[Json]) -> tuple[Route, ...]:
    """Those of the main tables, each once."""
    by_uuid = {row["_uuid"]: row for row in routes if not row["route_table"]}
    return tuple(
        Route(
            router=router["name"],
            prefix=row["ip_prefix"],
            nexthop=row["nexthop"],
            policy=row["policy"] or "dst-ip",
            ours=names.OWNER_KEY in row["external_ids"],
        )
        for router in routers
        for uuid in _members(router["static_routes"])
        if (row := by_uuid.get(uuid)) is not None
    )


def _bfd_ports(ports: list[Json], peers: list[Json], sessions: list[Json]) -> tuple[BfdPort, ...]:
    """A peer is named by the router port, or names it, as that of a switch does."""
    peered = {row["options"].get("router-port", "") for row in peers}
    up = [row["logical_port"] for row in sessions]
    return tuple(
        BfdPort(name=row["name"], peered=bool(row["peer"]) or row["name"] in peered, up=up.count(row["name"]))
        for row in ports
        if row["options"].get("bfd-only") == "true"
    )


def _members(value: Any) -> list[Any]:
    """Of a set, which comes as its one member where it has just one (RFC 7047, 5.1)."""
    return value if isinstance(value, list) else [value]
