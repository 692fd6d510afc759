"""The numbers that this service exports."""

from prometheus_client import Counter, Gauge, Histogram

COMMANDS = Counter("veg_ovn_writer_commands_total", "Commands by what became of them", ["outcome"])
TRANSACT_S = Histogram("veg_ovn_writer_transact_seconds", "Time from a command's turn to the end of its transaction")
DRIFT = Counter(
    "veg_ovn_writer_drift_total", "Rows of ours that somebody else took away or changed", ["table", "change"]
)
PENDING = Gauge("veg_ovn_writer_pending", "Commands applied that not every chassis that lives has yet")
SILENT = Gauge("veg_ovn_writer_chassis_silent", "Chassis that are left out of confirmations: they lack flows for long")
SOUTHBOUND = Gauge(
    "veg_ovn_writer_southbound_followed", "1 while the chassis are followed; 0: hv_cfg alone says what is programmed"
)
PORTLESS = Counter("veg_ovn_writer_portless_total", "BFD rows of ours removed, since their router port was gone")
MEMBERS_DRIFT = Counter(
    "veg_ovn_writer_members_drift_total", "Port groups of ours in which somebody else changed ports"
)
SESSIONS = Counter("veg_ovn_writer_sessions_total", "Changes of BFD sessions by what they came to", ["status"])
