"""Published types are checked in as JSON Schemas and change compatibly or get a new version."""

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from veg_contracts.schemas import PUBLISHED, incompatibilities, schema

FOLDER = Path(__file__).parents[3] / "libs" / "contracts" / "schemas"


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_the_checked_in_schema_is_compatible_with_the_struct(name: str) -> None:
    checked_in = json.loads((FOLDER / f"{name}.json").read_text())
    assert incompatibilities(checked_in, schema(name)) == [], "give the type a new version (….v2)"


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_the_checked_in_schema_is_up_to_date(name: str) -> None:
    assert json.loads((FOLDER / f"{name}.json").read_text()) == schema(name), "run scripts/schemas"


def test_no_schema_is_left_of_a_type_that_is_gone() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.json")) == sorted(PUBLISHED)


def struct_schema() -> dict[str, Any]:
    return {
        "$ref": "#/$defs/A",
        "$defs": {"A": {"properties": {"a": {"type": "string"}, "b": {"type": "integer"}}, "required": ["a"]}},
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda a: a["properties"].pop("b"), "A.b is gone"),
        (lambda a: a["properties"].update(b={"type": "string"}), "A.b changed"),
        (lambda a: a.update(required=["a", "b"]), "A.b became required"),
    ],
)
def test_what_is_incompatible_is_named(change: Any, said: str) -> None:
    new = copy.deepcopy(struct_schema())
    change(new["$defs"]["A"])
    assert said in "; ".join(incompatibilities(struct_schema(), new))


def test_a_new_optional_field_is_compatible() -> None:
    new = copy.deepcopy(struct_schema())
    new["$defs"]["A"]["properties"]["c"] = {"type": "string", "default": ""}
    assert incompatibilities(struct_schema(), new) == []


def test_what_we_encode_fits_our_schema() -> None:
    example = PUBLISHED["veg.ovn.rows-listed.v1"](gateways=("default/gateway1",))
    jsonschema.validate(json.loads(msgspec.json.encode(example)), schema("veg.ovn.rows-listed.v1"))
