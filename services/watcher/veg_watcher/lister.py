"""What exists of a kind, page by page, all as of one revision."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import msgspec

from veg_watcher.api import Api, ApiError
from veg_watcher.fields import at, items, text
from veg_watcher.kinds import Kind

PAGE_OBJECTS_MAX = 500  # client-go's own page


@dataclass(frozen=True)
class Page:
    """Some of the objects that exist at `resource_version`, which is that of the whole list."""

    resource_version: str
    objects: tuple[Any, ...]
    rest: str


def read_page(kind: Kind, body: bytes) -> Page:
    """Raises ApiError if it is no list."""
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ApiError(f"list of {kind.name}: {error}") from error
    if not isinstance(at(answer, "metadata"), dict):
        raise ApiError(f"list of {kind.name}: metadata is missing")
    metadata = answer["metadata"]
    return Page(text(metadata.get("resourceVersion")), items(answer.get("items")), text(metadata.get("continue")))


async def pages(api: Api, kind: Kind, objects_max: int = PAGE_OBJECTS_MAX) -> AsyncIterator[Page]:
    """At least one page. Raises ApiError or NotFoundError, between pages too: then the list is void."""
    query = {"limit": str(objects_max)}
    if kind.label_selector:
        query["labelSelector"] = kind.label_selector
    while True:
        page = read_page(kind, await api.get(kind.path, query))
        yield page
        if not page.rest:
            return
        query["continue"] = page.rest
