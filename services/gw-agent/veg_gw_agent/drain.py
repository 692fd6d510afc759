"""The sign that no chassis sends this pod anything any more: the containers' hook `gw-drain` waits for it."""

from pathlib import Path
from typing import Final

RELEASED_FILE: Final = "released"


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
