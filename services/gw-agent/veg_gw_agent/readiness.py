"""Whether a config is applied in this pod, as a line in a file: the probe `gw-ready` is a shell that reads it."""

from typing import Final

from veg_gw_agent.state import Progress

READY: Final = "ready"


def line(progress: Progress) -> str:
    """`ready` or another word, and a sentence."""
    if progress.applied > 0:
        return f"{READY} generation {progress.applied} is applied\n"
    said = " ".join(progress.said.split())
    return f"waiting no config was applied yet; generation {progress.generation}: {said}\n"
