import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from veg_lab import process
from veg_lab.lock import exclusive
from veg_lab.paths import Lab

HOLDER = """
import sys, time
from pathlib import Path
from veg_lab.lock import exclusive
from veg_lab.paths import Lab

with exclusive(Lab("unit", Path(sys.argv[1]), Path(sys.argv[2]))):
    print("held", flush=True)
    time.sleep(float(sys.argv[3]))
    print("left", flush=True)
"""


@contextmanager
def held_elsewhere(lab: Lab, for_s: float) -> Iterator["subprocess.Popen[str]"]:
    argv = [sys.executable, "-c", HOLDER, str(lab.cache), str(lab.root), str(for_s)]
    holder = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == "held\n"
        yield holder
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()


def test_a_second_command_waits_for_the_first(lab: Lab) -> None:
    with held_elsewhere(lab, 0.3) as holder, exclusive(lab):
        assert holder.stdout is not None
        os.set_blocking(holder.stdout.fileno(), False)
        assert holder.stdout.read() == "left\n"


def test_down_ends_a_start_that_goes_on(lab: Lab) -> None:
    with held_elsewhere(lab, 60) as holder, exclusive(lab, end_holder=True):
        assert holder.wait(timeout=5) != 0


def test_the_holder_is_recorded(lab: Lab) -> None:
    with exclusive(lab):
        assert process.running(lab, "lab-command") is not None
