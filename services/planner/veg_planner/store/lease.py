"""The lease: one planner leads, the others stand by. Only the database's clock counts.

- Every transaction of a leader locks the row and checks it first, so no other one can take over in its middle, and
  one that was overtaken while it stood still cannot commit.
- The fence grows with every acquisition, also by the same holder: a process that was killed and replaced under the
  same name, and is not dead after all, is refused like any other.
"""

from typing import Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from veg_planner.store.tables import LEASE
from veg_planner.store.unit import unit_of_work

_NAME: Final = "planner"


class LeaseLostError(Exception):
    """Another planner leads, or may. This one must stop deciding at once."""


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """A lease that was acquired."""

    holder: str
    fence: int
    ttl_s: float


def _expiry(ttl_s: float) -> sa.ColumnElement[sa.DateTime]:
    return sa.func.clock_timestamp() + sa.func.make_interval(0, 0, 0, 0, 0, 0, ttl_s)


def acquire(engine: sa.Engine, holder: str, ttl_s: float) -> Lease | None:
    """Take the lease if nobody has it, or it has run out, or it is ours from before."""
    new = postgresql.insert(LEASE).values(name=_NAME, holder=holder, fence=1, expires_at=_expiry(ttl_s))
    statement = new.on_conflict_do_update(
        index_elements=[LEASE.c.name],
        set_={"holder": holder, "fence": LEASE.c.fence + 1, "expires_at": _expiry(ttl_s)},
        where=sa.or_(LEASE.c.expires_at < sa.func.clock_timestamp(), LEASE.c.holder == holder),
    ).returning(LEASE.c.fence)
    with unit_of_work(engine) as connection:
        fence = connection.execute(statement).scalar_one_or_none()
        connection.commit()
    return None if fence is None else Lease(holder=holder, fence=fence, ttl_s=ttl_s)


def _ours(lease: Lease) -> sa.ColumnElement[bool]:
    return sa.and_(LEASE.c.name == _NAME, LEASE.c.holder == lease.holder, LEASE.c.fence == lease.fence)


def lock(connection: sa.Connection, lease: Lease) -> None:
    """Hold the lease until the end of the transaction.

    Raises:
        LeaseLostError: it is another one's.
    """
    if connection.execute(sa.select(LEASE.c.fence).where(_ours(lease)).with_for_update()).one_or_none() is None:
        raise LeaseLostError(f"the lease of {lease.holder} with fence {lease.fence} is another one's now")


def extend(connection: sa.Connection, lease: Lease) -> None:
    """Make it last from now.

    Raises:
        LeaseLostError: it is another one's.
    """
    statement = sa.update(LEASE).where(_ours(lease)).values(expires_at=_expiry(lease.ttl_s))
    if connection.execute(statement).rowcount == 0:
        raise LeaseLostError(f"the lease of {lease.holder} with fence {lease.fence} is another one's now")


def renew(engine: sa.Engine, lease: Lease) -> None:
    """`extend` in a transaction of its own: the heartbeat.

    Raises:
        LeaseLostError: it is another one's.
    """
    with unit_of_work(engine) as connection:
        extend(connection, lease)
        connection.commit()


def release(engine: sa.Engine, lease: Lease) -> None:
    """Let the next one take over at once. Nothing happens when the lease is another one's already."""
    statement = sa.update(LEASE).where(_ours(lease)).values(expires_at=sa.func.clock_timestamp())
    with unit_of_work(engine) as connection:
        connection.execute(statement)
        connection.commit()
