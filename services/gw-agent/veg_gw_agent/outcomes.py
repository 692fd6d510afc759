"""The events that the agent publishes."""

from typing import Final

from veg_contracts import ids, subjects
from veg_contracts.base import encode
from veg_contracts.envelope import Envelope, type_name
from veg_contracts.events import ConfigApplied, ConfigFailed
from veg_contracts.intent import PodConfig, digest_of_sources
from veg_gw_agent.settings import Pod
from veg_gw_agent.state import Held, Progress
from veg_runtime.clock import child_traceparent

_SOURCE: Final = "veg/gw-agent"
# Half of what the stream takes of a message: about 800 sources.
_SOURCES_BYTES_MAX: Final = subjects.AGENT_MESSAGE_BYTES_MAX // 2
_MESSAGE_MAX: Final = 4096  # characters: it goes into the log of all events and into the status


def applied(held: Held, pod: Pod, progress: Progress, time: str) -> Envelope:
    config = held.config
    fits = len(encode(config.taken)) <= _SOURCES_BYTES_MAX
    data = ConfigApplied(
        gateway=config.gateway,
        gateway_uid=config.gateway_uid,
        pod=pod.name,
        pod_uid=pod.uid,
        generation=config.generation,
        sources=config.taken if fits else (),
        sources_digest="" if fits else digest_of_sources(config.taken),
        default_snat=config.default_snat,
    )
    return _envelope(data, held, progress.report_id, time)


def failed(held: Held, pod: Pod, progress: Progress, time: str) -> Envelope:
    return _envelope(_failed(held.config, pod, progress.said), held, progress.report_id, time)


def malformed(offered: Held, pod: Pod, message: str, time: str) -> Envelope:
    """Of `offered` only whose it is and its generation are known. The id is no other report's of that generation."""
    return _envelope(_failed(offered.config, pod, message), offered, f"{offered.config.generation}/malformed", time)


def _failed(config: PodConfig, pod: Pod, message: str) -> ConfigFailed:
    if len(message) > _MESSAGE_MAX:
        message = f"{message[:_MESSAGE_MAX]}… ({len(message)} characters, all of them in the agent's log)"
    return ConfigFailed(
        gateway=config.gateway,
        gateway_uid=config.gateway_uid,
        pod=pod.name,
        pod_uid=pod.uid,
        generation=config.generation,
        message=message,
    )


def _envelope(data: ConfigApplied | ConfigFailed, held: Held, report_id: str, time: str) -> Envelope:
    return Envelope(
        id=ids.of_agent(data.gateway, data.pod, data.pod_uid, report_id),
        source=_SOURCE,
        type=type_name(data),
        subject=subjects.agent_event(data.gateway, data.pod),
        time=time,
        data=data,
        correlation_id=held.correlation_id,
        causation_id=held.causation_id,
        traceparent=child_traceparent(held.traceparent),
    )
