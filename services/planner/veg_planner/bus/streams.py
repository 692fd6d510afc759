"""The streams of the whole system. The planner creates them; everyone else waits until they are there."""

import asyncio
from collections.abc import Sequence
from datetime import UTC
from typing import Final

import nats.errors
import nats.js.errors
from nats.js import JetStreamContext, api

from veg_contracts import subjects
from veg_runtime import logs

_SERVICES: Final = (subjects.K8S_EVENTS, subjects.OVN_EVENTS, subjects.KUBE_EVENTS)
_MIB: Final = 1024 * 1024
# What waits on the bus at most. The server sets it aside: 1.75 GiB in all, which its `max_file_store` must allow.
# A message is about 1 KiB; so these are hours of a large cluster without a planner, or without a writer.
_EVENT_BYTES_MAX: Final = 512 * _MIB
_COMMAND_BYTES_MAX: Final = 256 * _MIB
# Of agents: 64 pods that have filled their own 256 messages of 64 KiB (16 MiB), side by side.
_AGENT_MESSAGES_PER_POD_MAX: Final = 256
_AGENT_BYTES_MAX: Final = 64 * _AGENT_MESSAGES_PER_POD_MAX * subjects.AGENT_MESSAGE_BYTES_MAX
# Longer than a service takes to publish again what it is not sure of. Later doubles are dropped by the log.
_DUPLICATE_WINDOW_S: Final = 600.0
# The shortest that the server takes. An agent's messages carry no id for it: see `veg_contracts.envelope.to_headers`.
_AGENT_DUPLICATE_WINDOW_S: Final = 0.1
_RETRY_S: Final = 0.5

log = logs.get("streams")


def _queue(name: str, publishers: Sequence[str], bytes_max: int) -> api.StreamConfig:
    """What waits for its reader, of publishers that we trust: a message goes when it is acknowledged, never before.

    When that many bytes wait, because nobody reads, the next message is refused. Its publisher tries again until there
    is room, and says so; what waits already is not lost for it, and neither is the new one.
    """
    return api.StreamConfig(
        name=name,
        subjects=list(publishers),
        storage=api.StorageType.FILE,
        retention=api.RetentionPolicy.WORK_QUEUE,
        discard=api.DiscardPolicy.NEW,
        max_bytes=bytes_max,
        duplicate_window=_DUPLICATE_WINDOW_S,
    )


def _agent_queue() -> api.StreamConfig:
    """What agents say, whom we do not trust: who says too much loses the oldest of what it said itself.

    A subject is one pod, so no pod pushes out what another one said, or has its publishing refused.
    """
    return api.StreamConfig(
        name=subjects.AGENT_EVENT_STREAM,
        subjects=[subjects.AGENT_EVENTS],
        storage=api.StorageType.FILE,
        retention=api.RetentionPolicy.WORK_QUEUE,
        discard=api.DiscardPolicy.OLD,
        max_bytes=_AGENT_BYTES_MAX,
        max_msg_size=subjects.AGENT_MESSAGE_BYTES_MAX,
        max_msgs_per_subject=_AGENT_MESSAGES_PER_POD_MAX,
        duplicate_window=_AGENT_DUPLICATE_WINDOW_S,
    )


def _bucket() -> api.StreamConfig:
    """The stream behind the KV bucket, as the KV protocol (NATS ADR-8) wants it, with a history of one."""
    return api.StreamConfig(
        name=subjects.CONFIG_STREAM,
        subjects=[subjects.CONFIG_KEYS],
        storage=api.StorageType.FILE,
        discard=api.DiscardPolicy.NEW,
        max_msgs_per_subject=1,
        duplicate_window=_DUPLICATE_WINDOW_S,
        allow_rollup_hdrs=True,
        allow_direct=True,
        deny_delete=True,
    )


def _all() -> tuple[api.StreamConfig, ...]:
    return (
        _queue(subjects.EVENT_STREAM, _SERVICES, _EVENT_BYTES_MAX),
        _agent_queue(),
        _queue(subjects.COMMAND_STREAM, (subjects.COMMANDS,), _COMMAND_BYTES_MAX),
        _bucket(),
    )


async def any_missing(js: JetStreamContext) -> bool:
    """Whether the bus is there and one of the streams is not: it has lost its files."""
    for stream in _all():
        try:
            await js.stream_info(str(stream.name))
        except nats.js.errors.NotFoundError:
            return True
        except (nats.errors.Error, OSError, TimeoutError) as error:
            log.warning("bus does not answer", error=repr(error))
            return False
    return False


async def ensure_streams(js: JetStreamContext) -> dict[str, str]:
    """Create the streams, or bring them to the configuration above; waits for the bus without end.

    Returns when each was created (RFC 3339, UTC), by name: another time than before tells that it was lost meanwhile.
    """
    created = {}
    for stream in _all():
        while True:
            try:
                created[str(stream.name)] = await _ensure(js, stream)
            except (TimeoutError, nats.errors.Error, OSError) as error:
                why = str(error) or repr(error)  # in full, e.g. of a stream that cannot become what it shall be
                log.warning("stream not ready, trying again", stream=stream.name, error=why)
                await asyncio.sleep(_RETRY_S)
            else:
                break
    return created


async def _ensure(js: JetStreamContext, stream: api.StreamConfig) -> str:
    try:
        await js.stream_info(str(stream.name))
    except nats.js.errors.NotFoundError:
        await js.add_stream(stream)
        log.info("stream created", stream=stream.name)
    else:
        await js.update_stream(stream)
    created = (await js.stream_info(str(stream.name))).created
    return created.astimezone(UTC).isoformat().replace("+00:00", "Z") if created is not None else ""
