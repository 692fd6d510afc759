"""The release: what its workflow refers to exists and is pinned, and what its scripts hand on is checked."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / ".github" / "workflows" / "release.yml"
DIGEST = f"sha256:{'a' * 64}"


def _steps() -> Iterator[dict[str, Any]]:
    for job in yaml.safe_load(WORKFLOW.read_text())["jobs"].values():
        yield from job["steps"]


def test_actions_are_pinned_by_commit() -> None:
    used = [step["uses"] for step in _steps() if "uses" in step]
    assert used
    assert [action for action in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action)] == []


def test_its_scripts_exist() -> None:
    named = {name for step in _steps() for name in re.findall(r"(?:scripts|\.ci)/[\w-]+", step.get("run", ""))}
    assert {"scripts/release-variables", "scripts/release-digests", ".ci/run"} <= named
    assert [name for name in named if not os.access(ROOT / name, os.X_OK)] == []


def test_only_the_job_that_pushes_may_write() -> None:
    workflow = yaml.safe_load(WORKFLOW.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    assert [name for name, job in workflow["jobs"].items() if "permissions" in job] == ["images"]


def _script(name: str, *words: str, path: Path | None = None) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | ({"PATH": f"{path}:{os.environ['PATH']}"} if path else {})
    argv = [str(ROOT / "scripts" / name), *words]
    return subprocess.run(argv, capture_output=True, text=True, check=False, env=environment)


def _metadata(tmp_path: Path, **targets: dict[str, str]) -> str:
    file = tmp_path / "images.json"
    file.write_text(json.dumps({"buildx.build.ref": "x", **targets}))
    return str(file)


def test_each_name_of_each_image_is_signed_by_digest(tmp_path: Path) -> None:
    image = {
        "image.name": "r.example:5000/veg/planner:1.2.3,r.example:5000/veg/planner:1.2",
        "containerimage.digest": DIGEST,
    }
    done = _script("release-digests", _metadata(tmp_path, planner=image, tools={"containerimage.digest": DIGEST}))
    assert done.stdout.split() == [f"r.example:5000/veg/planner@{DIGEST}"] * 2


@pytest.mark.parametrize("targets", [{}, {"planner": {"image.name": "r.example/veg/planner:1.2.3"}}])
def test_an_image_that_was_not_pushed_fails_the_release(tmp_path: Path, targets: dict[str, dict[str, str]]) -> None:
    done = _script("release-digests", _metadata(tmp_path, **targets))
    assert done.returncode == 1
    assert "image" in done.stderr


@pytest.fixture
def docker(tmp_path: Path) -> Path:
    """A directory with a `docker` that says DIGEST of any image."""
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho {DIGEST}\n")
    program.chmod(0o755)
    return program.parent


@pytest.mark.parametrize(
    ("words", "version"),
    [(("tag", "v1.2.3"), "1.2.3"), (("branch", "main"), f"0.0.0-{'b' * 12}")],
)
def test_a_release_is_named_by_its_tag_and_pins_debian(docker: Path, words: tuple[str, str], version: str) -> None:
    done = _script("release-variables", *words, "b" * 40, path=docker)
    debian = "docker.io/library/debian:bookworm-slim"
    assert done.stdout.splitlines() == [f"VERSION={version}", f"DEBIAN={debian}@{DIGEST}"]


def test_a_tag_of_another_form_is_refused(docker: Path) -> None:
    done = _script("release-variables", "tag", "v1.2", "b" * 40, path=docker)
    assert done.returncode == 2
    assert "tag v1.2: vX.Y.Z is allowed" in done.stderr


def test_debian_without_a_digest_fails_the_release(docker: Path) -> None:
    (docker / "docker").write_text("#!/bin/sh\necho none\n")
    assert _script("release-variables", "tag", "v1.2.3", "b" * 40, path=docker).returncode == 1
