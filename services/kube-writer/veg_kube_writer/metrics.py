"""What the kube-writer counts."""

from typing import Final

from prometheus_client import Counter, Histogram

COMMANDS: Final = Counter("veg_kube_writer_commands_total", "Commands by what became of them", ["part", "outcome"])
RETRIES: Final = Counter("veg_kube_writer_retries_total", "Commands left for another try", ["part"])
DROPPED: Final = Counter("veg_kube_writer_dropped_total", "Messages that could not be read")
SECONDS: Final = Histogram("veg_kube_writer_command_seconds", "Seconds per try of a command", ["part"])
