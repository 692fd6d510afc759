"""What the planner counts."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from veg_planner.plan.bfd import PANIC
from veg_planner.state import Repairs
from veg_planner.times import later
from veg_planner.world import World

LEADING: Final = Gauge("veg_planner_leading", "1 while this planner leads")
POSITION: Final = Gauge("veg_planner_position", "Position of the newest event in the log")
LAG: Final = Gauge("veg_planner_lag_messages", "Messages on the bus that are not in the log yet")
EVENTS: Final = Counter("veg_planner_events_total", "Events appended to the log")
COMMANDS: Final = Counter("veg_planner_commands_total", "Commands decided")
REJECTED: Final = Counter("veg_planner_rejected_total", "Messages that could not be read")
BATCH_SIZE: Final = Histogram("veg_planner_batch_size", "Messages per batch", buckets=(1, 2, 5, 10, 20, 50, 100, 200))
BATCH_SECONDS: Final = Histogram("veg_planner_batch_seconds", "Seconds per batch, from the first message to the relay")
PANICKING: Final = Gauge("veg_planner_panicking_gateways", "Gateways in panic mode: no BFD session is up any more")
REPAIRED: Final = Gauge(
    "veg_planner_repairs_lately",
    f"How often others changed our rows in the last {Repairs.WINDOW_S} s, per gateway {Repairs.KEPT_MAX} at most",
    ["table"],
)


def look_at(world: World, at: str) -> None:
    """Set the gauges that say how things stand."""
    reports = filter(None, map(world.report, world.gateways()))
    PANICKING.set(sum(any(step.topic == PANIC for step in report.steps) for report in reports))
    since = later(at, -Repairs.WINDOW_S)
    REPAIRED.clear()
    for subject in world.repaired():
        for table, times in world.repairs(subject).times.items():
            REPAIRED.labels(table).inc(sum(time > since for time in times))
