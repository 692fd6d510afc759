"""Spare rows in a real database: who is live, what is told, and what becomes of rows that somebody touched."""

from typing import Any

import msgspec
import pytest
from functional.ovn_writer.harness import DOCUMENT, GATEWAY, Bus, command, policy, rows
from functional.ovsdb import Ovsdb

from veg_contracts.intent import NbRows
from veg_contracts.names import OWNER_KEY, PRIORITY_SPARE

pytestmark = pytest.mark.usefixtures("writer")
SOURCE = "10.16.0.0/16"
ONE, TWO, THREE = "10.16.0.12", "10.16.0.15", "10.16.0.16"


def wanted(*nexthops: str) -> NbRows:
    return rows(msgspec.structs.replace(policy(SOURCE, *nexthops), spares=len(nexthops) > 1))


def apply(bus: Bus, generation: int, *nexthops: str) -> Any:
    bus.send(command(generation, wanted(*nexthops)))
    return bus.wait_event(f"uid-{GATEWAY}/{generation}/nb/applied")


def ours(nb: Ovsdb) -> list[dict[str, Any]]:
    """The rows of the gateway. One value of a set comes without its brackets."""
    found = [row for row in nb.rows("Logical_Router_Policy") if OWNER_KEY in row["external_ids"]]
    return [row | {"nexthops": sorted(nexthops(row))} for row in found]


def nexthops(row: dict[str, Any]) -> list[str]:
    return [row["nexthops"]] if isinstance(row["nexthops"], str) else row["nexthops"]


def by_priority(nb: Ovsdb) -> dict[int, list[list[str]]]:
    found: dict[int, list[list[str]]] = {}
    for row in ours(nb):
        found.setdefault(row["priority"], []).append(row["nexthops"])
    return {priority: sorted(several) for priority, several in found.items()}


def test_rows_take_turns_and_none_comes_or_goes(nb: Ovsdb, bus: Bus) -> None:
    apply(bus, 1, ONE, TWO, THREE)
    assert by_priority(nb) == {29100: [[ONE, TWO, THREE]], PRIORITY_SPARE: [[ONE], [ONE, TWO, THREE]]}
    uuids = {row["_uuid"] for row in ours(nb)}
    apply(bus, 2, TWO, THREE)
    assert by_priority(nb) == {29100: [[TWO, THREE]], PRIORITY_SPARE: [[ONE], [ONE, TWO, THREE]]}
    apply(bus, 3, TWO)
    assert by_priority(nb) == {29100: [[TWO]], PRIORITY_SPARE: [[ONE, TWO, THREE], [TWO, THREE]]}
    apply(bus, 4, ONE, TWO)
    assert by_priority(nb).keys() == {29100, PRIORITY_SPARE}
    assert by_priority(nb)[29100] == [[ONE, TWO]]
    assert {row["_uuid"] for row in ours(nb)} == uuids
    bus.send(command(5, NbRows()))
    bus.wait_event(f"uid-{GATEWAY}/5/nb/applied")
    assert ours(nb) == []


def test_our_own_turns_are_no_drift_and_a_spare_row_that_somebody_removes_is(nb: Ovsdb, bus: Bus) -> None:
    apply(bus, 1, ONE, TWO)
    apply(bus, 2, TWO)
    apply(bus, 3, ONE, TWO)
    (narrow,) = [row for row in ours(nb) if row["nexthops"] == [TWO]]
    nb.nbctl("remove", "Logical_Router", "ovn-cluster", "policies", str(narrow["_uuid"]))
    observed = bus.wait_observed("drift")
    assert bus.observed("drift") == [observed]
    assert observed.before == (wanted(ONE, TWO),)
    assert len(observed.after[0].policies) == 2
    bus.send(command(3, wanted(ONE, TWO), number="-again"))
    bus.wait_event(f"uid-{GATEWAY}/3/nb-again/applied")
    assert sorted(len(nexthops) for nexthops in by_priority(nb)[PRIORITY_SPARE]) == [1, 2]


def test_a_gateway_that_wants_none_has_none(nb: Ovsdb, bus: Bus) -> None:
    apply(bus, 1, ONE, TWO)
    bus.send(command(2, DOCUMENT))
    bus.wait_event(f"uid-{GATEWAY}/2/nb/applied")
    plain = rows(policy(SOURCE, ONE, THREE))
    bus.send(command(3, plain))
    bus.wait_event(f"uid-{GATEWAY}/3/nb/applied")
    assert by_priority(nb) == {29100: [[ONE, THREE]]}
