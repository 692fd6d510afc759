"""Connections, transactions, and which errors mean what."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import sqlalchemy as sa

# A leader that stands still inside a transaction holds the row of the lease, so nobody could take over: the server ends
# it. No transaction waits for anything but the database. The other limits keep a planner from waiting for ever unseen.
_OPTIONS: Final = {
    "idle_in_transaction_session_timeout": "5s",
    "statement_timeout": "60s",
    "lock_timeout": "5s",
    "timezone": "UTC",
}
_CONNECT_TIMEOUT_S: Final = 5

# Classes of SQLSTATE that say that the value is wrong, so that trying again is of no use: 22 data exception,
# 23 integrity constraint violation, 54 program limit exceeded (e.g. too long for an index).
_VALUE_CLASSES: Final = ("22", "23", "54")

DatabaseError = sa.exc.DBAPIError


def is_database_url(url: str) -> bool:
    """Whether a URL can be read. Where a password is not escaped, a part of it may be taken for the host or port."""
    try:
        host = sa.engine.make_url(url).host
    except (sa.exc.ArgumentError, ValueError):
        return False
    return "@" not in (host or "")


def create_engine(url: str) -> sa.Engine:
    """An engine for the planner. It connects at the first use, and again after a lost connection."""
    options = " ".join(f"-c {name}={value}" for name, value in _OPTIONS.items())
    return sa.create_engine(
        url,
        connect_args={"options": options, "connect_timeout": _CONNECT_TIMEOUT_S, "keepalives_idle": 5},
        pool_size=3,  # the batch, the heartbeat of the lease, one to spare
        max_overflow=0,
        pool_pre_ping=True,
        hide_parameters=True,  # an error in a log needs no whole batch of events beside it
    )


@contextmanager
def unit_of_work(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that is rolled back unless `connection.commit()` is called."""
    with engine.connect() as connection:
        try:
            yield connection
        finally:
            connection.rollback()  # does nothing after a commit


def explain(error: sa.exc.SQLAlchemyError) -> str:
    """Why the database cannot be used. What went wrong while connecting is one line that names the setting."""
    if not isinstance(error, DatabaseError) or error.statement is not None:
        return str(error)
    return f"VEG_POSTGRES_URL: {' '.join(str(error.orig).split())}"


def refuses_value(error: DatabaseError) -> bool:
    """Whether the database refused what it was given, rather than being away, busy or not migrated yet."""
    state = getattr(error.orig, "sqlstate", None) or ""
    return state.startswith(_VALUE_CLASSES)
