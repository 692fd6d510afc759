"""Each invariant catches what it is there for."""

import msgspec
import pytest

from veg_contracts.intent import NbRows, PodConfig, RoutePolicy, Source
from veg_planner.invariants import violations
from veg_planner.plan.draft import Draft

POLICY = RoutePolicy(
    family="4", priority=29100, match="ip4.src == 10.0.0.0/8", action="reroute", nexthops=("10.0.0.1", "10.0.0.2")
)


def draft(*policies: RoutePolicy, router: str = "r") -> Draft:
    return Draft(gateway="a/b", gateway_uid="u", nb=NbRows(router=router, policies=policies))


def test_a_good_draft_has_none() -> None:
    assert violations(draft(POLICY)) == ()
    assert violations(Draft(gateway="a/b", gateway_uid="u")) == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"family": "6"}, "not of family 6 alone"),
        ({"nexthops": ("10.0.0.2", "10.0.0.1")}, "not sorted"),
        ({"nexthops": ("10.0.0.1", "10.0.0.1")}, "twice"),
        ({"nexthops": ("fd00::1",)}, "of another family"),
        ({"nexthops": ()}, "with 0 nexthops"),
        ({"action": "drop"}, "action drop with 2 nexthops"),
    ],
)
def test_a_broken_policy_is_named(change: dict[str, object], said: str) -> None:
    assert said in "; ".join(violations(draft(msgspec.structs.replace(POLICY, **change))))


def test_rows_need_a_router_and_each_policy_once() -> None:
    assert "without a logical router" in "; ".join(violations(draft(POLICY, router="")))
    assert "there twice" in "; ".join(violations(draft(POLICY, POLICY)))


def test_config_sources_are_canonical_and_once() -> None:
    sources = (Source(cidr="10.0.0.1/8", snat=True), Source(cidr="10.0.0.1/8", snat=False))
    config = PodConfig(gateway="a/b", gateway_uid="u", generation=1, sources=sources)
    said = "; ".join(violations(Draft(gateway="a/b", gateway_uid="u", config=config)))
    assert "twice" in said
    assert "host bits" in said
