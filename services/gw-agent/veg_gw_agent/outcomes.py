"""The events that the agent publishes."""

from typing import Final

from veg_contracts import subjects
from veg_contracts.envelope import Envelope, type_name
from veg_contracts.events import ConfigApplied, ConfigFailed
from veg_gw_agent import nat
from veg_gw_agent.settings import Pod
from veg_gw_agent.state import Held, Progress
from veg_runtime.clock import child_traceparent

_SOURCE: Final = "veg/gw-agent"


def applied(held: Held, pod: Pod, progress: Progress, time: str) -> Envelope:
    config = held.config
    data = ConfigApplied(
        gateway=config.gateway,
        gateway_uid=config.gateway_uid,
        pod=pod.name,
        pod_uid=pod.uid,
        generation=config.generation,
        sources=nat.taken(config),
        default_snat=config.default_snat,
    )
    return _envelope(data, held, progress, time)


def failed(held: Held, pod: Pod, progress: Progress, time: str) -> Envelope:
    config = held.config
    data = ConfigFailed(
        gateway=config.gateway,
        gateway_uid=config.gateway_uid,
        pod=pod.name,
        pod_uid=pod.uid,
        generation=config.generation,
        message=progress.said,
    )
    return _envelope(data, held, progress, time)


def _envelope(data: ConfigApplied | ConfigFailed, held: Held, progress: Progress, time: str) -> Envelope:
    return Envelope(
        id=f"agent/{data.pod_uid}/{progress.report_id}",
        source=_SOURCE,
        type=type_name(data),
        subject=subjects.agent_event(data.gateway, data.pod),
        time=time,
        data=data,
        correlation_id=held.correlation_id,
        causation_id=held.causation_id,
        traceparent=child_traceparent(held.traceparent),
    )
