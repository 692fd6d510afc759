"""What `gw-agent init` does. Imports little: nothing in a pod starts before it ends."""

import sys
from pathlib import Path

from veg_gw_agent.ensure import prepare
from veg_gw_agent.privileged.errors import KernelError
from veg_gw_agent.settings import CONFIG_FILE, PROGRESS_FILE, READINESS_FILE


def init(state_dir: str, bfd_dir: str, internal_interface: str) -> int:
    """Prepare the pod's network namespace.

    It runs whenever the namespace is new. The two directories may be older than that: the config in the first one
    still holds, but it is not applied, and until it is no BFD session may come up, which would bring traffic.
    """
    try:
        for directory, file in ((state_dir, READINESS_FILE), (state_dir, PROGRESS_FILE), (bfd_dir, CONFIG_FILE)):
            Path(directory, file).unlink(missing_ok=True)
        changes = prepare(internal_interface)
    except (KernelError, OSError) as error:
        sys.stderr.write(f"gw-agent init: {error}\n")
        return 1
    for change in changes:
        sys.stdout.write(f"{change}\n")
    return 0
