"""`vegctl replay`: decide again on what the log holds."""

from collections.abc import Iterator

import click
import sqlalchemy as sa

from veg_planner import replay as engine
from veg_planner.core import Outcome
from veg_planner.replay import Decided, Difference
from veg_planner.store import effects, stored
from veg_planner.store import log as event_log
from veg_planner.world import Entry, World
from vegctl.compare import first_parting
from vegctl.database import snapshot
from vegctl.get import table

_EVERYTHING = 2**62


@click.command()
@click.option("--until", type=click.IntRange(min=1), metavar="POSITION", help="Stop after this position of the log.")
@click.option("--check", is_flag=True, help="Compare every intent and command, byte for byte; exit 1 if one differs.")
@click.pass_obj
def replay(database: str, until: int | None, check: bool) -> None:
    """Fold the log again from nothing, and show the gateways as they were then. Nothing is changed anywhere.

    The decisions are those of this version of the planner. With --check they are compared with the recorded ones, and
    so is the world, unless --until stops before the end.
    """
    with snapshot(database) as connection:
        last = until or _EVERYTHING
        replayed = Replay(connection, last, compare=check)
        difference = replayed.run()
        if difference is not None:
            raise click.ClickException("\n".join(_explain(connection, difference, replayed.outcome)))
        click.echo(
            f"{replayed.events} events up to position {replayed.position}: "
            f"{replayed.intents} intents, {replayed.commands} commands" + (", all equal" if check else "")
        )
        if check and until is None:
            _check_world(connection, replayed.entries)
    click.echo(table(replayed.world))


class Replay:
    """One pass over the log, with what it has come to so far."""

    def __init__(self, connection: sa.Connection, until: int, *, compare: bool) -> None:
        self._connection = connection
        self._until = until
        self._stored = stored.decided(connection, until) if compare else None
        self._next: tuple[int, list[Decided]] | None = None
        self.world = World()
        self.entries: dict[tuple[str, str], bytes] = {}
        self.outcome = Outcome()
        self.events = self.intents = self.commands = self.position = 0

    def run(self) -> Difference | None:
        """Go through; stops at the first difference."""
        self._advance()
        for record, outcome in engine.outcomes(self.world, event_log.records(self._connection, self._until)):
            self.events += 1
            self.intents += len(outcome.intents)
            self.commands += len(outcome.commands)
            self.position, self.outcome = record.position, outcome
            for entry in outcome.entries:
                if isinstance(entry, Entry):
                    self.entries[entry.kind, entry.key] = entry.data
                else:
                    self.entries.pop((entry.kind, entry.key), None)
            if self._stored is None:
                continue
            difference = engine.first_difference(
                record.position, engine.decided(record, outcome), self._take(record.position)
            )
            if difference is not None:
                return difference
        if self._next is not None:
            return engine.first_difference(self._next[0], [], self._next[1])
        return None

    def _take(self, position: int) -> list[Decided]:
        """What was decided at this position then."""
        if self._next is None or self._next[0] != position:
            return []
        found = self._next[1]
        self._advance()
        return found

    def _advance(self) -> None:
        self._next = next(self._stored, None) if self._stored is not None else None


def _explain(connection: sa.Connection, difference: Difference, outcome: Outcome) -> Iterator[str]:
    yield f"position {difference.position}: the replay decides otherwise"
    then, now = difference.stored, difference.replayed
    yield f"stored: {_named(then)}"
    yield f"replayed: {_named(now)}"
    if then is not None and now is not None and then.name == now.name:
        yield from _parting(stored.data_of(connection, then.name), engine.describe(outcome, now.name))


def _named(decided: Decided | None) -> str:
    return f"{decided.name} {decided.digest}" if decided else "nothing"


def _parting(then: str, now: str) -> Iterator[str]:
    parting = first_parting(then, now)
    if parting is None:
        yield "the documents are equal, only the digest is not"
    else:
        yield f"first difference at {parting.path}"
        yield f"  stored: {parting.stored}"
        yield f"  replayed: {parting.replayed}"


def _check_world(connection: sa.Connection, replayed: dict[tuple[str, str], bytes]) -> None:
    """The stored world must be the fold of the log as well."""
    kept = {(entry.kind, entry.key): entry.data for entry in effects.entries(connection)}
    for name in sorted(kept.keys() | replayed.keys()):
        then, now = kept.get(name, b"").decode(), replayed.get(name, b"").decode()
        if first_parting(then, now) is not None:
            raise click.ClickException("\n".join((f"world entry {'/'.join(name)} differs", *_parting(then, now))))
