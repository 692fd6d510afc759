import pytest

from veg_lab.errors import LabError
from veg_lab.mini_kube_ovn.behaviours import BEHAVIOURS, Behaviour, named


def test_the_reference_is_the_default_and_does_nothing_to_anybody() -> None:
    found = named("")
    assert found is BEHAVIOURS["reference"]
    assert found == Behaviour("reference", finds_default_subnet=True)


def test_an_unknown_version_is_refused_by_name() -> None:
    with pytest.raises(LabError, match=r"^VEG_LAB_KUBE_OVN='1.15': .*; there are reference, 1\.13, 1\.14, 1\.17$"):
        named("1.15")
