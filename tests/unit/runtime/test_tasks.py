import asyncio
from contextlib import suppress

from veg_runtime import tasks


async def deaf(times: int) -> None:
    """Work that loses the first cancellations, as `asyncio.wait_for` of Python 3.11 can."""
    for _ in range(times):
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
    await asyncio.sleep(60)


def test_tasks_end_even_if_they_lose_a_cancellation() -> None:
    async def scenario() -> None:
        running = [asyncio.create_task(deaf(times)) for times in (0, 1, 2)]
        await asyncio.sleep(0)
        await asyncio.wait_for(tasks.end(running, again_s=0.01), 5)
        assert all(task.cancelled() for task in running)

    asyncio.run(scenario())


def test_what_has_ended_is_left_alone() -> None:
    async def scenario() -> None:
        done = asyncio.create_task(asyncio.sleep(0, "result"))
        await done
        await tasks.end([done])
        assert done.result() == "result"

    asyncio.run(scenario())
