"""How far the watcher is with each kind, as its readiness. Pure but for the health it reports to."""

from collections.abc import Iterable

from veg_runtime.service import Health
from veg_watcher.kinds import Kind


class Progress:
    """Ready once every kind has been listed or found not to be installed; from then on, for good.

    A lost API server does not make the watcher unready: it goes on by itself, and nobody is sent elsewhere.
    """

    def __init__(self, health: Health, kinds: Iterable[Kind]) -> None:
        self._health = health
        self._waiting = {kind.name for kind in kinds}
        self._absent: set[str] = set()
        self._tell()

    def listed(self, kind: Kind) -> None:
        self._waiting.discard(kind.name)
        self._absent.discard(kind.name)
        self._tell()

    def absent(self, kind: Kind) -> None:
        self._waiting.discard(kind.name)
        self._absent.add(kind.name)
        self._tell()

    def _tell(self) -> None:
        waiting = ", ".join(sorted(self._waiting))
        detail = f"waits for the first list of {waiting}" if waiting else "watching"
        if self._absent:
            detail += f"; not installed: {', '.join(sorted(self._absent))}"
        self._health.set(not self._waiting, detail)
