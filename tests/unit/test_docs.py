"""The table of fields is whole, and what it names as proof exists."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from support import crd

ROOT = Path(__file__).parents[2]
TABLES = ROOT / "docs" / "fields.md"


def rows() -> list[tuple[list[str], list[str]]]:
    """The fields of each row, and its tests."""
    cells = [line.strip().strip("|").split(" | ") for line in TABLES.read_text().splitlines() if line.startswith("| `")]
    return [([field for code in quoted(row[0]) for field in expand(code)], quoted(row[-1])) for row in cells]


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def expand(field: str) -> list[str]:
    """`a.{b,c}` is `a.b` and `a.c`."""
    match = re.fullmatch(r"(.*)\{(.*)\}", field)
    return [match[1] + name for name in match[2].split(",")] if match else [field]


def fields_of_the_crd() -> set[str]:
    """Every property below spec and status, without the indexes of lists."""
    properties = crd.schema()["properties"]
    return {field for top in ("spec", "status") for field in below(top, properties[top])}


def below(path: str, schema: dict[str, Any]) -> Iterator[str]:
    while schema.get("type") == "array":
        schema = schema["items"]
    for name, inner in schema.get("properties", {}).items():
        yield f"{path}.{name}"
        yield from below(f"{path}.{name}", inner)


def names_in(path: Path) -> set[str]:
    return {
        node.name
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


def test_every_field_of_the_crd_is_in_a_table_once_and_no_other() -> None:
    listed = [field for fields, _ in rows() for field in fields]
    assert sorted(listed) == sorted(fields_of_the_crd())


def test_every_field_has_a_test_that_exists() -> None:
    for fields, tests in rows():
        assert tests, f"{fields}: no test"
        for test in tests:
            path, _, name = test.partition("::")
            assert name in names_in(ROOT / path), f"{fields}: {test} does not exist"
