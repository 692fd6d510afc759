"""Waiting until no chassis sends this pod anything any more: what the containers of a pod do before they stop.

Imports little: two containers of each pod run it at the moment when it is deleted.
"""

import time
from pathlib import Path
from typing import Final

SHARED_DIR: Final = "/run/veg-bfd"
RELEASED_FILE: Final = "released"
_LOOK_S: Final = 0.1
# Packets that were on their way when the flows went.
_UNDER_WAY_S: Final = 0.5


def show(directory: str, released: bool) -> None:
    """Let the sign that this pod is released be there, or not. Where there is no such directory nobody waits for it.

    Raises:
        OSError: it cannot be written or removed.
    """
    file = Path(directory) / RELEASED_FILE
    if not released:
        file.unlink(missing_ok=True)
    elif file.parent.is_dir():
        file.touch()


def wait(directory: str, timeout_s: float) -> str:
    """Wait until the agent says that the pod is released; what came of it, as a sentence."""
    file, started = Path(directory) / RELEASED_FILE, time.monotonic()
    while not file.exists():
        if time.monotonic() - started >= timeout_s:
            return f"not released within {timeout_s:g} s: stopping all the same"
        time.sleep(_LOOK_S)
    time.sleep(_UNDER_WAY_S)
    return f"released after {time.monotonic() - started - _UNDER_WAY_S:.1f} s"
