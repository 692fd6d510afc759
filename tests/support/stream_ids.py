"""Run inside a lab: print the id of every message that the event stream holds and that can be read, one a line."""

import asyncio
import os
import sys
from pathlib import Path

import nats
from nats.js.api import AckPolicy, ConsumerConfig

from veg_contracts import permissions, subjects
from veg_contracts.envelope import MalformedMessageError, from_message
from veg_runtime.bus import headers_of

ROLE = "planner"  # the reader may not read what streams have stored


async def main(password_file: str) -> None:
    password = Path(password_file).read_text().strip()  # noqa: ASYNC240  # once, at the start
    client = await nats.connect(
        os.environ["VEG_NATS_URL"],
        user=ROLE,
        password=password,
        inbox_prefix=permissions.inbox_prefix(ROLE).encode(),
    )
    js = client.jetstream()
    left = (await js.stream_info(subjects.EVENT_STREAM)).state.messages
    only_look = ConsumerConfig(ack_policy=AckPolicy.NONE)
    subscription = await js.pull_subscribe(subjects.EVENTS, stream=subjects.EVENT_STREAM, config=only_look)
    while left > 0:
        for message in await subscription.fetch(min(left, 200), timeout=10):
            left -= 1
            try:
                print(from_message(message.subject, headers_of(message), message.data).id)
            except MalformedMessageError:
                continue
    await client.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
