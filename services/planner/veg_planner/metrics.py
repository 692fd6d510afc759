"""What the planner counts."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

LEADING: Final = Gauge("veg_planner_leading", "1 while this planner leads")
POSITION: Final = Gauge("veg_planner_position", "Position of the newest event in the log")
LAG: Final = Gauge("veg_planner_lag_messages", "Messages on the bus that are not in the log yet")
EVENTS: Final = Counter("veg_planner_events_total", "Events appended to the log")
COMMANDS: Final = Counter("veg_planner_commands_total", "Commands decided")
REJECTED: Final = Counter("veg_planner_rejected_total", "Messages that could not be read")
BATCH_SIZE: Final = Histogram("veg_planner_batch_size", "Messages per batch", buckets=(1, 2, 5, 10, 20, 50, 100, 200))
BATCH_SECONDS: Final = Histogram("veg_planner_batch_seconds", "Seconds per batch, from the first message to the relay")
