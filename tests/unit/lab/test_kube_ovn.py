from pathlib import Path

import pytest
import yaml

from veg_lab import kube_ovn
from veg_lab.errors import LabError
from veg_lab.paths import Lab


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.delenv("VEG_LAB_KUBE_OVN", raising=False)
    return Lab("x", tmp_path / "cache", tmp_path / "run")


def test_a_lab_keeps_the_behaviour_it_came_up_with(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kube_ovn.behaviour(lab).name == "reference"
    monkeypatch.setenv("VEG_LAB_KUBE_OVN", "1.14")
    kube_ovn.keep(lab)
    monkeypatch.delenv("VEG_LAB_KUBE_OVN")
    assert kube_ovn.behaviour(lab).name == "1.14"
    monkeypatch.setenv("VEG_LAB_KUBE_OVN", "1.17")
    with pytest.raises(LabError, match=r"^VEG_LAB_KUBE_OVN=1.17: the lab 'x' runs as 1.14; take it down first$"):
        kube_ovn.behaviour(lab)


@pytest.mark.parametrize(("version", "own", "field"), [("reference", False, True), ("1.13", False, False)])
def test_the_definitions_are_those_of_the_version(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, version: str, own: bool, field: bool
) -> None:
    monkeypatch.setenv("VEG_LAB_KUBE_OVN", version)
    names, vpc = found(lab)
    assert ("vpc-egress-gateways.kubeovn.io" in names) is own
    assert {"bfdPort" in vpc[part]["properties"] for part in ("spec", "status")} == {field}
    assert kube_ovn.definitions(lab)[-1].parts[-2:] == ("crds", "kubeovn.io")


@pytest.mark.parametrize("version", ["1.14", "1.17"])
def test_k4_the_resource_of_its_own_gateways_takes_the_place_of_ours(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setenv("VEG_LAB_KUBE_OVN", version)
    names, vpc = found(lab)
    assert "vpc-egress-gateways.kubeovn.io" in names
    assert "bfdPort" in vpc["spec"]["properties"]
    assert all(path.parent.name != "crds" or path.name == "multus.yaml" for path in kube_ovn.definitions(lab))


def found(lab: Lab) -> tuple[set[str], kube_ovn.Json]:
    """The names of Kube-OVN's resources, and the schema of Vpc."""
    kube_ovn.keep(lab)
    items = yaml.safe_load(kube_ovn.definitions(lab)[1].read_text())["items"]
    vpc = next(item for item in items if item["metadata"]["name"] == "vpcs.kubeovn.io")
    schema: kube_ovn.Json = vpc["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    return {item["metadata"]["name"] for item in items}, schema


@pytest.mark.parametrize(("version", "image"), [("1.13", "v1.13.15"), ("1.17", "v1.17.0"), ("reference", "")])
def test_the_cluster_shows_which_kube_ovn_it_has(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, version: str, image: str
) -> None:
    monkeypatch.setenv("VEG_LAB_KUBE_OVN", version)
    lab.run.mkdir(parents=True)
    found = [yaml.safe_load(path.read_text())["spec"] for path in kube_ovn.controller(lab)]
    assert [spec["replicas"] for spec in found] == ([0] if image else [])
    assert [spec["template"]["spec"]["containers"][0]["image"].rpartition(":")[2] for spec in found] == [
        *filter(None, [image])
    ]
