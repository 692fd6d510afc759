from pathlib import Path

import pytest

from veg_lab import kube_ovn
from veg_lab.errors import LabError
from veg_lab.paths import Lab


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab("group", tmp_path / "cache", tmp_path)


def test_a_lab_keeps_the_group_that_it_came_up_with(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(kube_ovn.API_GROUP, raising=False)
    assert kube_ovn.api_group(lab) == "kubeovn.io"
    monkeypatch.setenv(kube_ovn.API_GROUP, "vpc-egress-gateway.io")
    kube_ovn.keep(lab)
    monkeypatch.delenv(kube_ovn.API_GROUP)
    assert kube_ovn.api_group(lab) == "vpc-egress-gateway.io"
    monkeypatch.setenv(kube_ovn.API_GROUP, "kubeovn.io")
    with pytest.raises(LabError, match=r"runs with vpc-egress-gateway\.io; take it down first"):
        kube_ovn.api_group(lab)


def test_another_group_is_refused(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(kube_ovn.API_GROUP, "example.com")
    with pytest.raises(LabError, match=r"kubeovn\.io or vpc-egress-gateway\.io is allowed"):
        kube_ovn.api_group(lab)
