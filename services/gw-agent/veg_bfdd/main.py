"""`bfdd`: the BFD speaker as a process."""

import argparse
from pathlib import Path

from veg_bfdd import control
from veg_bfdd.daemon import Daemon


def main() -> None:
    """Speak BFD until a signal ends it; nothing is sent then."""
    parser = argparse.ArgumentParser(
        prog="bfdd",
        description="BFD speaker (RFC 5880, 5881): sessions as the config file says, which is read again when it "
        "changes. As long as there is no file there is no session.",
    )
    where = control.directory()
    parser.add_argument("--dir", type=Path, default=where, help="of bfd.json and bfdd.sock (VEG_BFD_DIR; %(default)s)")
    Daemon(parser.parse_args().dir).run()
