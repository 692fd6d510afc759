import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from veg_lab import process
from veg_lab.paths import Lab

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(60)
"""


@contextmanager
def spawned(lab: Lab, name: str, *argv: str) -> Iterator["subprocess.Popen[bytes]"]:
    child = subprocess.Popen(process.recorded(lab, name, argv), stdout=subprocess.PIPE)
    try:
        yield child
    finally:
        child.kill()
        child.wait()
        assert child.stdout is not None
        child.stdout.close()


def wait_recorded(lab: Lab, name: str) -> None:
    while process.running(lab, name) is None:
        time.sleep(0.01)


def test_a_program_name_may_hold_blanks_and_parentheses() -> None:
    line = "42 (a) b (c)) S 7 " + " ".join(str(number) for number in range(5, 53))
    assert process.parse_stat(line) == process.Stat(pid=42, state="S", parent=7, start_ticks=22)


def test_the_pid_file_names_the_command_itself(lab: Lab) -> None:
    with spawned(lab, "sleeper", "sleep", "60") as child:
        wait_recorded(lab, "sleeper")
        running = process.running(lab, "sleeper")
        assert running is not None
        assert running.pid == child.pid


def test_a_stranger_with_the_same_id_is_not_taken_for_ours(lab: Lab) -> None:
    with spawned(lab, "sleeper", "sleep", "60") as stranger:
        wait_recorded(lab, "sleeper")
        record = process.pid_file(lab, "sleeper")
        stat = process.read_stat(record)
        assert stat is not None
        record.write_text(record.read_text().replace(str(stat.start_ticks), str(stat.start_ticks - 1)))
        assert process.end(lab, "sleeper", signal.SIGKILL) is False
        assert stranger.poll() is None


def test_a_zombie_does_not_run(lab: Lab) -> None:
    with spawned(lab, "short", "true") as child:
        assert child.stdout is not None
        child.stdout.read()  # its end is seen, its parent has not collected it
        assert process.wait_end(process.pid_file(lab, "short"), 5)


def test_a_half_written_pid_file_is_no_process(lab: Lab) -> None:
    record = process.pid_file(lab, "half")
    record.parent.mkdir(parents=True)
    record.write_text("12 (sh) S")
    assert process.running(lab, "half") is None


@pytest.mark.parametrize("name", ["absent", "half"])
def test_what_does_not_run_is_ended_already(lab: Lab, name: str) -> None:
    assert process.end(lab, name, signal.SIGTERM) is False


def test_what_ignores_the_first_signal_is_killed(lab: Lab) -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
    )
    with spawned(lab, "stubborn", sys.executable, "-c", stubborn) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert process.end(lab, "stubborn", signal.SIGTERM, grace_s=0.1) is True
        assert child.wait() == -signal.SIGKILL


def test_the_log_tail_is_short(lab: Lab) -> None:
    lab.log("daemon").parent.mkdir(parents=True)
    lab.log("daemon").write_text("\n".join(f"line {number} {'x' * 1000}" for number in range(100)))
    tail = process.log_tail(lab, "daemon").splitlines()
    assert len(tail) == 15
    assert tail[-1].startswith("  | line 99 ")
    assert max(map(len, tail)) < 410
