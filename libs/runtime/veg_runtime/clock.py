"""The one place that reads the wall clock and makes random ids, so that everything else can be replayed."""

import secrets
import uuid
from datetime import UTC, datetime


def now() -> str:
    """The time as RFC 3339 in UTC with microseconds, as CloudEvents carries it."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def unique_id() -> str:
    return str(uuid.uuid4())


def new_traceparent() -> str:
    """A W3C trace context that starts a trace (version 00, sampled)."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def child_traceparent(parent: str) -> str:
    """The same trace with a new span; a new trace when `parent` is no trace context."""
    parts = parent.split("-")
    if len(parts) != 4:  # noqa: PLR2004  # version, trace id, parent id, flags
        return new_traceparent()
    return f"{parts[0]}-{parts[1]}-{secrets.token_hex(8)}-{parts[3]}"
