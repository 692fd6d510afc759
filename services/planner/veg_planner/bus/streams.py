"""The streams of the whole system. The planner creates them; everyone else waits until they are there."""

import asyncio
from datetime import UTC
from typing import Final

import nats.errors
import nats.js.errors
from nats.js import JetStreamContext, api

from veg_contracts import subjects
from veg_runtime import logs

_DAY_S: Final = 24 * 3600.0
# Longer than any service is down before somebody looks. The log in Postgres keeps events for ever.
_KEPT_S: Final = 7 * _DAY_S
# Longer than a service takes to publish again what it is not sure of. Later doubles are dropped by the log.
_DUPLICATE_WINDOW_S: Final = 600.0
_RETRY_S: Final = 0.5

log = logs.get("streams")


def _stream(name: str, subject: str) -> api.StreamConfig:
    return api.StreamConfig(
        name=name,
        subjects=[subject],
        storage=api.StorageType.FILE,
        retention=api.RetentionPolicy.LIMITS,
        discard=api.DiscardPolicy.OLD,
        max_age=_KEPT_S,
        duplicate_window=_DUPLICATE_WINDOW_S,
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
        _stream(subjects.EVENT_STREAM, subjects.EVENTS),
        _stream(subjects.COMMAND_STREAM, subjects.COMMANDS),
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
                log.warning("stream not ready, trying again", stream=stream.name, error=repr(error))
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
