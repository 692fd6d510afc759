from pathlib import Path

import pytest

from veg_lab.paths import Lab


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(name="unit", cache=tmp_path / "cache", root=tmp_path / "run")
