"""How far the chassis have come, and what is news of them, each time that somebody looks. No I/O: others look."""

from collections.abc import Mapping
from dataclasses import dataclass

from veg_contracts.events import ChassisObserved, SilentChassis
from veg_ovn_writer import chassis, metrics
from veg_ovn_writer.chassis import Chassis, Moment, Roll, View
from veg_runtime import logs

log = logs.get("chassis")


@dataclass(frozen=True, slots=True)
class Counters:
    """NB_Global's numbers. `epoch` is that of the copy of the Northbound database."""

    epoch: int
    sb_cfg: int
    hv_cfg: int


class ChassisWatch:
    """What one writer knows of the chassis while it serves.

    A writer that begins to serve knows no silent ones, and tells nothing until the bound has passed once: what the one
    before it told stays true until then, and nobody's status says that a dead chassis is back for five seconds.
    """

    def __init__(self, silent_after_s: float, *, follows: bool) -> None:
        self._bound_s = silent_after_s
        self._follows = follows  # whether there is a Southbound database to look at
        self._epochs: tuple[int, int] = (0, 0)  # of the copies of the Northbound and the Southbound database
        self._roll = Roll()
        self._told: Mapping[str, SilentChassis] | None = None  # those that are silent, by name
        self._tells_from_s = 0.0
        self.due_s: float | None = None
        """The monotonic time at which to look again if nothing happens before."""

    def look(self, view: View | None, counters: Counters, now: Moment) -> tuple[int, ChassisObserved | None]:
        """The nb_cfg that counts as programmed now, and what is news, if anything."""
        if counters.epoch != self._epochs[0]:
            self._epochs, self._roll, self._told = (counters.epoch, 0), Roll(), None
        if view is None:
            self.due_s = None
            return counters.hv_cfg, self._news({}, {}) if not self._follows else None
        if view.epoch != self._epochs[1]:
            self._epochs, self._roll = (counters.epoch, view.epoch), chassis.renewed(self._roll)
            self._tells_from_s = now.monotonic_s + self._bound_s
        self._roll = chassis.look(self._roll, view.chassis, counters.sb_cfg, now, self._bound_s)
        self.due_s = self._roll.due_s
        metrics.SILENT.set(len(self._roll.silent))
        level = chassis.reached(self._roll, view.chassis, counters.sb_cfg, counters.hv_cfg)
        if self._told is None and now.monotonic_s < self._tells_from_s:
            self.due_s = self._tells_from_s if self.due_s is None else min(self._tells_from_s, self.due_s)
            return level, None
        return level, self._news(self._roll.silent, view.chassis)

    def _news(self, silent: Mapping[str, SilentChassis], seen: Mapping[str, Chassis]) -> ChassisObserved | None:
        if self._told is not None and silent.keys() == self._told.keys():
            return None
        before = self._told or {}
        event, self._told = chassis.observed(before, silent, seen), silent
        fresh = [entry for name, entry in silent.items() if name not in before]
        if fresh:
            names = [entry.name for entry in event.silent]
            log.warning("chassis silent: rows count as programmed without", chassis=names, number=len(silent))
        if event.back:
            log.info("chassis back", chassis=[entry.name for entry in event.back])
        return event
