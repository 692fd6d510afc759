"""The agent's role on the bus may do what the agent needs, and nothing else."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import nats.errors
import pytest
from functional.gw_agent.pod import Bus
from nats.js import JetStreamContext

from veg_contracts import subjects
from veg_contracts.intent import PodConfig

REFUSED: dict[str, Callable[[JetStreamContext], Coroutine[Any, Any, Any]]] = {
    "write a config": lambda js: js.publish(subjects.config_subject("default/gateway1"), b"{}"),
    "give a command": lambda js: js.publish(subjects.kube_command("default/gateway1"), b"{}"),
    "speak for the watcher": lambda js: js.publish(subjects.k8s_event("Pod", "default", "p"), b"{}"),
    "read the log": lambda js: js.get_msg(subjects.EVENT_STREAM, seq=1),
    "read what agents say": lambda js: js.get_msg(subjects.AGENT_EVENT_STREAM, seq=1),
    "purge what agents say": lambda js: js.purge_stream(subjects.AGENT_EVENT_STREAM),
    "delete the bucket": lambda js: js.delete_key_value(subjects.CONFIG_BUCKET),
    "make a consumer": lambda js: js.pull_subscribe(subjects.EVENTS, durable="mine", stream=subjects.EVENT_STREAM),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused(bus: Bus, what: str) -> None:
    bus.start()

    async def publish(js: JetStreamContext) -> object:
        return await js.publish(subjects.k8s_event("Pod", "default", "p"), b"{}")

    async def attempt(js: JetStreamContext) -> str:
        try:
            async with asyncio.timeout(1):
                await REFUSED[what](js)
        except (TimeoutError, nats.errors.Error):
            return "no answer"
        return "done"

    bus.call(publish, "watcher")
    errors: list[Exception] = []
    assert bus.call(attempt, "gw-agent", errors) == "no answer"
    assert "permissions violation" in str(errors[0]).lower()


def test_allowed(bus: Bus, config: Callable[..., PodConfig]) -> None:
    bus.start()
    bus.put(config(1))

    async def attempt(js: JetStreamContext) -> int:
        subject = subjects.agent_event("default/gateway1", "gateway1-abc")
        acknowledged = await js.publish(subject, b"{}")
        last = await js.get_last_msg(subjects.CONFIG_STREAM, subjects.config_subject("default/gateway1"))
        return acknowledged.seq + (last.seq or 0)

    assert bus.call(attempt, "gw-agent") == 2
