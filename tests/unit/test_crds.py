"""What `scripts/crds` makes is what is there; every bound is there, and the planner has the same ones."""

import re
import subprocess
from pathlib import Path

import pytest
from support.crd import GROUPS, ROOT, Bound, bounds, read, schema, unbounded

from veg_planner.spec import Spec, parse

MADE = [
    *(f"crds/{group}/vpc-egress-gateways.yaml" for group in GROUPS),
    *(f"charts/vpc-egress-gateway/files/{kind}/{group}.yaml" for kind in ("crds", "rbac") for group in GROUPS),
]


def test_what_is_made_is_there(tmp_path: Path) -> None:
    subprocess.run([ROOT / "scripts" / "crds", tmp_path], check=True)
    made = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.yaml")}
    assert made == set(MADE)
    for path in MADE:
        assert (ROOT / path).read_text() == (tmp_path / path).read_text(), f"run scripts/crds: {path}"


@pytest.mark.parametrize("group", GROUPS)
def test_the_names_of_each_group(group: str) -> None:
    crd = read(group)
    assert crd["metadata"]["name"] == f"vpc-egress-gateways.{group}"
    assert crd["spec"]["group"] == group
    assert "veg" in crd["spec"]["names"]["shortNames"]
    assert ("vegw" in crd["spec"]["names"]["shortNames"]) == (group != "kubeovn.io")


def test_each_directory_installs_one_crd() -> None:
    for directory in (ROOT / "crds", *((ROOT / "crds" / group) for group in GROUPS)):
        installed = [path.name for path in directory.iterdir() if path.suffix in (".yaml", ".yml", ".json")]
        assert len(installed) == (directory.name != "crds")


def test_k1_every_string_list_and_map_has_a_bound() -> None:
    assert list(unbounded(schema()["properties"]["spec"], "spec")) == []
    assert list(unbounded(schema()["properties"]["status"], "status")) == []


@pytest.mark.parametrize("bound", bounds(), ids=lambda bound: f"{bound.field}-{bound.keyword}")
def test_k1_the_planner_has_the_bounds_of_the_crd(bound: Bound) -> None:
    errors = parse(bound.spec(over=1))
    assert not isinstance(errors, Spec)
    (error,) = errors
    assert f"of length <= {bound.limit}" in error.allowed
    assert str(bound.limit + 1) in error.value
    # msgspec does not name the key of a map.
    assert re.sub(r"\[[\d.]*\]", "", error.field) == bound.field
    if bound.can_be_reached:
        assert isinstance(parse(bound.spec(over=0)), Spec)
