"""Runs the migrations on the database that `VEG_POSTGRES_URL` (or `VEG_POSTGRES_URL_FILE`) names, as its owner.

A migration that waits for a lock makes everyone else wait behind it, so it gives up instead and is run again.
"""

import os
import sys
from pathlib import Path

import sqlalchemy as sa
from alembic import context

_LOCK_TIMEOUT_S = 5
# Two that start at once must not both find an empty database: the second one waits for the first one's end.
_ADVISORY_LOCK = 0x766567  # "veg"


def _url() -> str:
    if path := os.environ.get("VEG_POSTGRES_URL_FILE"):
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            sys.exit(f"migrations: VEG_POSTGRES_URL_FILE={path}: {error.strerror}")
    if url := os.environ.get("VEG_POSTGRES_URL"):
        return url
    sys.exit("migrations: environment variable VEG_POSTGRES_URL (or VEG_POSTGRES_URL_FILE) is not set")


def _connect() -> sa.Connection:
    try:
        return sa.create_engine(_url(), poolclass=sa.pool.NullPool).connect()
    except sa.exc.ArgumentError as error:
        sys.exit(f"migrations: VEG_POSTGRES_URL: {error}")
    except sa.exc.DBAPIError as error:
        sys.exit(f"migrations: VEG_POSTGRES_URL: {' '.join(str(error.orig).split())}")


def _online() -> None:
    with _connect() as connection, connection.begin():
        connection.execute(sa.text("select pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        connection.execute(sa.text(f"set local lock_timeout = '{_LOCK_TIMEOUT_S}s'"))
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()


def _offline() -> None:
    context.configure(url=_url(), literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    _offline()
else:
    _online()
