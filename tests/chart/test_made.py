"""What is made from something else is what that makes now."""

import subprocess

from chart.rendering import ROOT


def test_the_readmes_table_is_that_of_the_values() -> None:
    done = subprocess.run([ROOT / "scripts" / "chart-readme", "--check"], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
