"""Ending asyncio tasks for certain."""

import asyncio
from collections.abc import Collection, Coroutine
from typing import Any, Final

_AGAIN_S: Final = 2.0  # long enough for what a task does on its way out
# For work together that itself holds some: more patience than that within, less than whoever ends it all.
OUTER_AGAIN_S: Final = 1.0
_INNER_AGAIN_S: Final = 0.5  # before whoever ends the task that waits here loses patience


async def end(tasks: Collection[asyncio.Task[Any]], *, again_s: float = _AGAIN_S) -> None:
    """Cancel the tasks, and again every `again_s` seconds until each has ended; what they raised is theirs to tell.

    Once is not enough: `asyncio.wait_for` of Python 3.11 forgets a cancellation that arrives together with the result
    it waits for (CPython issue 86296), and the task then goes on as if nothing had been said.
    """
    running = {task for task in tasks if not task.done()}
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=again_s)


async def together(*work: Coroutine[Any, Any, None], again_s: float = _INNER_AGAIN_S) -> None:
    """Run all until one ends, then end the others; raises what that one raised.

    Like `asyncio.TaskGroup`, but that one cancels its tasks once only, however often it is cancelled itself.
    """
    running = [asyncio.create_task(item) for item in work]
    try:
        done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end(running, again_s=again_s)
    for task in done:
        task.result()
