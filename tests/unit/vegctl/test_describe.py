"""Every type on the wire has words."""

import pytest

from veg_contracts.commands import COMMAND_TYPES
from veg_contracts.events import EVENT_TYPES, RowsObserved, Ticked
from veg_contracts.intent import Intent, NbRows, Report, RoutePolicy, Step
from vegctl.describe import _WORDS, describe
from vegctl.table import render


@pytest.mark.parametrize("kind", [*EVENT_TYPES.values(), *COMMAND_TYPES.values(), Intent, Report])
def test_every_type_has_words(kind: type) -> None:
    assert kind in _WORDS


def test_drift_is_told_with_before_and_after() -> None:
    policy = RoutePolicy(
        family="4", priority=29100, match="ip4.src == 10.16.0.0/16", action="reroute", nexthops=("10.16.0.2",)
    )
    event = RowsObserved(
        gateway="a/b", reason="drift", before=(NbRows(router="r", policies=(policy,)),), after=(NbRows(router="r"),)
    )
    assert describe(event) == ("drift of a/b: before r[29100 ip4.src == 10.16.0.0/16 reroute 10.16.0.2]; after no rows")


def test_a_report_tells_what_is_open_first() -> None:
    done, waits = Step(topic="a", state="done", text="a"), Step(topic="b", state="waits", text="waits for b")
    assert describe(Report(gateway="a/b", generation=1, steps=(done, waits))) == "waits for b"
    assert describe(Report(gateway="a/b", generation=1, steps=(done,))) == "all 1 done"
    assert describe(Ticked(at="now")) == "time passed: now"


def test_columns_are_aligned_and_empty_cells_shown() -> None:
    assert render(("A", "LONGER"), [("value", ""), ("x", "y")]) == "A       LONGER\nvalue   <none>\nx       y"
