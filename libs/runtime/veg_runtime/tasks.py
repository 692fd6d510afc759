"""Ending asyncio tasks for certain."""

import asyncio
from collections.abc import Collection
from typing import Any, Final

_AGAIN_S: Final = 2.0  # long enough for what a task does on its way out


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
