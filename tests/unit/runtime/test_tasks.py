import asyncio
from contextlib import suppress

import pytest

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


def test_together_until_one_ends_and_the_others_with_it_even_if_they_lose_a_cancellation() -> None:
    async def fails() -> None:
        await asyncio.sleep(0)
        raise ValueError("the reason")

    async def scenario() -> None:
        with pytest.raises(ValueError, match="the reason"):
            await asyncio.wait_for(tasks.together(deaf(2), fails(), deaf(0), again_s=0.01), 5)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(scenario())


def test_together_ends_for_certain_when_it_is_ended() -> None:
    async def scenario() -> None:
        running = asyncio.create_task(tasks.together(deaf(1), tasks.together(deaf(2), again_s=0.01), again_s=0.1))
        await asyncio.sleep(0.01)
        await asyncio.wait_for(tasks.end([running]), 5)
        assert running.cancelled()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(scenario())
