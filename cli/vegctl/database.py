"""One read-only view of the database, the same from the first query to the last."""

from collections.abc import Iterator
from contextlib import contextmanager

import click
import sqlalchemy as sa


@contextmanager
def snapshot(url: str) -> Iterator[sa.Connection]:
    """A transaction that sees one moment and changes nothing.

    Raises:
        click.UsageError: no database is named.
        click.ClickException: the database is not reached, or does not have our tables.
    """
    if not url:
        raise click.UsageError("no database: set VEG_POSTGRES_URL or give --database")
    try:
        engine = sa.create_engine(url, poolclass=sa.pool.NullPool, connect_args={"connect_timeout": 5})
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with engine.connect().execution_options(**options) as connection:
            yield connection
    except sa.exc.ArgumentError as error:
        raise click.ClickException(f"VEG_POSTGRES_URL: {error}") from error
    except sa.exc.DBAPIError as error:
        raise click.ClickException(f"database: {' '.join(str(error.orig).split())}") from error
