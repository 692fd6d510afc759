"""What starts with a pod imports only what it needs."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import veg_gw_agent.init", {"pyroute2", "structlog", "nats", "asyncio", "argparse"}),
        ("import veg_runtime.logs", {"rich"}),
    ],
)
def test_it_imports_little(code: str, absent: set[str]) -> None:
    script = f"import sys; before = set(sys.modules); {code}; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert not absent & set(done.stdout.split())
