"""The datapath of a node is ovs-vswitchd itself, which takes packets in between its other work.

A kernel datapath forwards while the daemon is busy with ports and flows. Here packets wait meanwhile, in the receive
buffer of a socket for each port, which by default (`net.core.rmem_default`, no namespace has one of its own) holds some
280 small packets: a gateway's share of 3,200 packets a second overflowed it in 90 ms.
"""

import ctypes
import errno
import os
import socket
from contextlib import suppress
from pathlib import Path

from veg_lab import process
from veg_lab.paths import Lab

RECEIVE_BYTES = 16 << 20
_PIDFD_GETFD = 438  # pidfd_getfd(2) and, of socket(7), SO_RCVBUFFORCE: Python 3.11 has no names for them
_SO_RCVBUFFORCE = 33
_libc = ctypes.CDLL(None, use_errno=True)


def deepen_receive_queues(lab: Lab, node: str) -> None:
    """Give every port that the node's ovs-vswitchd has open by now a buffer of `RECEIVE_BYTES`.

    Raises:
        OSError: that is forbidden here.
    """
    switch = process.running(lab, f"ovs-vswitchd-{node}")
    if switch is None:  # it starts again, and its ports with the next pod's
        return
    with suppress(ProcessLookupError, FileNotFoundError):  # it ends at this moment
        _deepen_all(switch.pid)


def _deepen_all(pid: int) -> None:
    owner = os.pidfd_open(pid)
    try:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            if _is_socket(entry):
                _deepen(owner, int(entry.name))
    finally:
        os.close(owner)


def _is_socket(entry: Path) -> bool:
    try:
        return str(entry.readlink()).startswith("socket:")
    except FileNotFoundError:  # closed meanwhile
        return False


def _deepen(owner: int, number: int) -> None:
    """Set it on the daemon's own socket, through a second descriptor."""
    descriptor: int = _libc.syscall(_PIDFD_GETFD, owner, number, 0)
    if descriptor < 0:
        error = ctypes.get_errno()
        if error == errno.EBADF:  # closed meanwhile
            return
        raise OSError(error, f"pidfd_getfd of descriptor {number} of ovs-vswitchd")
    with socket.socket(fileno=descriptor) as port:
        if port.family == socket.AF_PACKET:
            port.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BYTES)
