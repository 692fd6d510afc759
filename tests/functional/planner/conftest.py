"""A planner as a process, and messages as watchers and writers would send them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from functional.planner.harness import Planner
from functional.servers import Database, Nats
from support.simulation import SETTINGS


@pytest.fixture
def make_planner(nats_server: Nats, database: Database, tmp_path: Path) -> Iterator[Callable[..., Planner]]:
    """Start planners on one bus and one database; each argument is one more environment variable."""
    made: list[Planner] = []

    def make(**variables: str) -> Planner:
        environment = {
            **nats_server.environment("planner"),
            "VEG_POSTGRES_URL": database.url(),
            "VEG_LEASE_TTL_S": "2",
            # The settings of the simulation, so that its log and the planner's are the same.
            "VEG_GATEWAY_IMAGE": SETTINGS.image,
            "VEG_MANAGEMENT_NETWORK": SETTINGS.management_network,
            "VEG_AGENT_NATS_URL": SETTINGS.agent_nats_url,
            **variables,
        }
        planner = Planner(environment, tmp_path / f"planner-{len(made)}.log")
        made.append(planner)
        planner.start()
        return planner

    yield make
    for planner in made:
        planner.kill()


@pytest.fixture
def planner(make_planner: Callable[..., Planner]) -> Planner:
    """One planner that leads."""
    started = make_planner()
    started.wait_leading()
    return started
