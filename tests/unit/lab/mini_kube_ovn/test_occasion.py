from collections.abc import Callable
from typing import Any

from veg_lab.mini_kube_ovn.occasion import Occasion, fingerprints, occasion
from veg_lab.mini_kube_ovn.snapshot import take


def test_a_pass_after_no_edit_looks_at_nothing(cluster: Callable[..., Any], vpc: Callable[..., Any]) -> None:
    objects = cluster(Vpc=[vpc("vpc1")])
    before = fingerprints(take(objects))
    objects["Vpc"][1]["status"] = {"standby": True}
    assert occasion(before, fingerprints(take(objects))) == Occasion()


def test_a_start_looks_at_all_and_an_edit_at_one(cluster: Callable[..., Any], vpc: Callable[..., Any]) -> None:
    objects = cluster(Vpc=[vpc("vpc1")])
    before = fingerprints(take(objects))
    first = occasion(None, before)
    assert (first.start, first.vpcs) == (True, frozenset({"ovn-cluster", "vpc1"}))
    objects["Vpc"][1]["metadata"]["annotations"] = {"touched": "1"}
    assert occasion(before, fingerprints(take(objects))) == Occasion(vpcs=frozenset({"vpc1"}))


def test_a_new_subnet_is_an_edit_of_its_vpc(
    cluster: Callable[..., Any], subnet: Callable[..., Any], vpc: Callable[..., Any]
) -> None:
    before = fingerprints(take(cluster(Vpc=[vpc("vpc1")])))
    now = fingerprints(take(cluster(Vpc=[vpc("vpc1")], Subnet=[subnet("subnet1", "192.168.0.0/24", vpc="vpc1")])))
    assert occasion(before, now) == Occasion(vpcs=frozenset({"vpc1"}), subnets=frozenset({"subnet1"}))
