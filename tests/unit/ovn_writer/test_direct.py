"""What a server's schema lacks is said by name."""

from typing import Any

from veg_ovn_writer.direct import missing

SCHEMA: dict[str, Any] = {"version": "5.0.0", "tables": {"T": {"columns": {"a": {}, "b": {}}}}}


def test_nothing() -> None:
    assert missing(SCHEMA, "T", ("a", "b")) == ""


def test_columns() -> None:
    assert missing(SCHEMA, "T", ("a", "c", "d")) == "the schema of OVN_Northbound 5.0.0 has no column T.c, T.d"


def test_a_table() -> None:
    assert missing(SCHEMA, "U", ("a",)) == "the schema of OVN_Northbound 5.0.0 has no table U"
