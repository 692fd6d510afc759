"""Traffic that must not break."""

import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import Final

from support.clients import SERVER, inside
from support.lab import Lab

_INTERVAL_S: Final = 0.01
UNDER_WAY_MAX: Final = 30  # that many may be under way when the ping is stopped, on a machine that stalls


@contextmanager
def unbroken_ping(lab: Lab, client: str, *, at_least: int = 100) -> Iterator[None]:
    """The pod `namespace/name` pings the external server all the while, every 10 ms, and loses nothing.

    What is still under way when the ping is stopped is not lost: only a gap before an answer counts. It goes on until
    there was time for `at_least` that many answers, and they must have come, or nothing was seen at all.
    """
    words = inside(lab, client, "ping", "-i", f"{_INTERVAL_S}", "-w", "600", SERVER)
    with TemporaryFile("w+") as output:
        process = subprocess.Popen(words, stdout=output)
        until = time.monotonic() + 4 * at_least * _INTERVAL_S  # some machines wake it after 16 ms, busy ones later
        try:
            yield
            time.sleep(max(0.0, until - time.monotonic()))
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(20)
        output.seek(0)
        said = output.read()
    answered = {int(number) for number in re.findall(r"icmp_seq=(\d+) ttl=", said)}
    (sent,) = (int(number) for number in re.findall(r"^(\d+) packets transmitted", said, re.MULTILINE))
    assert len(answered) >= at_least, f"only {len(answered)} answers, {words}"
    lost = set(range(1, max(answered) + 1)) - answered
    print(f"{len(lost)} of {max(answered)} pings lost: {sorted(lost)}")
    assert not lost
    assert sent - max(answered) <= UNDER_WAY_MAX, "an outage that did not end"
