"""When the chassis said in the southbound database that a BFD session is down."""

import threading
import time
from collections.abc import Collection
from typing import Any

from ovs import poller
from ovs.db import idl
from ovsdbapp.backend.ovs_idl import idlutils


class _Sessions(idl.Idl):  # type: ignore[misc]  # the library has no types
    """Table BFD; `downs` has the peer of each session that went down, and when (seconds since the epoch)."""

    def __init__(self, remote: str) -> None:
        helper = idlutils.get_schema_helper(remote, "OVN_Southbound")
        helper.register_columns("BFD", ["dst_ip", "status"])
        self.downs: list[tuple[float, str]] = []
        super().__init__(remote, helper)

    def notify(self, event: str, row: Any, updates: Any = None) -> None:
        if event == "update" and hasattr(updates, "status") and row.status == "down":
            self.downs.append((time.time(), row.dst_ip))


class Southbound:
    """Follows the database until the end of the process."""

    def __init__(self, remote: str) -> None:
        self._sessions = _Sessions(remote)
        threading.Thread(target=self._follow, daemon=True).start()

    def down(self, since: float, peers: Collection[str]) -> float | None:
        """When a session with one of these peers went down first since then."""
        return next((at for at, peer in self._sessions.downs if at >= since and peer in peers), None)

    def _follow(self) -> None:
        while True:
            self._sessions.run()
            waiting = poller.Poller()
            self._sessions.wait(waiting)
            waiting.block()
