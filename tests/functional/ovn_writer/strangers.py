"""Rows of exactly Kube-OVN's form, as the ones of its own gateways and Vpcs are (columns E and H of its versions)."""

import json
from collections.abc import Callable, Iterator
from hashlib import sha256
from random import Random
from typing import Any

from functional.ovsdb import DATABASE, Ovsdb, run

TABLES = (
    "Logical_Router_Policy",
    "Logical_Router_Static_Route",
    "BFD",
    "Port_Group",
    "Address_Set",
    "Logical_Router_Port",
    "HA_Chassis_Group",
    "HA_Chassis",
    "Logical_Switch",
    "Logical_Switch_Port",
)
_VENDOR = {"vendor": "kube-ovn"}
_PRIORITIES = (29000, 29080, 29090, 29100, 29150, 29160, 30000, 31000)
_PREFIXES = ("192.168.77.0/24", "192.168.78.0/24", "192.168.79.9", "fd00:77::/64")

Operation = dict[str, Any]


class Strangers:
    """Makes the rows, each kind on its own: `gateways` are the names that they carry, ours among them."""

    def __init__(self, random: Random, gateways: tuple[str, ...], routers: tuple[str, ...]) -> None:
        self._random = random
        self._gateways = gateways
        self._routers = routers
        self._made = 0

    def operations(self, number: int) -> list[Operation]:
        """What makes that many rows at least."""
        kinds: tuple[Callable[[], Iterator[Operation]], ...] = (
            self._policy,
            self._route,
            self._session,
            self._port_group,
            self._address_set,
            self._bfd_port,
            self._switch,
        )
        made = [operation for kind in kinds for operation in kind()]
        while sum(operation["op"] == "insert" for operation in made) < number:
            made += self._random.choice(kinds)()
        return made

    def _policy(self) -> Iterator[Operation]:
        family, version = self._family()
        gateway = self._random.choice(self._gateways)
        source = self._random.choice(
            (f"$VEG.{_hash(gateway)}.ipv{family}", f"$VEG.{_hash(gateway)}_ip{family}", version)
        )
        action = self._random.choice(("reroute", "reroute", "drop"))
        row = {
            "priority": self._random.choice(_PRIORITIES),
            "match": f"ip{family}.src == {source}",
            "action": action,
            "nexthops": _set(["10.16.0.12", "10.16.0.13"] if action == "reroute" else []),
            "external_ids": _map(self._ids(gateway, family)),
        }
        yield from self._on_router("Logical_Router_Policy", row, "policies")

    def _route(self) -> Iterator[Operation]:
        policy = self._random.choice(("src-ip", "dst-ip"))
        prefix = self._random.choice(_PREFIXES if policy == "src-ip" else (*_PREFIXES, "192.168.0.0/24", "0.0.0.0/0"))
        family = "6" if ":" in prefix else "4"
        ids: dict[str, str] = self._random.choice(({}, _VENDOR, self._ids(self._random.choice(self._gateways), family)))
        row = {
            "policy": policy,
            "ip_prefix": prefix,
            "nexthop": "fd00::1" if family == "6" else "192.168.0.1",
            "external_ids": _map(ids),
        }
        yield from self._on_router("Logical_Router_Static_Route", row, "static_routes")

    def _session(self) -> Iterator[Operation]:
        """Of router ports that are not ours: one that names ours is in the way when that goes (test_portless)."""
        number = self._next()
        ids = self._ids(self._random.choice(self._gateways), "4")
        row = {
            "logical_port": f"bfd@theirs-{self._random.choice(self._routers)}",
            "dst_ip": f"192.168.{number // 250 + 100}.{number % 250 + 1}",
            "detect_mult": 3,
            "min_rx": 1000,
            "min_tx": 1000,
            "external_ids": _map(self._random.choice((ids, _VENDOR, {}))),
        }
        yield {"op": "insert", "table": "BFD", "row": row}

    def _port_group(self) -> Iterator[Operation]:
        number = self._next()
        gateway = self._gateways[number] if number < len(self._gateways) else f"default/other{number}"
        ids = {**_VENDOR, "vpc-egress-gateway": gateway}
        yield {
            "op": "insert",
            "table": "Port_Group",
            "row": {"name": f"VEG.{_hash(gateway)}", "external_ids": _map(ids)},
        }

    def _address_set(self) -> Iterator[Operation]:
        number = self._next()
        gateway = self._random.choice(self._gateways)
        row = {
            "name": f"VEG.{_hash(f'{gateway}{number}')}.ipv4",
            "addresses": _set(["10.16.0.0/16"]),
            "external_ids": _map(self._ids(gateway, "4")),
        }
        yield {"op": "insert", "table": "Address_Set", "row": row}

    def _bfd_port(self) -> Iterator[Operation]:
        number = self._next()
        vpc, router, group = f"theirs{number}", self._random.choice(self._routers), f"group{number}"
        members = [f"chassis{number}x{index}" for index in range(3)]
        for index, name in enumerate(members):
            row = {"chassis_name": f"chassis-{index}", "priority": 100 - index}
            ids = _map({**_VENDOR, "group": f"bfd@{vpc}"})
            yield {"op": "insert", "table": "HA_Chassis", "uuid-name": name, "row": {**row, "external_ids": ids}}
        named = _set([["named-uuid", name] for name in members])
        row = {"name": f"bfd@{vpc}", "ha_chassis": named, "external_ids": _map({**_VENDOR, "lrp": f"bfd@{vpc}"})}
        yield {"op": "insert", "table": "HA_Chassis_Group", "uuid-name": group, "row": row}
        port = {
            "name": f"bfd@{vpc}",
            "mac": f"0a:00:00:00:{number // 256:02x}:{number % 256:02x}",
            "networks": _set(["10.255.255.255"]),
            "options": _map({"bfd-only": "true"}),
            "ha_chassis_group": ["named-uuid", group],
            "external_ids": _map({**_VENDOR, "lr": vpc}),
        }
        yield from self._insert_below("Logical_Router_Port", port, ("Logical_Router", router, "ports"))

    def _switch(self) -> Iterator[Operation]:
        number = self._next()
        # A switch may have any name, also that of our stub switch: the schema lets it exist several times.
        name = self._random.choice((f"subnet{number}", f"bfd@{self._random.choice(self._routers)}"))
        port = f"port{number}"
        row = {
            "name": f"pod{number}.default",
            "external_ids": _map({**_VENDOR, "ls": name, "pod": f"default/pod{number}"}),
        }
        yield {"op": "insert", "table": "Logical_Switch_Port", "uuid-name": port, "row": row}
        switch = {"name": name, "ports": ["named-uuid", port], "external_ids": _map(_VENDOR)}
        yield {"op": "insert", "table": "Logical_Switch", "row": switch}

    def _on_router(self, table: str, row: dict[str, Any], column: str) -> Iterator[Operation]:
        yield from self._insert_below(table, row, ("Logical_Router", self._random.choice(self._routers), column))

    def _insert_below(self, table: str, row: dict[str, Any], parent: tuple[str, str, str]) -> Iterator[Operation]:
        label, (above, name, column) = f"row{self._next()}", parent
        yield {"op": "insert", "table": table, "uuid-name": label, "row": row}
        mutation = [column, "insert", _set([["named-uuid", label]])]
        yield {"op": "mutate", "table": above, "where": [["name", "==", name]], "mutations": [mutation]}

    def _family(self) -> tuple[str, str]:
        return self._random.choice((("4", "10.16.0.0/16"), ("4", "192.168.0.0/24"), ("6", "fd00:10:16::/64")))

    def _ids(self, gateway: str, family: str) -> dict[str, str]:
        return {**_VENDOR, "vpc-egress-gateway": gateway, "af": family}

    def _next(self) -> int:
        self._made += 1
        return self._made - 1


def commit(nb: Ovsdb, operations: list[Operation]) -> None:
    """Carry all of them out in one transaction."""
    answers = json.loads(run("ovsdb-client", "transact", nb.remote, json.dumps([DATABASE, *operations])))
    assert not any("error" in answer for answer in answers if answer), answers


def everything(nb: Ovsdb) -> dict[str, dict[str, Any]]:
    """All rows of the tables that we write to, by table and uuid, with all of their columns and their `_version`."""
    return {f"{table} {row['_uuid']}": row for table in TABLES for row in nb.rows(table)}


def _hash(gateway: str) -> str:
    return sha256(gateway.encode()).hexdigest()[:12]


def _map(values: dict[str, str]) -> list[Any]:
    return ["map", [list(item) for item in sorted(values.items())]]


def _set(values: list[Any]) -> list[Any]:
    return ["set", values]
