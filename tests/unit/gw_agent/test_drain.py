import subprocess
import sys
from pathlib import Path

from veg_gw_agent import drain


def test_the_sign_comes_and_goes(tmp_path: Path) -> None:
    for released in (False, True, True, False, False):
        drain.show(str(tmp_path), released)
        assert (tmp_path / drain.RELEASED_FILE).exists() == released


def test_where_containers_share_nothing_nobody_waits_for_the_sign(tmp_path: Path) -> None:
    for released in (True, False):
        drain.show(str(tmp_path / "none"), released)
    assert list(tmp_path.iterdir()) == []


def test_does_not_wait_for_ever(tmp_path: Path) -> None:
    assert drain.wait(str(tmp_path), 0.1) == "not released within 0.1 s: stopping all the same"


def test_imports_nothing_heavy() -> None:
    """It runs twice in each pod that is deleted."""
    code = "import sys; from veg_gw_agent.main import main; main(['drain', '--timeout=0']); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"veg_gw_agent.drain", "argparse"} <= set(modules)
    assert not {"asyncio", "msgspec", "nats", "structlog", "pyroute2", "veg_contracts"} & set(modules)
