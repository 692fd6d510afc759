"""Arithmetic with times that events carry: RFC 3339 in UTC with microseconds, so that they compare as text. Pure.

The one module below the decisions that may import `datetime`; it never asks what time it is.
"""

from datetime import datetime, timedelta


def later(at: str, seconds: int) -> str:
    """The time so many seconds after another one."""
    moment = datetime.fromisoformat(at) + timedelta(seconds=seconds)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
