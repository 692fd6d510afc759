"""What bus-auth counts."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

ANSWERS: Final = Counter("veg_bus_auth_answers_total", "Questions of the bus by their answer", ["answer"])
MALFORMED: Final = Counter("veg_bus_auth_malformed_total", "Messages that are no question, and have no answer")
OPEN: Final = Gauge("veg_bus_auth_open", "Questions that are being answered")
SECONDS: Final = Histogram("veg_bus_auth_seconds", "Seconds from a question to its answer")
