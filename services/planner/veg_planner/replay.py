"""Replay: fold the log again from nothing, and compare with what was decided then. Pure."""

from collections.abc import Iterable, Iterator

import msgspec

from veg_contracts.base import encode
from veg_contracts.commands import AnyCommand
from veg_contracts.envelope import type_name
from veg_contracts.intent import Intent
from veg_planner import core, digest
from veg_planner.core import Outcome, Record
from veg_planner.world import World


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """An intent or a command, as far as a comparison needs it: where, what, and the digest of its bytes."""

    position: int
    name: str
    digest: str


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """The first place where a replay and the log part: `replayed` or `stored` is None where one has nothing."""

    position: int
    replayed: Decided | None
    stored: Decided | None


def outcomes(world: World, records: Iterable[Record]) -> Iterator[tuple[Record, Outcome]]:
    """Fold the records into the world, one by one."""
    for record in records:
        yield record, core.step(world, record)


def replay(records: Iterable[Record]) -> tuple[list[Intent], list[AnyCommand]]:
    """All intents and commands that the records lead to, from an empty world."""
    intents: list[Intent] = []
    commands: list[AnyCommand] = []
    for _, outcome in outcomes(World(), records):
        intents += outcome.intents
        commands += [command.data for command in outcome.commands]
    return intents, commands


def decided(record: Record, outcome: Outcome) -> list[Decided]:
    """What was decided on a record, in the order of `stored`: intents, then commands."""
    position = record.position
    intents = sorted((intent_name(intent), digest.of_intent(intent)) for intent in outcome.intents)
    commands = [
        (command.id, digest.of_command(command.id, command.subject, command.data)) for command in outcome.commands
    ]
    return [Decided(position=position, name=name, digest=value) for name, value in (*intents, *commands)]


def intent_name(intent: Intent) -> str:
    """How a comparison names an intent."""
    return f"intent/{intent.gateway_uid}/{intent.generation:020}"


def first_difference(position: int, replayed: list[Decided], stored: list[Decided]) -> Difference | None:
    """Compare what was decided at one position."""
    for number in range(max(len(replayed), len(stored))):
        ours = replayed[number] if number < len(replayed) else None
        theirs = stored[number] if number < len(stored) else None
        if ours != theirs:
            return Difference(position=position, replayed=ours, stored=theirs)
    return None


def describe(outcome: Outcome, name: str) -> str:
    """The JSON of the intent or command of that name; empty when the outcome has none."""
    for intent in outcome.intents:
        if intent_name(intent) == name:
            return encode(intent).decode()
    for command in outcome.commands:
        if command.id == name:
            return encode({"subject": command.subject, "type": type_name(command.data), "data": command.data}).decode()
    return ""
