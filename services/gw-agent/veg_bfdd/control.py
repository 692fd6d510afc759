"""`bfdd-control`: what the speaker's sessions are doing, as the document prints it."""

import argparse
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

CONFIG: Final = "bfd.json"
BEAT: Final = "bfdd.beat"  # what the probe `bfdd-live` reads
SOCKET: Final = "bfdd.sock"
DIRECTORY: Final = "/run/veg-bfd"
_TIMEOUT_S: Final = 5.0


def directory() -> Path:
    """Where the config and the control socket are."""
    return Path(os.environ.get("VEG_BFD_DIR") or DIRECTORY)


def status(sessions: Sequence[tuple[str, str, str]]) -> str:
    """The text for sessions of local and remote address and state. "(p)": the speaker waits for no one to begin."""
    lines = [f"There are {len(sessions)} sessions:"]
    for number, (local, remote, state) in enumerate(sessions, 1):
        lines += [f"Session {number}", f" id={number} local={local} (p) remote={remote} state={state}"]
    return "\n".join(lines) + "\n"


def ask(where: Path, request: str) -> str:
    """The whole answer to one request.

    Raises:
        OSError: the speaker is not there, or does not answer.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(_TIMEOUT_S)
        client.connect(str(where))
        client.sendall(f"{request}\n".encode())
        parts = []
        while part := client.recv(4096):
            parts.append(part)
    return b"".join(parts).decode()


def main() -> None:
    """Print the status. Exit code 1: the speaker does not answer."""
    parser = argparse.ArgumentParser(prog="bfdd-control", description="Ask the BFD speaker of this gateway pod.")
    parser.add_argument("command", choices=("status",), help="print all sessions")
    parser.add_argument("--dir", type=Path, default=directory(), help="where bfdd.sock is (VEG_BFD_DIR; %(default)s)")
    options = parser.parse_args()
    try:
        answer = ask(options.dir / SOCKET, options.command)
    except OSError as error:
        sys.stderr.write(f"bfdd-control: {options.dir / SOCKET}: {error}: is bfdd running?\n")
        sys.exit(1)
    sys.stdout.write(answer)
