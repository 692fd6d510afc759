"""What `vegctl preflight` says of a lab."""

import json
import subprocess
import sys
from typing import Any

from support.lab import Lab

# What the lab knows of itself is not told: all of it is to be seen.
_SETTINGS = ("VEG_API_GROUP", "VEG_MANAGEMENT_NETWORK", "VEG_CUSTOM_VPC_ROUTING", "VEG_BFD_RELAY")


def preflight(lab: Lab, *words: str, **settings: str) -> dict[str, Any]:
    """The report, with its exit code, of a cluster of which no setting is given but these."""
    unset = [word for name in _SETTINGS for word in ("-u", name)]
    given = [f"{name}={value}" for name, value in settings.items()]
    argv = [sys.executable, "-m", "vegctl", "preflight", "--output", "json", *words]
    done = subprocess.run(
        lab.command("run", "--", "env", *unset, *given, *argv),
        env=lab.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.startswith("{"), done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["exit_code"] == done.returncode
    return found


def findings(found: dict[str, Any], identity: str, *severities: str) -> list[str]:
    """What is found and follows, of each finding with that id and, if any are named, of these severities."""
    return [
        f"{each['object']}: {each['found']} -> {each['follows']}"
        for each in found["findings"]
        if each["id"] == identity and (not severities or each["severity"] in severities)
    ]


def blockers(found: dict[str, Any]) -> set[str]:
    """The ids of what stops it."""
    return {each["id"] for each in found["findings"] if each["severity"] == "blocker"}
