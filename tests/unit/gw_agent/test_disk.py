from pathlib import Path

import pytest

from veg_contracts.base import encode
from veg_contracts.intent import PodConfig, Source
from veg_gw_agent import disk, readiness
from veg_gw_agent.state import Held, Progress

HELD = Held(config=PodConfig(gateway="default/g", gateway_uid="u", generation=2), causation_id="c1")


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    disk.save(tmp_path, HELD)
    disk.save(tmp_path, Progress().succeeded(2))
    assert disk.load_held(tmp_path) == HELD
    assert disk.load_progress(tmp_path) == Progress(applied=2, generation=2)


def test_nothing_saved(tmp_path: Path) -> None:
    assert disk.load_held(tmp_path) is None
    assert disk.load_progress(tmp_path) == Progress()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"config":',
        b"\xff",
        encode(
            Held(
                config=PodConfig(
                    gateway="default/g", gateway_uid="u", generation=2, sources=(Source(cidr="x", snat=True),)
                )
            )
        ),
    ],
)
def test_a_broken_copy_counts_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / disk.CONFIG_FILE).write_bytes(content)
    assert disk.load_held(tmp_path) is None


def test_ready_only_with_an_applied_config(tmp_path: Path) -> None:
    assert readiness.check(str(tmp_path)) == (False, "no config was applied yet")
    disk.save(tmp_path, Progress().failed(2, "no iptables"))
    assert readiness.check(str(tmp_path)) == (False, "no config was applied yet; generation 2: no iptables")
    disk.save(tmp_path, Progress().succeeded(2).failed(3, "no iptables"))
    assert readiness.check(str(tmp_path)) == (True, "generation 2 is applied")
    (tmp_path / readiness.PROGRESS_FILE).write_bytes(b"[]")
    assert readiness.check(str(tmp_path))[0] is False
