"""Commands that wait until every chassis that lives has the flows of their nb_cfg (`chassis.reached`). Pure.

Nothing here outlives the process, and nothing is lost by that. What a killed writer had not confirmed, the planner
knows as applied but not programmed; the writer that comes next tells which gateways own rows (RowsListed), and the
planner answers with the commands that lack a confirmation. They change nothing, and wait here again.
"""

from typing import Final

from veg_contracts.envelope import Envelope

# With no chassis answering, commands pile up. The oldest go first: a newer one of the same gateway says more.
_PENDING_MAX: Final = 10_000


class Pending:
    """Commands and the nb_cfg each waits for."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[Envelope, int]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, command: Envelope, nb_cfg: int) -> None:
        """Wait for `nb_cfg`; an earlier delivery of the same command is forgotten."""
        self._waiting.pop(command.id, None)
        self._waiting[command.id] = (command, nb_cfg)
        while len(self._waiting) > _PENDING_MAX:
            del self._waiting[next(iter(self._waiting))]

    def reached(self, level: int) -> list[tuple[Envelope, int]]:
        """The commands that the chassis have now, in the order in which they were applied. They wait no more."""
        due = [entry for entry in self._waiting.values() if entry[1] <= level]
        for command, _ in due:
            del self._waiting[command.id]
        return due
