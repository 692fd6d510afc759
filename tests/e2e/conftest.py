"""One lab for all e2e tests. `KEEP_ENV=1` leaves it up afterwards; `VEG_E2E_LAB` names it."""

import os
from collections.abc import Iterator

import pytest
from support.lab import Lab, eventually, example


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    made = Lab(os.environ.get("VEG_E2E_LAB", "e2e"))
    made.call("up", timeout_s=1200)
    yield made
    if not os.environ.get("KEEP_ENV"):
        made.call("down", timeout_s=120)


@pytest.fixture(scope="session")
def client(lab: Lab) -> str:
    """The name of a running pod in ovn-default."""
    manifest = example("client.yaml")
    lab.apply(manifest)
    name: str = manifest["metadata"]["name"]
    eventually(lambda: running(lab, name), 60, f"pod {name} runs")
    return name


def running(lab: Lab, name: str) -> bool:
    status = lab.get("pod", name)["status"]
    return all(container["ready"] for container in status.get("containerStatuses", [{"ready": False}]))
