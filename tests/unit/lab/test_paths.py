from pathlib import Path

import pytest

from veg_lab.errors import LabError
from veg_lab.paths import Lab, from_environment, source_directories


@pytest.mark.parametrize("name", ["Veg", "a.b", "-a", "eleven-long", "../up", "a b"])
def test_a_name_that_could_meet_another_lab_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("VEG_LAB", name)
    with pytest.raises(LabError, match="VEG_LAB="):
        from_environment()


def test_the_lab_is_veg_unless_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VEG_LAB", raising=False)
    assert from_environment().name == "veg"


def test_namespaces_begin_with_the_name(lab: Lab) -> None:
    assert lab.namespace() == "unit"
    assert lab.namespace("pod", "default", "a-1") == "unit.pod.default.a-1"


def test_assets_are_used_only_when_complete(lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setenv("KUBE_ASSETS", str(tmp_path))
    (tmp_path / "kube-apiserver").touch()
    assert lab.kubernetes.parent == lab.cache
    for part in ("controller-manager", "scheduler"):
        (tmp_path / f"kube-{part}").touch()
    assert lab.kubernetes == tmp_path


def test_every_package_of_the_tree_is_found() -> None:
    names = {found.name for root in source_directories() for found in root.iterdir() if found.is_dir()}
    assert {"veg_lab", "vegctl", "veg_contracts", "veg_runtime", "veg_planner"} <= names
