"""`bfdd`: the BFD speaker as a process."""

import argparse
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from veg_bfdd import control
from veg_bfdd.daemon import Daemon


def main() -> None:
    """Speak BFD until a signal ends it; nothing is sent then. Exit code 1: the control socket could not be made."""
    parser = argparse.ArgumentParser(
        prog="bfdd",
        description="BFD speaker (RFC 5880, 5881): sessions as the config file says, which is read again when it "
        "changes. As long as there is no file there is no session.",
    )
    where = control.directory()
    parser.add_argument("--dir", type=Path, default=where, help="of bfd.json and bfdd.sock (VEG_BFD_DIR; %(default)s)")
    options = parser.parse_args()
    # The first process of a container ends by no signal that it does not handle.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    try:
        daemon = Daemon(options.dir)
    except OSError as error:
        sys.stderr.write(f"bfdd: {options.dir / control.SOCKET}: {error}\n")
        sys.exit(1)
    daemon.run()


def _end(_number: int, _frame: FrameType | None) -> None:
    os._exit(0)
