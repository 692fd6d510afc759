"""`lab/lab nats`: look at the bus, never write. Streams, the agents' configuration, and messages as they come."""

import argparse
import asyncio
import contextlib
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import TimeoutError as NatsTimeoutError

from veg_contracts import subjects
from veg_contracts.permissions import inbox_prefix


async def _connect() -> Client:
    user = os.environ["VEG_NATS_USER"]
    password = Path(os.environ["VEG_NATS_PASSWORD_FILE"]).read_text().strip()  # noqa: ASYNC240  a line, at the start
    prefix = inbox_prefix(user).encode()
    return await nats.connect(os.environ["VEG_NATS_URL"], user=user, password=password, inbox_prefix=prefix)


async def _streams(client: Client, _options: argparse.Namespace) -> None:
    print(f"{'STREAM':<20} {'MESSAGES':>9} {'BYTES':>11} {'FIRST':>8} {'LAST':>8}")
    for info in await client.jetstream().streams_info():
        state = info.state
        counts = f"{state.messages:>9} {state.bytes:>11} {state.first_seq:>8} {state.last_seq:>8}"
        print(f"{info.config.name or '':<20} {counts}")


async def _kv(client: Client, options: argparse.Namespace) -> None:
    """Print all keys and values, or one."""
    js, bucket = client.jetstream(), f"$KV.{subjects.CONFIG_BUCKET}."
    if options.key:
        keys = [bucket + options.key]
    else:
        keys = sorted((await js.stream_info(subjects.CONFIG_STREAM, subjects_filter=bucket + ">")).state.subjects or {})
    for key in keys:
        entry = await js.get_last_msg(subjects.CONFIG_STREAM, key, direct=True)
        if (entry.headers or {}).get("KV-Operation") not in ("DEL", "PURGE"):
            value = (entry.data or b"").decode(errors="replace")
            print(f"{key.removeprefix(bucket)} (revision {entry.seq}) {value}")


async def _sub(client: Client, options: argparse.Namespace) -> None:
    """Print messages as they come, until interrupted or `--count` is reached."""
    subscription = await client.subscribe(options.subject)
    left = options.count
    while left != 0:
        with contextlib.suppress(NatsTimeoutError):
            _print_message(await subscription.next_msg(timeout=3600))
            left -= 1


def _print_message(message: Msg) -> None:
    time = datetime.now(UTC).strftime("%H:%M:%S.%f")[:-3]
    headers = " ".join(f"{key}={value}" for key, value in (message.headers or {}).items())
    print(f"{time} {message.subject} {headers}\n  {message.data.decode(errors='replace')}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lab/lab nats", description=__doc__)
    commands = parser.add_subparsers(required=True)
    commands.add_parser("streams", help="all streams, with counts").set_defaults(action=_streams)
    kv = commands.add_parser("kv", help="the agents' configuration: all keys, or one")
    kv.add_argument("key", nargs="?")
    kv.set_defaults(action=_kv)
    sub = commands.add_parser("sub", help="messages as they come, for example: sub 'veg.evt.>'")
    sub.add_argument("subject")
    sub.add_argument("--count", type=int, default=-1, help="stop after so many")
    sub.set_defaults(action=_sub)
    return parser


async def _main(options: argparse.Namespace) -> None:
    client = await _connect()
    try:
        await options.action(client, options)
    finally:
        await client.close()


if __name__ == "__main__":
    try:
        asyncio.run(_main(_parser().parse_args()))
    except KeyboardInterrupt:
        sys.exit(130)
