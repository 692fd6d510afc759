import subprocess
from pathlib import Path

import pytest

from veg_contracts.base import encode
from veg_contracts.intent import PodConfig, Source
from veg_gw_agent import disk
from veg_gw_agent.settings import READINESS_FILE
from veg_gw_agent.state import Held, Progress

PROBES = Path(__file__).parents[3] / "services" / "gw-agent" / "probes"
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


def probe(directory: Path) -> tuple[int, str]:
    """The exit code of the readiness probe, and what it prints."""
    done = subprocess.run(
        [PROBES / "gw-ready"], env={"VEG_STATE_DIR": str(directory)}, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout


def test_ready_only_with_an_applied_config(tmp_path: Path) -> None:
    assert probe(tmp_path) == (1, "no config was applied yet\n")
    disk.save(tmp_path, Progress().failed(2, "no iptables:\nsuch a thing"))
    assert probe(tmp_path) == (1, "no config was applied yet; generation 2: no iptables: such a thing\n")
    disk.save(tmp_path, Progress().succeeded(2).failed(3, "no iptables"))
    assert probe(tmp_path) == (0, "generation 2 is applied\n")
    for garbage in ("", "\n", "readiness\n", "\xff ready"):
        (tmp_path / READINESS_FILE).write_text(garbage)
        assert probe(tmp_path)[0] == 1
