"""One line of plain words for everything that the log holds. Pure."""

from collections.abc import Callable
from typing import Any, Final

from veg_contracts.commands import (
    ChangeMembers,
    EnsureCondition,
    EnsureFinalizer,
    EnsureMembers,
    EnsureNb,
    EnsureStatus,
    EnsureVpcStatus,
    EnsureWorkload,
    PublishConfig,
    RecordKubeEvent,
    RemoveWorkload,
)
from veg_contracts.events import (
    ChassisObserved,
    CommandApplied,
    CommandFailed,
    CommandRefused,
    ConfigApplied,
    ConfigFailed,
    KindListed,
    MembersObserved,
    ObjectChanged,
    ObjectDeleted,
    PlannerConfigured,
    RoutesObserved,
    RowsListed,
    RowsObserved,
    RowsProgrammed,
    SessionChanged,
    SessionProgrammed,
    SpeakerChanged,
    StreamsCreated,
    Ticked,
)
from veg_contracts.intent import Intent, NbRows, Part, Report, RoutePolicy, Source


def describe(value: Any) -> str:
    """What an event, command, intent or report says."""
    return _WORDS[type(value)](value)


def _deleted(event: ObjectDeleted) -> str:
    key = f"{event.namespace}/{event.name}" if event.namespace else event.name
    return f"{event.kind} {key} deleted at version {event.resource_version}"


_PREFIXES_SHOWN_MAX: Final = 5
_CHASSIS_SHOWN_MAX: Final = 5


def _listed(event: KindListed) -> str:
    return f"{event.kind} listed: {len(event.uids)} in part {event.part + 1} of {event.parts}"


def _applied(event: CommandApplied) -> str:
    detail = ", ".join(f"{name} {value}" for name, value in sorted(event.detail.items()))
    return f"{event.part} {event.generation} applied" + (f" ({detail})" if detail else "")


def _observed(event: RowsObserved) -> str:
    before = "unknown" if event.before is None else _all_rows(event.before)
    return f"{event.reason} of {event.gateway}: before {before}; after {_all_rows(event.after)}"


def _policy(policy: RoutePolicy) -> str:
    return " ".join((str(policy.priority), policy.match, policy.action, ",".join(policy.nexthops))).rstrip()


def _rows(rows: NbRows) -> str:
    if rows.empty:
        return "no rows"
    words = [_policy(policy) for policy in rows.policies]
    words += [f"{route.ip_prefix} src-ip {route.nexthop}" for route in rows.static_routes]
    words += [f"port group {name}" for name in rows.port_groups]
    words += [
        f"BFD {session.dst_ip} {session.min_rx}/{session.min_tx} x {session.detect_mult}" for session in rows.sessions
    ]
    words += [
        f"port {port.name} {','.join(port.networks)} on {','.join(port.chassis)}"
        + (f", relay {','.join(port.relay.networks)}" if port.relay is not None else "")
        for port in filter(None, [rows.bfd_port])
    ]
    return f"{rows.router}[{'; '.join(words)}]"


def _all_rows(rows: tuple[NbRows, ...]) -> str:
    return " ".join(_rows(one) for one in rows) or "no rows"


def _sources(sources: tuple[Source, ...]) -> str:
    return ", ".join(f"{source.cidr}{'' if source.snat else ' (no SNAT)'}" for source in sources) or "no sources"


def _intent(intent: Intent) -> str:
    changed = [part.value for part in Part if intent.generations.of(part) == intent.generation]
    return f"generation {intent.generation}, after {intent.parent}: {', '.join(changed) or 'nothing'} changed"


def _report(report: Report) -> str:
    open_steps = [
        step.text if step.text.startswith(step.state) else f"{step.state}: {step.text}"
        for step in report.steps
        if step.state != "done"
    ]
    return "; ".join(open_steps) or f"all {len(report.steps)} done"


def _config(command: PublishConfig) -> str:
    if command.config is None:
        return f"config {command.generation}: remove it"
    return f"config {command.generation}: {_sources(command.config.sources)}"


def _status(command: EnsureStatus) -> str:
    status = command.status
    ready = "ready" if status.ready else "not ready"
    return f"status {command.generation}: {status.phase}, {ready}, {', '.join(status.external_ips) or 'no addresses'}"


def _routes(event: RoutesObserved) -> str:
    shown = event.prefixes[:_PREFIXES_SHOWN_MAX]
    more = len(event.prefixes) - len(shown) + event.left_out
    text = ", ".join(shown) + (f" and {more} more" if more else "")
    return f"router {event.router} has src-ip routes that are not ours: {text or 'none'}"


def _chassis(event: ChassisObserved) -> str:
    silent = [f"{one.hostname or one.name} (lacks nb_cfg {one.lacks})" for one in event.silent[:_CHASSIS_SHOWN_MAX]]
    back = [one.hostname or one.name for one in event.back[:_CHASSIS_SHOWN_MAX]]
    more = len(event.silent) - len(silent) + event.left_out
    text = ", ".join(silent) + (f" and {more} more" if more else "")
    return f"chassis silent: {text or 'none'}" + (f"; back: {', '.join(back)}" if back else "")


def _finalizer(command: EnsureFinalizer) -> str:
    return f"finalizer {command.generation}: {'have it' if command.present else 'let go of it'}"


_WORDS: Final[dict[type[Any], Callable[[Any], str]]] = {
    ObjectChanged: lambda event: f"{event.object.KIND} {event.object.key} at version {event.resource_version}",
    ObjectDeleted: _deleted,
    KindListed: _listed,
    CommandApplied: _applied,
    CommandFailed: lambda event: f"{event.part or 'event'} {event.generation} failed: {event.message}",
    CommandRefused: lambda event: f"{event.part} {event.generation} refused: {event.applied_generation} is applied",
    RowsProgrammed: lambda event: (
        f"nb {event.generation} programmed: every chassis that lives is at nb_cfg {event.nb_cfg}"
    ),
    RowsObserved: _observed,
    MembersObserved: lambda event: (
        f"{event.port_group}: {len(event.missing)} ports missing, {len(event.foreign)} not ours"
    ),
    RoutesObserved: _routes,
    ChassisObserved: _chassis,
    SessionChanged: lambda event: (
        f"BFD session with {event.dst_ip}: {event.previous or '?'} -> {event.status or 'gone'}"
    ),
    SessionProgrammed: lambda event: (
        f"every chassis that lives has the flows without {event.dst_ip}, down since {event.down_at}"
    ),
    SpeakerChanged: lambda event: (
        f"{event.pod}: BFD session with {event.remote}: {event.previous or '?'} -> {event.state} ({event.diagnostic})"
    ),
    RowsListed: lambda event: f"{len(event.gateways)} gateways own rows",
    ConfigApplied: lambda event: f"config {event.generation} applied by {event.pod}: {_sources(event.sources)}",
    ConfigFailed: lambda event: f"config {event.generation} failed in {event.pod}: {event.message}",
    Ticked: lambda event: f"time passed: {event.at}",
    PlannerConfigured: lambda event: f"planner settings: image {event.settings.image or 'unset'}",
    StreamsCreated: lambda event: (
        f"new streams: {', '.join(f'{name} of {created}' for name, created in sorted(event.created.items()))}"
    ),
    Intent: _intent,
    Report: _report,
    EnsureNb: lambda command: f"nb {command.generation}: {_rows(command.rows)}",
    EnsureMembers: lambda command: f"members {command.generation}: {len(command.ports)} ports",
    ChangeMembers: lambda command: (
        f"members {command.generation} after {command.base}: "
        f"{', '.join([f'+{port}' for port in command.added] + [f'-{port}' for port in command.removed])}"
    ),
    EnsureWorkload: lambda command: f"workload {command.generation}: Deployment {command.workload.name}",
    RemoveWorkload: lambda command: f"workload {command.generation}: remove Deployment {command.name}",
    EnsureFinalizer: _finalizer,
    EnsureStatus: _status,
    EnsureCondition: lambda command: (
        f"condition {command.generation}: {command.condition.type}: {command.condition.message}"
    ),
    EnsureVpcStatus: lambda command: f"status.bfdPort {command.generation}: {command.bfd_port.name or 'remove it'}",
    RecordKubeEvent: lambda command: f"{command.type} {command.reason}: {command.message}",
    PublishConfig: _config,
}
