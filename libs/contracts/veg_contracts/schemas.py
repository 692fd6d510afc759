"""JSON Schemas of every published type, generated from the structs; and what makes a change of one incompatible."""

from typing import Any

import msgspec

from veg_contracts.commands import COMMAND_TYPES
from veg_contracts.events import EVENT_TYPES
from veg_contracts.intent import Intent, PodConfig, Report

# Also read by others than the planner: the config by agents, intents and reports by whoever queries the database.
_DOCUMENTS: dict[str, type[Any]] = {
    "veg.config.v1": PodConfig,
    "veg.intent.v1": Intent,
    "veg.report.v1": Report,
}
PUBLISHED: dict[str, type[Any]] = {**EVENT_TYPES, **COMMAND_TYPES, **_DOCUMENTS}


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a published type."""
    made: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(msgspec.json.schema(PUBLISHED[name])))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": name, **made}


def incompatibilities(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Why messages of `old` could be misread by a reader of `new`, or the other way round; empty: they could not.

    Allowed are new optional fields and new definitions. A field that goes, becomes required or changes its type needs
    a new version of the type.
    """
    found = _of_struct("", old, new)
    before, after = old.get("$defs", {}), new.get("$defs", {})
    for name, definition in before.items():
        if name not in after:
            found.append(f"definition {name} is gone")
        else:
            found += _of_struct(name, definition, after[name])
    return found


def _of_struct(name: str, old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    before, after = old.get("properties", {}), new.get("properties", {})
    found = [f"{name}.{field} is gone" for field in before if field not in after]
    found += [
        f"{name}.{field} changed from {before[field]} to {after[field]}"
        for field in before
        if field in after and before[field] != after[field]
    ]
    required = set(new.get("required", [])) - set(old.get("required", []))
    found += [f"{name}.{field} became required" for field in sorted(required)]
    if old.get("enum") != new.get("enum"):
        found.append(f"{name}: the allowed values changed from {old.get('enum')} to {new.get('enum')}")
    if old.get("anyOf") != new.get("anyOf") or old.get("$ref") != new.get("$ref"):
        found.append(f"{name}: the alternatives changed")
    return found
