"""Whether a config is applied in this pod, by the state file. Imports little: the probe runs every few seconds."""

import json
from pathlib import Path
from typing import Final

STATE_DIR: Final = "/var/lib/gw-agent"
PROGRESS_FILE: Final = "progress.json"


def check(state_dir: str) -> tuple[bool, str]:
    """Says whether, and a sentence why."""
    path = Path(state_dir) / PROGRESS_FILE
    try:
        progress = json.loads(path.read_bytes())
        generation = int(progress.get("applied", 0))
    except FileNotFoundError:
        return False, "no config was applied yet"
    except (OSError, ValueError, TypeError, AttributeError) as error:
        return False, f"{path}: {error}"
    if generation < 1:
        return False, f"no config was applied yet; generation {progress.get('generation')}: {progress.get('said')}"
    return True, f"generation {generation} is applied"
