"""What happens to the objects of a kind after a revision."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from veg_watcher.api import Api, ApiError
from veg_watcher.fields import at, text
from veg_watcher.kinds import Kind

BOOKMARK: Final = "BOOKMARK"
DELETED: Final = "DELETED"
_CHANGED: Final = ("ADDED", "MODIFIED")
_ERROR: Final = "ERROR"


@dataclass(frozen=True)
class Change:
    """One line of a watch. A bookmark's object has nothing but the revision that the watch has reached."""

    type: str
    object: Any

    @property
    def resource_version(self) -> str:
        return text(at(self.object, "metadata", "resourceVersion"))


def read_change(kind: Kind, line: bytes) -> Change:
    """Raises ApiError if it is none, or if the server ends the watch by it (as when the revision is too old: 410)."""
    try:
        event = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ApiError(f"watch of {kind.name}: {error}") from error
    change = Change(text(at(event, "type")), at(event, "object"))
    if change.type == _ERROR:
        code, message = at(change.object, "code"), at(change.object, "message")
        raise ApiError(f"watch of {kind.name}: {code}: {message}")
    if change.type not in (*_CHANGED, DELETED, BOOKMARK):
        raise ApiError(f"watch of {kind.name}: type is {change.type!r}")
    return change


async def changes(api: Api, kind: Kind, resource_version: str, limit_s: float) -> AsyncGenerator[Change]:
    """The changes after `resource_version`, for about `limit_s`; the server may end it sooner. Raises ApiError."""
    query = {
        "watch": "true",
        "resourceVersion": resource_version,
        "allowWatchBookmarks": "true",
        "timeoutSeconds": str(max(1, round(limit_s))),
    }
    if kind.label_selector:
        query["labelSelector"] = kind.label_selector
    async with aclosing(api.stream(kind.path, query)) as lines:
        async for line in lines:
            if line:
                yield read_change(kind, line)
