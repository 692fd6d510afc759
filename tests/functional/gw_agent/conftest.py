import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from functional.gw_agent.pod import Agent, Bus, Config, Machine, Wait, make_config, until


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    # Those of pytest's user, its run and its worker (pytest-xdist) are private, and the agent is another user.
    for path in (tmp_path, *tmp_path.parents[:3]):
        path.chmod(path.stat().st_mode | 0o055)  # adds only: with --basetemp a parent may be /tmp itself
    return tmp_path


@pytest.fixture
def machine() -> Iterator[Machine]:
    machine = Machine(f"vegt{os.getpid()}")
    try:
        machine.up()
        yield machine
    finally:
        if not os.environ.get("KEEP_ENV"):
            machine.down()


@pytest.fixture
def bus(machine: Machine, directory: Path) -> Bus:
    return Bus(machine, directory)


@pytest.fixture
def agent(machine: Machine, directory: Path) -> Agent:
    agent = Agent(machine, directory)
    agent.init()
    return agent


@pytest.fixture
def config() -> Config:
    return make_config


@pytest.fixture
def wait() -> Wait:
    return until
