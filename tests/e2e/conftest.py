"""One lab for all e2e tests. `KEEP_ENV=1` leaves it up afterwards; `VEG_E2E_LAB` names it."""

import os
from collections.abc import Iterator

import pytest
from support.checker import problems
from support.lab import Lab, eventually, example

# Longer than any repair takes: the agents look every 10 s at what somebody may have changed.
SETTLE_S = 20


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


@pytest.fixture(autouse=True)
def _as_the_document_says(request: pytest.FixtureRequest) -> Iterator[None]:
    """After every test that has used the lab: every gateway that says it is ready is what the document says."""
    yield
    if "lab" in request.fixturenames:
        lab: Lab = request.getfixturevalue("lab")
        eventually(lambda: agrees(lab), SETTLE_S, "the lab is as the document says")


def agrees(lab: Lab) -> bool:
    found = problems(lab)
    assert not found, "\n".join(found)
    return True
