"""Making sockets in other network namespaces."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def open_in(namespace: str) -> Iterator[None]:
    """What is opened within belongs to the namespace, and stays there."""
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    other = os.open(Path("/run/netns") / namespace, os.O_RDONLY)
    try:
        _enter(other)
        yield
    finally:
        _enter(own)
        os.close(own)
        os.close(other)


def _enter(descriptor: int) -> None:
    if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
