"""One event in, and everything that follows from it out. The whole planner, without its shell."""

from veg_contracts.base import Value
from veg_contracts.commands import EnsureNb
from veg_contracts.envelope import Envelope
from veg_contracts.events import (
    CommandApplied,
    CommandFailed,
    CommandRefused,
    ConfigApplied,
    ConfigFailed,
    RowsProgrammed,
)
from veg_contracts.intent import Intent, NbRows, Part, Report
from veg_contracts.objects import EgressGateway
from veg_contracts.subjects import ovn_command
from veg_planner.diff import Outgoing, advance, commands
from veg_planner.fold import fold
from veg_planner.invariants import violations
from veg_planner.plan import Plan, plan
from veg_planner.state import PartState
from veg_planner.world import FLOOR, INTENT, ORPHAN, PART, REPORT, Entry, Removed, World

__all__ = ["Entry", "InvariantError", "Outcome", "Outgoing", "Record", "Removed", "World", "step"]

# Outcomes say how an attempt ended. Trying again at once, because of one, would be a loop.
_OUTCOMES = (CommandApplied, CommandFailed, CommandRefused, ConfigApplied, ConfigFailed, RowsProgrammed)


class Record(Value, frozen=True, kw_only=True):
    """An event with its place in the log."""

    position: int
    envelope: Envelope


class Outcome(Value, frozen=True, kw_only=True):
    """What one event led to. All of it is stored in the transaction that appends the event."""

    entries: tuple[Entry | Removed, ...] = ()
    intents: tuple[Intent, ...] = ()
    reports: tuple[Report, ...] = ()
    commands: tuple[Outgoing, ...] = ()


class InvariantError(AssertionError):
    """A plan broke an invariant: a bug of ours. Its gateway keeps the intent it had."""


def step(world: World, record: Record) -> Outcome:
    """Fold one event into the world and plan what it touches. Equal logs give equal outcomes, byte for byte.

    Raises:
        InvariantError: a plan broke an invariant. The world is dirty then and must be loaded again.
    """
    intents: list[Intent] = []
    reports: list[Report] = []
    outgoing: list[Outgoing] = []
    retry = not isinstance(record.envelope.data, _OUTCOMES)
    for gateway in fold(world, record.envelope):
        if _is_orphan(world, gateway):
            outgoing.append(_prune(world, gateway, record.position))
            continue
        last, planned = world.intent(gateway), plan(world, gateway)
        if last is None and world.stored(EgressGateway.KIND, gateway) is None:
            continue
        if broken := violations(planned.draft):
            raise InvariantError(f"{gateway}: {'; '.join(broken)}")
        new = _next_intent(world, last, planned, record)
        if new is not None:
            world.put(INTENT, gateway, new)
            intents.append(new)
        current = new or last
        report = Report(gateway=gateway, generation=current.generation if current else 0, steps=planned.steps)
        if report != world.report(gateway):
            world.put(REPORT, gateway, report)
            reports.append(report)
        if current is not None:
            outgoing += _send(world, last, current, retry=retry, position=record.position)
            _forget_if_gone(world, current)
    return Outcome(
        entries=world.take_changes(), intents=tuple(intents), reports=tuple(reports), commands=tuple(outgoing)
    )


def _next_intent(world: World, last: Intent | None, planned: Plan, record: Record) -> Intent | None:
    draft, floor = planned.draft, world.floor(planned.draft.gateway)
    known = floor.generation if floor is not None and floor.gateway_uid == draft.gateway_uid else 0
    again = frozenset({Part.NB, Part.CONFIG} if last is not None and known > last.generation else ())
    return advance(last, draft, time=record.envelope.time, floor=known, again=again)


def _send(world: World, last: Intent | None, current: Intent, *, retry: bool, position: int) -> tuple[Outgoing, ...]:
    """The commands that are due, each remembered as sent."""
    states = {part: world.part(current.gateway, part) for part in Part}
    wanted = ("drifted", "failed") if retry else ("drifted",)
    repair = frozenset(part for part, state in states.items() if state is not None and state.state in wanted)
    outgoing = commands(last, current, repair=repair, position=position)
    for command in outgoing:
        if command.part is None or command.part is Part.CONFIG:
            continue
        state = states[command.part]
        same = state is not None and state.gateway_uid == current.gateway_uid
        sent = PartState(
            gateway_uid=current.gateway_uid,
            command_id=command.id,
            generation=command.data.generation,
            state="sent",
            message=state.message if same and state is not None and state.state == "failed" else "",
            programmed=state.programmed if same and state is not None else 0,
        )
        world.put(PART, f"{current.gateway}/{command.part.value}", sent)
    return outgoing


def _forget_if_gone(world: World, intent: Intent) -> None:
    """The gateway is gone from Kubernetes and nothing of it is wanted any more: the log keeps its history."""
    empty = intent.workload is None and intent.config is None and intent.nb in (None, NbRows())
    if world.stored(EgressGateway.KIND, intent.gateway) is not None or not empty:
        return
    state = world.part(intent.gateway, Part.NB)
    if intent.nb is not None and (state is None or state.state != "applied"):
        return
    for kind in (INTENT, REPORT, FLOOR):
        world.remove(kind, intent.gateway)
    for part in Part:
        world.remove(PART, f"{intent.gateway}/{part.value}")


def _is_orphan(world: World, gateway: str) -> bool:
    unknown = world.intent(gateway) is None and world.stored(EgressGateway.KIND, gateway) is None
    return gateway in world.orphans() and unknown


def _prune(world: World, gateway: str, position: int) -> Outgoing:
    """Rows of a gateway that does not exist: nobody else will ever take them away."""
    world.remove(ORPHAN, gateway)
    command = EnsureNb(gateway=gateway, gateway_uid="orphan", generation=position, rows=NbRows())
    return Outgoing(
        id=f"cmd/nb/{gateway}/orphan/{position}", subject=ovn_command("", gateway), data=command, part=Part.NB
    )
