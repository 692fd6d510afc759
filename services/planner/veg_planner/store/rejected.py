"""What could not be read or decided: kept for people to look at, and bounded."""

from collections.abc import Sequence
from typing import Final

import msgspec
import sqlalchemy as sa

from veg_planner.store.tables import REJECTED

_KEPT_MAX: Final = 10_000
_HEAD_BYTES: Final = 300
_REASON_LENGTH_MAX: Final = 8_000  # a traceback


class Rejection(msgspec.Struct, frozen=True, kw_only=True):
    """A message on `subject` that was not accepted, and why."""

    subject: str
    reason: str
    body: bytes


def record(connection: sa.Connection, rejections: Sequence[Rejection]) -> None:
    """Add them, and forget the oldest ones beyond the limit."""
    newest = sa.select(sa.func.max(REJECTED.c.id)).scalar_subquery()
    connection.execute(sa.insert(REJECTED), [_row(rejection) for rejection in rejections])
    connection.execute(sa.delete(REJECTED).where(REJECTED.c.id <= newest - _KEPT_MAX))


def _row(rejection: Rejection) -> dict[str, object]:
    return {
        "subject": _text(rejection.subject),
        "reason": _text(rejection.reason)[:_REASON_LENGTH_MAX],
        "size": len(rejection.body),
        "head": _text(rejection.body[:_HEAD_BYTES].decode("utf-8", "backslashreplace")),
    }


def _text(text: str) -> str:
    """What Postgres takes as text: it knows neither NUL nor half of a surrogate pair."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
