"""Real NATS and Postgres for every functional test."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from functional.servers import Database, Nats, Postgres

# The tests of each of these share a control plane: one worker has it, and the others start none (pytest-xdist).
_ONE_WORKER = ("chart", "kube_writer", "watcher")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slow ones come first, so that no worker is left alone with one at the end."""
    for item in items:
        if item.path.parent.name in _ONE_WORKER:
            item.add_marker(pytest.mark.xdist_group(item.path.parent.name))
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[Nats]:
    """A bus of its own: empty, on a free port."""
    server = Nats(tmp_path)
    server.start()
    yield server
    server.process.kill()


@contextmanager
def _running() -> Iterator[Postgres]:
    server = Postgres()
    try:
        server.start()
        server.prepare()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One cluster for all tests, with the migrated database `veg_template`."""
    with _running() as server:
        yield server


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A cluster that a test may kill."""
    with _running() as server:
        yield server


@pytest.fixture
def database(postgres: Postgres) -> Iterator[Database]:
    """A database of its own: our schema, no rows."""
    created = Database(postgres)
    yield created
    created.remove()
