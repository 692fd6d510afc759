"""One event in, and everything that follows from it out. The whole planner, without its shell."""

from veg_contracts.base import Value
from veg_contracts.commands import ChangeMembers, EnsureMembers, EnsureNb, members_part
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
from veg_contracts.subjects import ovn_command
from veg_planner.diff import Outgoing, advance, commands
from veg_planner.fold import fold
from veg_planner.fold.membership import reassign_all
from veg_planner.invariants import violations
from veg_planner.plan import Plan, bfd_relay, plan
from veg_planner.state import Basis, PartState, Selecting
from veg_planner.world import (
    BASIS,
    FLOOR,
    INTENT,
    LOCAL,
    ORPHAN,
    PART,
    REPAIRS,
    REPORT,
    SELECTING,
    Entry,
    Removed,
    World,
)

__all__ = ["Entry", "InvariantError", "Outcome", "Outgoing", "Record", "Removed", "World", "step"]

# Outcomes say how an attempt ended. Trying again at once, because of one, would be a loop.
_OUTCOMES = (CommandApplied, CommandFailed, CommandRefused, ConfigApplied, ConfigFailed, RowsProgrammed)

# A selection that changes makes others say something else, and that changes no selection: two rounds are enough.
_ROUNDS_MAX = 3


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
    retry = not isinstance(record.envelope.data, _OUTCOMES)
    made = _Made(retry=retry, position=record.position, time=record.envelope.time)
    touched = set(fold(world, record.envelope))
    # Oldest first: a younger gateway gives way to an older one. Selectors that change may touch some once more.
    for _ in range(_ROUNDS_MAX):
        again: set[str] = set()
        for gateway in sorted(touched, key=world.age):
            again |= _plan_one(world, gateway, made)
        touched = again
        if not touched:
            break
    for gateway, group in sorted(_groups(world, made)):
        made.commands += _send_members(world, gateway, group, made)
    return Outcome(
        entries=world.take_changes(),
        intents=tuple(made.intents),
        reports=tuple(made.reports.values()),
        commands=tuple(made.commands),
    )


class _Made:
    """What one event has led to so far."""

    def __init__(self, *, retry: bool, position: int, time: str) -> None:
        self.retry, self.position, self.time = retry, position, time
        self.intents: list[Intent] = []
        # One for each gateway, that of the last time it was planned: the store keeps one per event.
        self.reports: dict[str, Report] = {}
        self.commands: list[Outgoing] = []
        self.planned: set[str] = set()


def _plan_one(world: World, gateway: str, made: _Made) -> set[str]:
    """Plan one gateway; the gateways that must be planned again because of it."""
    if _is_orphan(world, gateway):
        made.commands.append(_prune(world, gateway, made.position))
        return set()
    last, planned = world.intent(gateway), plan(world, gateway)
    if last is None and not world.exists(gateway):
        return set()
    # Rows that are only kept, of a gateway that nothing was ever planned from, are of a time before their neighbours.
    router = planned.draft.nb.router if planned.draft.nb is not None and planned.basis is not None else ""
    if broken := violations(planned.draft, frozenset(world.strange_routes(router).prefixes)):
        raise InvariantError(f"{gateway}: {'; '.join(broken)}")
    again = _remember(world, gateway, planned.basis) | _select(world, gateway, planned.selecting)
    _place(world, last, planned)
    new = _next_intent(world, last, planned, made.time)
    if new is not None:
        world.put(INTENT, gateway, new)
        made.intents.append(new)
        if new.vpc_status != (last.vpc_status if last is not None else None):
            again |= set(world.gateways())  # they say whether anybody runs the BFD port
    again |= bfd_relay.awaiting(world, gateway)
    current = new or last
    if current is None:
        return again  # a Vpc without a BFD port is none of our business
    report = Report(gateway=gateway, generation=current.generation, steps=planned.steps)
    if report != world.report(gateway):
        world.put(REPORT, gateway, report)
        made.reports[gateway] = report
    made.commands += _send(world, last, current, retry=made.retry, position=made.position)
    _forget_if_gone(world, current)
    made.planned.add(gateway)
    return again


def _remember(world: World, gateway: str, basis: Basis | None) -> set[str]:
    """What the gateway was planned from; the Vpcs whose BFD port it begins or ceases to use by that."""
    before = world.basis(gateway)
    if basis is None:
        world.remove(BASIS, gateway)
    else:
        world.put(BASIS, gateway, basis)
    return _watched_vpc(before) ^ _watched_vpc(basis)


def _watched_vpc(basis: Basis | None) -> set[str]:
    return {basis.network.vpc} if basis is not None and basis.spec.bfd.enabled else set()


def _select(world: World, gateway: str, selecting: Selecting | None) -> set[str]:
    """Let a gateway select pods by these labels from now on; the gateways whose report that changes."""
    if dict(world.selecting()).get(gateway) == selecting:
        return set()
    if selecting is None:
        world.remove(SELECTING, gateway)
    else:
        world.put(SELECTING, gateway, selecting)
    return reassign_all(world)


def _place(world: World, last: Intent | None, planned: Plan) -> None:
    """Have the port groups by node filled that the plan names, and forget those that it names no longer."""
    before = last.nb.port_groups if last is not None and last.nb is not None else ()
    now = planned.draft.nb.port_groups if planned.draft.nb is not None else ()
    for group in set(before) - set(now):
        world.take_member_changes(group)
        world.remove(LOCAL, group)
        world.remove(PART, f"{planned.draft.gateway}/{members_part(group)}")
    for group, local in planned.local.items():
        world.put(LOCAL, group, local)


def _groups(world: World, made: _Made) -> set[tuple[str, str]]:
    """The port groups, each with its gateway, whose membership may have to be sent."""
    found: set[tuple[str, str]] = set()
    for gateway in made.planned:
        intent = world.intent(gateway)
        found |= {(gateway, group) for group in (intent.nb.port_groups if intent and intent.nb else ())}
    for group in world.member_changes():
        if owner := world.owner_of(group):
            found.add((owner, group))
        else:
            world.take_member_changes(group)  # once there is such a group, it is sent the whole
    return found


def _send_members(world: World, gateway: str, group: str, made: _Made) -> tuple[Outgoing, ...]:
    """The command that brings a port group to its membership: the change, or the whole where that is not known."""
    added, removed = world.take_member_changes(group)
    part = members_part(group)
    intent, state = world.intent(gateway), world.part(gateway, part)
    if intent is None:
        return ()
    known = state if state is not None and state.gateway_uid == intent.gateway_uid else None
    uid = intent.gateway_uid
    command: EnsureMembers | ChangeMembers
    lost = known is None or known.state == "drifted" or (known.state == "failed" and made.retry)
    generation = (known.generation if known is not None else 0) + 1
    if lost:
        ports = tuple(world.members_of(group))
        command = EnsureMembers(gateway=gateway, gateway_uid=uid, generation=generation, port_group=group, ports=ports)
    elif added or removed:
        command = ChangeMembers(
            gateway=gateway,
            gateway_uid=uid,
            generation=generation,
            base=generation - 1,
            port_group=group,
            added=added,
            removed=removed,
        )
    else:
        return ()
    identity = f"cmd/{part}/{gateway}/{uid}/{generation}/{made.position}"
    router = intent.nb.router if intent.nb is not None else ""
    outgoing = Outgoing(id=identity, subject=ovn_command(router, gateway), data=command)
    world.put(PART, f"{gateway}/{part}", _sent(known, outgoing, uid))
    return (outgoing,)


def _sent(known: PartState | None, outgoing: Outgoing, uid: str) -> PartState:
    """The state of a part whose command is on its way. What a failure said stays until it is known to be mended."""
    return PartState(
        gateway_uid=uid,
        command_id=outgoing.id,
        generation=outgoing.data.generation,
        state="sent",
        message=known.message if known is not None and known.state == "failed" else "",
        detail=known.whose if known is not None else {},
        programmed=known.programmed if known is not None else 0,
    )


def _next_intent(world: World, last: Intent | None, planned: Plan, time: str) -> Intent | None:
    draft, floor = planned.draft, world.floor(planned.draft.gateway)
    known = floor.generation if floor is not None and floor.gateway_uid == draft.gateway_uid else 0
    again = frozenset({Part.NB, Part.CONFIG} if last is not None and known > last.generation else ())
    return advance(last, draft, time=time, floor=known, again=again)


def _send(world: World, last: Intent | None, current: Intent, *, retry: bool, position: int) -> tuple[Outgoing, ...]:
    """The commands that are due, each remembered as sent."""
    states = {part: world.part(current.gateway, part) for part in Part}
    repair = frozenset(
        part for part, state in states.items() if state is not None and _is_due(part, state.state, retry)
    )
    left = world.deployment_of(current.gateway_uid) if Part.WORKLOAD in repair else ""
    outgoing = commands(last, current, repair=repair, position=position, left=left)
    for command in outgoing:
        if command.part is None:
            continue
        state = states[command.part]
        known = state if state is not None and state.gateway_uid == current.gateway_uid else None
        if command.part is Part.CONFIG:
            known = None  # it fails for what it is, so nothing is known against another one
        sent = _sent(known, command, current.gateway_uid)
        world.put(PART, f"{current.gateway}/{command.part.value}", sent)
    return outgoing


def _is_due(part: Part, state: str, retry: bool) -> bool:
    """Whether a part is sent again although nothing in it changed. What is too large for the bus stays so."""
    return state == "drifted" or (state == "failed" and retry and part is not Part.CONFIG)


def _forget_if_gone(world: World, intent: Intent) -> None:
    """The gateway is gone from Kubernetes and nothing of it is wanted any more: the log keeps its history."""
    empty = intent.workload is None and intent.config is None and (intent.nb is None or intent.nb.empty)
    if world.exists(intent.gateway) or not empty:
        return
    state = world.part(intent.gateway, Part.NB)
    if intent.nb is not None and (state is None or state.state != "applied"):
        return
    for kind in (INTENT, REPORT, FLOOR, REPAIRS):
        world.remove(kind, intent.gateway)
    for part in Part:
        world.remove(PART, f"{intent.gateway}/{part}")


def _is_orphan(world: World, gateway: str) -> bool:
    unknown = world.intent(gateway) is None and not world.exists(gateway)
    return gateway in world.orphans() and unknown


def _prune(world: World, gateway: str, position: int) -> Outgoing:
    """Rows of a gateway that does not exist: nobody else will ever take them away."""
    world.remove(ORPHAN, gateway)
    command = EnsureNb(gateway=gateway, gateway_uid="orphan", generation=position, rows=NbRows())
    return Outgoing(
        id=f"cmd/nb/{gateway}/orphan/{position}", subject=ovn_command("", gateway), data=command, part=Part.NB
    )
