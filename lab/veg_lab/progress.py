"""Lines of progress: each with the time of day, and with the time that a step took."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


def say(message: str) -> None:
    """One line on stdout, at once (several threads may speak)."""
    sys.stdout.write(f"{time.strftime('%H:%M:%S')}  {message}\n")
    sys.stdout.flush()


@contextmanager
def step(message: str) -> Iterator[None]:
    """Say that something is done, and how long it took. A failure says nothing: its error does."""
    began = time.monotonic()
    yield
    say(f"{message} ({time.monotonic() - began:.1f} s)")
