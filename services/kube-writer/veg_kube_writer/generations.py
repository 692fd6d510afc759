"""What has been applied, so that an older command can be refused."""

from typing import Final

_ENTRIES_MAX: Final = 100_000  # three parts of some 30,000 gateways; 10 MB


class Generations:
    """The highest generation applied of each part of each gateway, by the gateway's uid.

    It is lost with the process. That is safe: the bus hands out commands in order, also across a restart.
    """

    def __init__(self, entries_max: int = _ENTRIES_MAX) -> None:
        self._applied: dict[tuple[str, str], int] = {}
        self._entries_max = entries_max

    def newest(self, gateway_uid: str, part: str) -> int:
        """0: nothing was applied that we know of."""
        return self._applied.get((gateway_uid, part), 0)

    def record(self, gateway_uid: str, part: str, generation: int) -> None:
        """The least recently applied one is forgotten when there are too many."""
        known = self._applied.pop((gateway_uid, part), 0)
        self._applied[gateway_uid, part] = max(known, generation)
        if len(self._applied) > self._entries_max:
            del self._applied[next(iter(self._applied))]
