"""The CRD as it is shipped, and specs that are at, or just over, each of its bounds."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[2]
GROUPS: Final = ("kubeovn.io", "vpc-egress-gateway.io")
BASE: Final[dict[str, Any]] = {"externalSubnet": "macvlan1", "policies": [{"subnets": ["ovn-default"]}]}

_LIMITS: Final = {"string": "maxLength", "array": "maxItems", "object": "maxProperties"}

Schema = dict[str, Any]


def read(group: str = GROUPS[0]) -> Schema:
    """The CRD of that API group."""
    found: Schema = yaml.safe_load((ROOT / "crds" / group / "vpc-egress-gateways.yaml").read_text())
    return found


def schema() -> Schema:
    """That of the whole object, the same in either group."""
    (version,) = read()["spec"]["versions"]
    found: Schema = version["schema"]["openAPIV3Schema"]
    return found


def unbounded(part: Schema, path: str) -> Iterator[str]:
    """The strings, lists and maps below `path` that have no bound."""
    kind = part.get("type", "string")  # what is int-or-string has none
    free = "enum" not in part and part.get("format") not in ("date-time", "int32", "int64")
    needed = kind in ("string", "array") or "additionalProperties" in part
    if needed and free and _LIMITS[kind] not in part:
        yield path
    for name, inner in _below(part):
        yield from unbounded(inner, path + name)


@dataclass(frozen=True)
class Bound:
    """A bound of the spec: the field, without indexes, what it limits, and a spec that has `limit` + `over` of it."""

    field: str
    keyword: str
    limit: int
    steps: tuple[tuple[str, Schema], ...]

    def spec(self, *, over: int) -> dict[str, Any]:
        """A spec that is as it should be but for this field."""
        value = _filled(self.steps[-1][1], self.limit + over)
        for index in range(len(self.steps) - 1, 0, -1):
            name, above = self.steps[index][0], self.steps[index - 1][1]
            value = _holding(name, value, above)
        return {**BASE, **value}

    @property
    def can_be_reached(self) -> bool:
        """Whether there is a valid value of that length: an address has no hundred characters."""
        return "anyOf" not in self.steps[-1][1]


def bounds() -> list[Bound]:
    """Every bound of `spec`."""
    spec = schema()["properties"]["spec"]
    return list(_bounds("spec", (("", spec),)))


def _bounds(path: str, steps: tuple[tuple[str, Schema], ...]) -> Iterator[Bound]:
    part = steps[-1][1]
    for keyword in _LIMITS.values():
        if keyword in part:
            yield Bound(path, keyword, part[keyword], steps)
    for name, inner in _below(part):
        yield from _bounds(path + (name if name.startswith(".") else ""), (*steps, (name, inner)))


def _below(part: Schema) -> Iterator[tuple[str, Schema]]:
    for name, inner in part.get("properties", {}).items():
        yield f".{name}", inner
    if "items" in part:
        yield "[]", part["items"]
    if isinstance(part.get("additionalProperties"), dict):
        yield "{}", part["additionalProperties"]


def _holding(name: str, value: Any, above: Schema) -> Any:
    """The list, map or object `above`, valid, with this value in it."""
    if name == "[]":
        return [value]
    if name == "{}":
        return {"cpu": value}
    return {**_valid(above), name.removeprefix("."): value}


def _filled(part: Schema, size: int) -> Any:
    match part.get("type", "string"):
        case "array":
            return [_valid(part["items"], index) for index in range(size)]
        case "object":
            return {f"k{index}": _valid(part["additionalProperties"], index) for index in range(size)}
        case _:
            return "1" * size


def _valid(part: Schema, index: int = 0) -> Any:
    """A value that the schema allows, another one for each index."""
    if "enum" in part:
        return part["enum"][0]
    if "x-kubernetes-int-or-string" in part:
        return index
    match part.get("type"):
        case "string":
            return f"10.{index // 65536}.{index // 256 % 256}.{index % 256}" if "anyOf" in part else f"n{index}"
        case "array":
            return []
        case _:
            fields = part.get("properties", {})
            made = {name: _valid(fields[name], index) for name in part.get("required", ())}
            needed = {"snat": {"subnets": ["ovn-default"]}, "values": {"values": ["1"]}}
            return made | {name: value for field in fields for name, value in needed.get(field, {}).items()}
