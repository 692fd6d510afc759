"""The life of one kind: list, then watch, then list again; for ever, whatever the API server or the bus does.

A full list comes at the start, after each break, and every `relist_interval_s`. It heals all that a watch can miss.
"""

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from typing import NoReturn

from veg_runtime import logs
from veg_watcher import lister, observe, watch
from veg_watcher.api import Api, ApiError, NotFoundError, SilentError
from veg_watcher.kinds import Kind
from veg_watcher.progress import Progress
from veg_watcher.publish import Publisher

_PAUSE_MIN_S = 0.5
_PAUSE_MAX_S = 10.0

log = logs.get("follow")


@dataclass(frozen=True)
class Intervals:
    """`relist_s`: from one full list to the next. `absent_s`: from one look for an optional kind to the next."""

    relist_s: float
    absent_s: float


class Follower:
    """Follows one kind."""

    def __init__(self, kind: Kind, api: Api, publisher: Publisher, progress: Progress, intervals: Intervals) -> None:
        self._kind = kind
        self._api = api
        self._publisher = publisher
        self._progress = progress
        self._intervals = intervals
        self._pause_s = _PAUSE_MIN_S
        self._seen = False  # the kind was there once in this process's life
        self._missing = False

    async def run(self) -> NoReturn:
        while True:
            try:
                await self._list_and_watch()
            except NotFoundError as error:
                await self._wait_until_installed(error)
            except ApiError as error:
                log.warning("listing again after a break", kind=self._kind.name, reason=str(error))
                await self._pause()

    async def _list_and_watch(self) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + self._intervals.relist_s
        revision = await self._list()
        while (left_s := end - loop.time()) > 0:
            began = loop.time()
            revision = await self._watch(revision, left_s)
            if loop.time() - began < _PAUSE_MIN_S:
                await self._pause()  # something between us and the API server cuts every watch short
            else:
                self._pause_s = _PAUSE_MIN_S

    async def _list(self) -> str:
        """Publish all that exists, and return the revision of the list."""
        uids: list[str] = []
        revision = ""
        async for page in lister.pages(self._api, self._kind):
            revision = page.resource_version
            for raw in page.objects:
                uids += _uids(self._kind, raw)
                await self._publisher.changed(raw)
        try:
            number = observe.version(revision, f"list of {self._kind.name}")
        except observe.UnusableObjectError as error:
            raise ApiError(str(error)) from error
        await self._publisher.listed(number, uids)
        if not self._seen or self._missing:
            log.info("listed", kind=self._kind.name, objects=len(uids), revision=revision)
        self._seen, self._missing = True, False
        self._progress.listed(self._kind)
        return revision

    async def _watch(self, revision: str, limit_s: float) -> str:
        """Publish what changes until the watch ends, and return the revision from which to go on."""
        try:
            async with aclosing(watch.changes(self._api, self._kind, revision, limit_s)) as changes:
                async for change in changes:
                    await self._publish(change)
                    revision = change.resource_version or revision
                    self._pause_s = _PAUSE_MIN_S
        except SilentError:
            # Nothing is lost: the next watch goes on where this one stopped, or is told that it cannot.
            log.debug("watch was silent", kind=self._kind.name)
        return revision

    async def _publish(self, change: watch.Change) -> None:
        if change.type == watch.DELETED:
            await self._publisher.deleted(change.object)
        elif change.type != watch.BOOKMARK:
            await self._publisher.changed(change.object)

    async def _wait_until_installed(self, error: ApiError) -> None:
        if not self._missing:
            tell = log.info if self._kind.optional else log.warning
            tell("kind is not installed", kind=self._kind.name, optional=self._kind.optional, reason=str(error))
        self._missing = True
        self._progress.absent(self._kind)
        if self._kind.optional and not self._seen:
            await asyncio.sleep(self._intervals.absent_s)
        else:
            # An API server that is starting has its custom kinds a moment later than the rest.
            await self._pause()

    async def _pause(self) -> None:
        await asyncio.sleep(self._pause_s)
        self._pause_s = min(self._pause_s * 2, _PAUSE_MAX_S)


def _uids(kind: Kind, raw: object) -> list[str]:
    """The uid in a list of its own, or none: without one, nobody can say later that the object is gone."""
    try:
        return [observe.uid_of(kind.name, raw)]
    except observe.UnusableObjectError:
        return []
