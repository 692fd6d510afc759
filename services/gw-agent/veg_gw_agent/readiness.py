"""Whether a config is applied in this pod, by the state file. Imports little: the probe runs every few seconds."""

import json

# Not even `Final` and paths: their modules take a quarter of the time of the probe.
STATE_DIR = "/var/lib/gw-agent"
PROGRESS_FILE = "progress.json"


def check(state_dir: str) -> tuple[bool, str]:
    """Says whether, and a sentence why."""
    path = f"{state_dir}/{PROGRESS_FILE}"
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            progress = json.loads(file.read())
        generation = int(progress.get("applied", 0))
    except FileNotFoundError:
        return False, "no config was applied yet"
    except (OSError, ValueError, TypeError, AttributeError) as error:
        return False, f"{path}: {error}"
    if generation < 1:
        return False, f"no config was applied yet; generation {progress.get('generation')}: {progress.get('said')}"
    return True, f"generation {generation} is applied"
