from pathlib import Path

import pytest

from veg_lab.errors import LabError
from veg_lab.paths import KUBERNETES_SOURCE, PROGRAMS, Lab, from_environment, source_directories


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
    for program in ("etcd", "kube-apiserver", "kubectl"):  # what an envtest has
        (tmp_path / program).touch()
    assert lab.kubernetes.parent == lab.cache
    for program in PROGRAMS:
        (tmp_path / program).touch()
    assert lab.kubernetes == tmp_path


def test_the_cache_is_named_after_the_version_that_is_built(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KUBE_ASSETS", "KUBEBUILDER_ASSETS"):
        monkeypatch.delenv(name, raising=False)
    pinned = (KUBERNETES_SOURCE / "go.mod").read_text()
    version = lab.kubernetes.name.split("-")[1]
    assert f"\tk8s.io/kubernetes v{version}\n" in pinned
    minor_and_patch = version.removeprefix("1.")
    staging = [line for line in pinned.splitlines() if line.startswith("\tk8s.io/") and " => " in line]
    assert staging
    assert all(line.endswith(f" v0.{minor_and_patch}") for line in staging)


def test_every_package_of_the_tree_is_found() -> None:
    names = {found.name for root in source_directories() for found in root.iterdir() if found.is_dir()}
    assert {"veg_lab", "vegctl", "veg_contracts", "veg_runtime", "veg_planner"} <= names
