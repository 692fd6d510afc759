"""Traffic that must not break."""

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile

from support.clients import SERVER, inside
from support.lab import Lab


@contextmanager
def unbroken_ping(lab: Lab, client: str, *, at_least: int = 100) -> Iterator[None]:
    """The pod `namespace/name` pings the external server all the while, every 10 ms, and loses nothing.

    What is still under way when the ping is stopped is not lost: only a gap before an answer counts. `at_least` that
    many must have been answered, or nothing was seen at all.
    """
    words = inside(lab, client, "ping", "-i", "0.01", "-w", "600", SERVER)
    with TemporaryFile("w+") as output:
        process = subprocess.Popen(words, stdout=output)
        try:
            yield
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(20)
        output.seek(0)
        answered = {int(number) for number in re.findall(r"icmp_seq=(\d+) ttl=", output.read())}
    assert len(answered) >= at_least
    lost = set(range(1, max(answered) + 1)) - answered
    print(f"{len(lost)} of {max(answered)} pings lost: {sorted(lost)}")
    assert not lost
