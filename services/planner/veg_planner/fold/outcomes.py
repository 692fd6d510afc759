"""What writers and agents report: what became of each part of an intent, and what the Northbound database holds."""

from typing import Final

import msgspec

from veg_contracts.commands import MEMBERS, members_part
from veg_contracts.events import (
    CommandApplied,
    CommandFailed,
    CommandRefused,
    ConfigApplied,
    ConfigFailed,
    MembersObserved,
    RowsListed,
    RowsObserved,
    RowsProgrammed,
    StreamsCreated,
)
from veg_contracts.intent import Intent, NbRows, Part, Source, digest_of_sources
from veg_contracts.objects import Deployment, DisruptionBudget, EgressGateway
from veg_planner.state import AgentState, Floor, Orphan, PartState, Streams
from veg_planner.world import AGENT, FLOOR, ORPHAN, PART, STREAMS, World, is_gateway

# An agent may know newer generations than a planner whose database is of yesterday, but not billions of them: the
# generation after a report is above it, and the database counts to 2**63.
_GENERATIONS_AHEAD_MAX: Final = 2**32


def ticked(world: World) -> list[str]:
    """Time passed: count it for rows that no chassis has confirmed, and look again at what failed."""
    for subject in world.subjects():
        if (state := world.unconfirmed(subject)) is not None:
            world.put(PART, f"{subject}/{Part.NB.value}", msgspec.structs.replace(state, ticks=state.ticks + 1))
    touched = [subject for subject in world.subjects() if world.awaits_tick(subject)]
    for gateway in filter(world.is_conflict_lost, touched):
        # Only as often as time passes: a controller that never keeps it is not fought.
        if (status := world.part(gateway, Part.STATUS)) is not None:
            world.put(PART, f"{gateway}/{Part.STATUS.value}", msgspec.structs.replace(status, state="drifted"))
    return touched


def applied(world: World, event: CommandApplied) -> list[str]:
    touched = _settle(world, event, "applied", detail=event.detail)
    if touched and event.part == Part.WORKLOAD:
        _note_changed_since(world, event)
    return touched


def _note_changed_since(world: World, event: CommandApplied) -> None:
    """What was deleted or edited after it was written, and before we heard that it was."""
    state, intent = world.part(event.gateway, Part.WORKLOAD), world.intent(event.gateway)
    if state is None or intent is None or intent.workload is None or world.is_marked(event.gateway):
        return
    key = f"{intent.workload.namespace}/{intent.workload.name}"
    written = (
        (Deployment.KIND, event.detail.get("uid", ""), state.object_generation),
        (DisruptionBudget.KIND, state.budget_uid, state.budget_generation),
    )
    for kind, uid, generation in written:
        if uid and _is_changed(world, uid, generation):
            new = msgspec.structs.replace(state, state="drifted", message=f"{kind} {key} was changed meanwhile")
            world.put(PART, f"{event.gateway}/{Part.WORKLOAD.value}", new)
            return


def _is_changed(world: World, uid: str, generation: int) -> bool:
    """Whether the object is gone, or has a newer generation than that."""
    stored = world.stored_by_uid(uid)
    found = stored.object if stored is not None else None
    newer = isinstance(found, Deployment | DisruptionBudget) and 0 < generation < found.generation
    return newer or world.tombstone(uid) is not None


def failed(world: World, event: CommandFailed) -> list[str]:
    return _settle(world, event, "failed", message=event.message)


def refused(world: World, event: CommandRefused) -> list[str]:
    if _of_members(event.part):
        return _members_refused(world, event)
    _raise_floor(world, event.gateway, event.gateway_uid, event.applied_generation)
    return _settle(world, event, "drifted", message=f"generation {event.generation} is older than the one applied")


def _members_refused(world: World, event: CommandRefused) -> list[str]:
    """The writer knows another membership than the one that the change builds on: it is sent the whole."""
    touched = _settle(world, event, "drifted", message="the writer knows another membership")
    state = world.part(event.gateway, event.part)
    if touched and state is not None and state.generation < event.applied_generation:
        newer = msgspec.structs.replace(state, generation=event.applied_generation)
        world.put(PART, f"{event.gateway}/{event.part}", newer)
    return touched


def _of_members(part: str) -> bool:
    return part.startswith(f"{MEMBERS}/")


def programmed(world: World, event: RowsProgrammed) -> list[str]:
    state = world.part(event.gateway, Part.NB)
    if state is None or state.gateway_uid != event.gateway_uid or event.generation <= state.programmed:
        return []
    world.put(PART, f"{event.gateway}/{Part.NB.value}", msgspec.structs.replace(state, programmed=event.generation))
    return [event.gateway]


def rows_observed(world: World, event: RowsObserved) -> list[str]:
    intent = world.intent(event.gateway)
    if intent is None:
        return _orphan(world, event)
    wanted = intent.nb if intent.nb is not None and not intent.nb.empty else None
    if event.after == ((wanted,) if wanted is not None else ()):
        return []
    return _drifted(world, intent, _difference(wanted, event.after))


def rows_listed(world: World, event: RowsListed) -> list[str]:
    """After a writer's start: what is not there, and what was not confirmed, is sent again."""
    present = set(event.gateways)
    touched = []
    for gateway in world.subjects():
        intent, state = world.intent(gateway), world.part(gateway, Part.NB)
        if intent is None or state is None:
            continue
        # A writer that starts knows no membership: it is sent the whole.
        groups = intent.nb.port_groups if intent.nb is not None else ()
        touched += [
            gateway for group in groups if _set_drifted(world, gateway, members_part(group), "a writer has started")
        ]
        missing = intent.nb is not None and not intent.nb.empty and gateway not in present
        unconfirmed = state.state == "applied" and state.programmed < state.generation
        if missing or unconfirmed:
            text = "its rows are missing" if missing else "its rows were not confirmed by the chassis"
            touched += _drifted(world, intent, text)
    return touched


def members_observed(world: World, event: MembersObserved) -> list[str]:
    text = f"port group {event.port_group}: {len(event.missing)} ports are missing, {len(event.foreign)} are not ours"
    drifted = _set_drifted(world, event.gateway, members_part(event.port_group), text)
    return [event.gateway] if drifted else []


def streams_created(world: World, event: StreamsCreated) -> list[str]:
    """The bus has lost what it held: every config, and every command without an outcome, is sent again."""
    if event.created == world.streams:
        return []
    world.put(STREAMS, "bus", Streams(created=event.created))
    return [subject for subject in world.subjects() for part in world.parts(subject) if _lost(world, subject, part)]


def _lost(world: World, subject: str, part: str) -> bool:
    """Have a part sent again whose command, or its outcome, was on the bus; False when none was."""
    intent, state = world.intent(subject), world.part(subject, part)
    if state is None and intent is not None and intent.config is not None and part == Part.CONFIG:
        # Sent by a planner that did not remember configs as sent.
        state = PartState(gateway_uid=intent.gateway_uid, command_id="", generation=0, state="sent")
    if state is None or state.state != "sent":
        return False
    # What was being tried again after a failure goes on saying so.
    new = msgspec.structs.replace(state, state="failed" if state.message else "drifted")
    world.put(PART, f"{subject}/{part}", new)
    return True


def config_reported(world: World, event: ConfigApplied | ConfigFailed) -> list[str]:
    """Take in what an agent says of its pod. Nobody vouches for the uid that it names: it is believed within bounds."""
    intent, known = world.intent(event.gateway), world.agent(event.pod_uid)
    current = intent is not None and intent.gateway_uid == event.gateway_uid
    seen = intent.generation if intent is not None else 0
    if event.generation > seen + _GENERATIONS_AHEAD_MAX or not _may_be_said(world, event):
        return []
    said_by = (event.gateway, event.gateway_uid, event.pod)
    if known is not None and (known.gateway, known.gateway_uid, known.pod) != said_by:
        if not current:
            return []
        known = None  # it was never true: a pod belongs to one gateway, and has one name, all its life
    known = known or AgentState(gateway=event.gateway, gateway_uid=event.gateway_uid, pod=event.pod)
    if event.generation < known.generation:
        return []
    if isinstance(event, ConfigApplied):
        sources = _sources(intent, event)
        if sources is None and event.generation <= seen:
            return []
        state = msgspec.structs.replace(
            known,
            generation=event.generation,
            sources=known.sources if sources is None else sources,
            default_snat=event.default_snat,
            error="",
        )
    else:
        state = msgspec.structs.replace(known, error=event.message)
    world.put(AGENT, event.pod_uid, state)
    if current and event.generation > seen:
        _raise_floor(world, event.gateway, event.gateway_uid, event.generation)
    return [event.gateway] if intent is not None else []


def _sources(intent: Intent | None, event: ConfigApplied) -> tuple[Source, ...] | None:
    """Those that the agent takes. None: told by a digest that the newest config has not; a later report will do."""
    if not event.sources_digest:
        return event.sources
    newest = intent.config.taken if intent is not None and intent.config is not None else ()
    return newest if digest_of_sources(newest) == event.sources_digest else None


def _may_be_said(world: World, event: ConfigApplied | ConfigFailed) -> bool:
    """Whether the uid is the speaking pod's, or that of none that is known yet: a report may come before its pod."""
    if world.tombstone(event.pod_uid) is not None:
        return False
    stored = world.stored_by_uid(event.pod_uid)
    if stored is None:
        return True
    return stored.object.name == event.pod and any(pod.uid == event.pod_uid for pod in world.pods_of(event.gateway))


def _settle(
    world: World,
    event: CommandApplied | CommandFailed | CommandRefused,
    state: str,
    *,
    message: str = "",
    detail: dict[str, str] | None = None,
) -> list[str]:
    """Record the outcome of the last command of a part; that of an earlier command says nothing any more."""
    known = world.part(event.gateway, event.part)  # none of a Kubernetes Event, which is no part of an intent
    if known is None or known.command_id != event.command_id:
        return []
    new = msgspec.structs.replace(known, state=state, message=message, detail=known.whose if detail is None else detail)
    if _of_members(event.part) and state == "applied":
        new = msgspec.structs.replace(new, programmed=event.generation)
    world.put(PART, f"{event.gateway}/{event.part}", new)
    if event.part == Part.NB and not is_gateway(event.gateway):
        return [event.gateway, *world.gateways()]  # they use the BFD port of their Vpc, and say what is wrong with it
    return [event.gateway]


def _drifted(world: World, intent: Intent, text: str) -> list[str]:
    return [intent.gateway] if _set_drifted(world, intent.gateway, Part.NB.value, text) else []


def _set_drifted(world: World, gateway: str, part: str, text: str) -> bool:
    """Have a part sent again; False when there is nothing to send, or it will be sent again anyway."""
    state = world.part(gateway, part)
    if state is None or state.state == "failed":
        return False
    # Even when a command is under way: the observation may be of the moment after it. One more command does no harm.
    world.put(PART, f"{gateway}/{part}", msgspec.structs.replace(state, state="drifted", message=text))
    return True


def _difference(wanted: NbRows | None, found: tuple[NbRows, ...]) -> str:
    have = sum(_count(rows) for rows in found)
    want = _count(wanted) if wanted is not None else 0
    return f"the Northbound database has {have} rows of this gateway that differ from the {want} that are wanted"


def _count(rows: NbRows) -> int:
    lists = (rows.policies, rows.static_routes, rows.port_groups, rows.sessions)
    return sum(map(len, lists)) + (rows.bfd_port is not None)


def _orphan(world: World, event: RowsObserved) -> list[str]:
    """Rows of a gateway that we do not know: nobody's, unless its events are still on their way."""
    if not event.after:
        world.remove(ORPHAN, event.gateway)
        return []
    world.put(ORPHAN, event.gateway, Orphan(rows=event.after))
    listed = world.listing(EgressGateway.KIND).complete > 0
    return [event.gateway] if listed else []


def _raise_floor(world: World, gateway: str, gateway_uid: str, generation: int) -> None:
    known = world.floor(gateway)
    if known is None or known.gateway_uid != gateway_uid or known.generation < generation:
        world.put(FLOOR, gateway, Floor(gateway_uid=gateway_uid, generation=generation))
