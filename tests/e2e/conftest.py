"""One lab for all e2e tests of a worker. `KEEP_ENV=1` leaves it up afterwards; `VEG_E2E_LAB` names it."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from support.checker import problems
from support.lab import Lab, eventually, example

# Longer than any repair takes: the agents look every 10 s at what somebody may have changed.
SETTLE_S = 20


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    made = Lab(os.environ.get("VEG_E2E_LAB", "e2e") + os.environ.get("PYTEST_XDIST_WORKER", ""))
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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """The end of every test that uses the lab, before its fixtures go: every gateway is what the document says."""
    yield
    lab = getattr(item, "funcargs", {}).get("lab")
    if lab is not None:
        eventually(lambda: agrees(lab), SETTLE_S, "the lab is as the document says")


def agrees(lab: Lab) -> bool:
    assert not (late := behind(lab)), f"the status of {late} is not yet about the spec"
    found = problems(lab)
    assert not found, "\n".join(found)
    return True


def behind(lab: Lab) -> list[str]:
    """Gateways whose status is about an earlier spec, or about none."""
    living = [item for item in lab.get("veg", "-A")["items"] if "deletionTimestamp" not in item["metadata"]]
    return [item["metadata"]["name"] for item in living if observed(item) != {item["metadata"]["generation"]}]


def observed(gateway: Any) -> set[int]:
    return {condition["observedGeneration"] for condition in gateway.get("status", {}).get("conditions", [])}
