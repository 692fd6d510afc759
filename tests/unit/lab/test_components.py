import pytest

from veg_lab.components import all_components, find
from veg_lab.errors import LabError
from veg_lab.paths import Lab


def test_every_process_has_one_name_and_a_place_in_the_order(lab: Lab) -> None:
    names = list(all_components(lab))
    assert names.index("kube-apiserver") > names.index("etcd")
    assert {"planner", "watcher", "ovn-writer", "kube-writer", "kube-ovn-cni", "mini-kube-ovn", "ovn-nb"} <= set(names)


def test_all_live_in_namespaces_of_the_lab(lab: Lab) -> None:
    assert {component.namespace for component in all_components(lab).values()} == {"unit", "unit.ext"}


def test_an_unknown_name_is_answered_with_the_known_ones(lab: Lab) -> None:
    with pytest.raises(LabError, match=r"no component 'plannr'; there are .*planner"):
        find(lab, "plannr")
