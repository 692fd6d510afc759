import asyncio
from typing import Any

import msgspec
from nats.js import JetStreamContext

from veg_contracts.intent import PodConfig, Source
from veg_gw_agent import bus, outcomes
from veg_gw_agent.agent import Outbox
from veg_gw_agent.settings import Pod
from veg_gw_agent.state import Held, Progress

CONFIG = PodConfig(gateway="default/gateway1", gateway_uid="u1", generation=4)
POD = Pod(name="gateway1-abc", namespace="default", uid="p1")


class Stream(JetStreamContext):
    """Takes everything."""

    def __init__(self) -> None:
        self.taken: list[str] = []

    async def publish(self, subject: str, *_: Any, **__: Any) -> Any:
        self.taken.append(subject)


async def test_a_report_that_does_not_fit_is_left_out_and_the_next_one_goes() -> None:
    report = outcomes.applied(Held(config=CONFIG), POD, Progress().succeeded(4), "2026-01-01T00:00:00.000000Z")
    many = msgspec.structs.replace(report.data, sources=(Source(cidr="10.16.0.0/16", snat=True),) * 50_000)
    outbox, stream = Outbox(), Stream()
    publishing = asyncio.create_task(bus._publish(stream, outbox))
    for envelope in (msgspec.structs.replace(report, data=many), report):
        outbox.put(envelope)
        for _ in range(5):
            await asyncio.sleep(0)
    assert not publishing.done()
    assert stream.taken == ["veg.evt.agent.default.gateway1.gateway1-abc"]
    publishing.cancel()
