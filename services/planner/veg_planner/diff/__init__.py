"""From one intent to the next: `advance` gives a draft its place in history, `commands` says what it takes. Pure.

Imports nothing from `fold`, `plan` (but the type of its result) or the shell.
"""

from veg_planner.diff.advance import advance
from veg_planner.diff.commands import Outgoing, commands

__all__ = ["Outgoing", "advance", "commands"]
