import os
import shlex
import subprocess

import pytest

from veg_lab import priority
from veg_lab.priority import Permitted, Priority

ALL, NICE, NONE = (
    Permitted(real_time=True, first=True),
    Permitted(real_time=False, first=True),
    Permitted(real_time=False, first=False),
)


@pytest.mark.parametrize(
    ("may", "kernel", "system", "said"),
    [
        (ALL, "chrt --rr 1", "nice -n -10", ""),
        (NICE, "nice -n -15", "nice -n -10", "real-time scheduling is not permitted here"),
        (NONE, "", "", "neither real-time scheduling nor a negative nice value is permitted here"),
    ],
)
def test_what_is_not_permitted_is_left_out_and_said(may: Permitted, kernel: str, system: str, said: str) -> None:
    assert shlex.join(priority.words(priority.DAEMONS["ovn-controller"], may)) == kernel
    assert shlex.join(priority.words(priority.DAEMONS["ovn-nb"], may)) == system
    assert priority.missing(may).endswith(said)
    assert priority.words(Priority(), may) == []


def test_the_words_do_it() -> None:
    done = subprocess.run([*priority.words(Priority(-12)), "nice"], check=True, capture_output=True, text=True)
    assert int(done.stdout) == (-12 if priority.permitted().first else 0)


def test_all_threads_of_a_switch_are_on_one_core_one_after_the_other() -> None:
    cores = sorted(os.sched_getaffinity(0))
    for number in range(3):
        words = priority.datapath_words(number, ALL)
        assert words == ["taskset", "--cpu-list", str(cores[number % len(cores)]), "chrt", "--fifo", "1"]
    assert priority.datapath_words(0, NICE) == ["nice", "-n", "-15"]
