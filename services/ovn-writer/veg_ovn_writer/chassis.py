"""Which chassis live: those that get the flows of an nb_cfg within a bound. Pure.

- ovn-northd writes the flows of an nb_cfg into the Southbound database, and then `NB_Global.sb_cfg`. Only from then on
  can a chassis have them: a northd that is slow or gone makes no chassis silent.
- A chassis that has lacked an nb_cfg for the whole bound is silent, until it has the newest one that northd wrote.
- It is counted from when both were seen, the number and the chassis: one that has just come gets the whole bound.
- A chassis is a row of Chassis_Private with one of the same name in Chassis. Either alone is what somebody left behind.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from veg_contracts.events import ChassisObserved, SilentChassis

_NAME_LENGTH_MAX: Final = 128  # of a system-id or a host name; they are somebody else's, and of any length
# A silent one takes some 400 bytes at most: what is told stays far below the bus's limit.
_TOLD_MAX: Final = 100
# Numbers that a living chassis lacks, each younger than the bound. Of more the newest are taken for one, asked last.
_ASKED_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class Chassis:
    """A chassis as its rows have it."""

    name: str
    hostname: str
    nb_cfg: int


@dataclass(frozen=True, slots=True)
class View:
    """All chassis, by name. `epoch` counts how often they came into sight: in between, anything may have happened."""

    epoch: int
    chassis: Mapping[str, Chassis]


@dataclass(frozen=True, slots=True)
class Moment:
    """A time by the monotonic clock, which decides, and by the wall clock (RFC 3339, UTC), which is told."""

    monotonic_s: float
    at: str


@dataclass(frozen=True, slots=True)
class Number:
    """An nb_cfg, and when it was first seen where it is."""

    nb_cfg: int
    when: Moment


@dataclass(frozen=True, slots=True)
class Roll:
    """What is known of the chassis. A roll that is new knows no silent one.

    `asked`, ascending, ends with the newest nb_cfg in the Southbound database; before it are those that a living one
    lacks. `seen` is when each chassis appeared, with its nb_cfg of now. `due_s` is the monotonic time at which the next
    one is silent if nothing happens; None: none will be.
    """

    asked: tuple[Number, ...] = ()
    seen: Mapping[str, Number] = field(default_factory=dict)
    silent: Mapping[str, SilentChassis] = field(default_factory=dict)
    due_s: float | None = None


def look(known: Roll, chassis: Mapping[str, Chassis], sb_cfg: int, now: Moment, bound_s: float) -> Roll:
    """The roll after these rows were seen."""
    asked = _ask(known.asked, sb_cfg, now)
    seen = {name: _see(known.seen.get(name), found, now) for name, found in chassis.items()}
    silent: dict[str, SilentChassis] = {}
    dues: list[float] = []
    for name, found in chassis.items():
        lacked = _lacked(asked, found.nb_cfg)
        if lacked is None:
            continue
        since = max(lacked.when, seen[name].when, key=lambda moment: moment.monotonic_s)
        if name in known.silent:
            silent[name] = known.silent[name]
        elif now.monotonic_s >= since.monotonic_s + bound_s:
            silent[name] = SilentChassis(
                name=_clean(name), hostname=_clean(found.hostname), lacks=lacked.nb_cfg, since=since.at
            )
        else:
            dues.append(since.monotonic_s + bound_s)
    lowest = min((found.nb_cfg for found in _living(silent, chassis)), default=sb_cfg)
    kept = tuple(number for number in asked[:-1] if number.nb_cfg > lowest)
    return Roll(asked=(*kept, asked[-1]), seen=seen, silent=silent, due_s=min(dues, default=None))


def renewed(known: Roll) -> Roll:
    """The roll after the chassis were out of sight: what they lack is counted from now on, what is silent stays so."""
    return Roll(seen=known.seen, silent=known.silent)


def reached(roll: Roll, chassis: Mapping[str, Chassis], sb_cfg: int, hv_cfg: int) -> int:
    """The nb_cfg that every chassis that lives has the flows of.

    Never less than `hv_cfg`, which is true of all chassis. If not one seems to live, the observer is doubted, or the
    bound is too short for what there is to do: then `hv_cfg` alone counts.
    """
    living = [found.nb_cfg for found in _living(roll.silent, chassis)]
    return max(hv_cfg, min(sb_cfg, *living)) if living else hv_cfg


def observed(
    before: Mapping[str, SilentChassis], now: Mapping[str, SilentChassis], chassis: Mapping[str, Chassis]
) -> ChassisObserved:
    """What to tell of those that are silent now, after telling of those that were before."""
    silent = _sorted(now.values())
    back = _sorted(entry for name, entry in before.items() if name not in now and name in chassis)
    return ChassisObserved(silent=silent[:_TOLD_MAX], back=back[:_TOLD_MAX], left_out=max(0, len(silent) - _TOLD_MAX))


def _ask(asked: tuple[Number, ...], sb_cfg: int, now: Moment) -> tuple[Number, ...]:
    newest = asked[-1].nb_cfg if asked else None
    if newest == sb_cfg:
        return asked
    if newest is None or sb_cfg < newest:
        return (Number(sb_cfg, now),)  # a database that was restored counts again from where it was
    return (*asked[: _ASKED_MAX - 1], Number(sb_cfg, now))


def _see(known: Number | None, found: Chassis, now: Moment) -> Number:
    """One that counts backwards is another one of the same name."""
    fresh = known is None or found.nb_cfg < known.nb_cfg
    return Number(found.nb_cfg, now if known is None or fresh else known.when)


def _lacked(asked: tuple[Number, ...], nb_cfg: int) -> Number | None:
    """The first number that a chassis with the flows of `nb_cfg` lacks."""
    index = bisect_right(asked, nb_cfg, key=lambda number: number.nb_cfg)
    return asked[index] if index < len(asked) else None


def _living(silent: Mapping[str, SilentChassis], chassis: Mapping[str, Chassis]) -> list[Chassis]:
    return [found for name, found in chassis.items() if name not in silent]


def _sorted(entries: Iterable[SilentChassis]) -> tuple[SilentChassis, ...]:
    return tuple(sorted(entries, key=lambda entry: (entry.name, entry.hostname)))


def _clean(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text[:_NAME_LENGTH_MAX])
