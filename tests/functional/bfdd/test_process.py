"""Two speakers and what happens to processes: what they cost, stops, kills, lost addresses, the control socket."""

import json
import signal
import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from functional.bfdd.link import BIN, FAR, NEAR, PAIR, PAIR6, Events, Link, Peer, Speaker, until

from veg_bfdd import control
from veg_bfdd.packet import State

pytestmark = pytest.mark.timed

REVERSED = tuple((remote, local) for local, remote in (PAIR, PAIR6))
BOTH = (PAIR, PAIR6)
TIMES_OUT_S = 1.0  # 3 x 100 ms, and the rest for a busy machine; with the slow timers it would be 3 s


@pytest.fixture
def speakers(link: Link) -> list[Speaker]:
    """One at each end, with a session of each family that is up."""
    speakers = [link.speaker(NEAR, *BOTH), link.speaker(FAR, *REVERSED)]
    for speaker in speakers:
        speaker.until_up()
    return speakers


def cpu_s(process: subprocess.Popen[bytes]) -> float:
    return int(Path(f"/proc/{process.pid}/schedstat").read_text().split()[0]) / 1e9


def memory_mb(process: subprocess.Popen[bytes]) -> float:
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


@pytest.mark.slow
def test_at_100_ms_it_needs_less_than_2_percent_of_a_core_and_25_mb(speakers: list[Speaker]) -> None:
    before = [cpu_s(speaker.process) for speaker in speakers]
    time.sleep(12)
    for speaker, used in zip(speakers, before, strict=True):
        percent, memory = (cpu_s(speaker.process) - used) / 12 * 100, memory_mb(speaker.process)
        print(f"two sessions at 100 ms: {percent:.2f} % of a core, {memory:.1f} MB at most")
        assert percent < 2
        assert memory < 25
        assert speaker.changes()[-1][1] == "Up"
        assert [change[1] for change in speaker.changes()].count("Up") == 2


@pytest.mark.parametrize("stop_s", [1.0, 5.0])
def test_a_stopped_speaker_is_lost_in_time_and_returns(speakers: list[Speaker], stop_s: float) -> None:
    stopped, other = speakers
    events = Events(other)
    assert [events.next()["state"], events.next()["state"]] == ["Up", "Up"]
    stopped.process.send_signal(signal.SIGSTOP)
    at = time.monotonic()
    assert [events.next()["state"], events.next()["state"]] == ["Down", "Down"]
    assert time.monotonic() - at < TIMES_OUT_S
    time.sleep(stop_s)
    stopped.process.send_signal(signal.SIGCONT)
    for speaker in speakers:
        speaker.until_up(3.0)
    time.sleep(1)
    assert [change[1] for change in stopped.changes()].count("Up") == 4  # each session came back once, and stayed
    events.close()


@pytest.mark.parametrize("number", [0, 1])
def test_a_killed_speaker_is_replaced(speakers: list[Speaker], number: int) -> None:
    killed, other = speakers[number], speakers[1 - number]
    killed.kill()
    assert (killed.directory / control.SOCKET).exists()
    until(lambda: set(other.states()) == {"Down"}, "the other end notices", TIMES_OUT_S)
    killed.start()
    for speaker in speakers:
        speaker.until_up(3.0)


def test_timers_change_on_live_sessions(speakers: list[Speaker]) -> None:
    near, far = speakers
    for ms in (1000, 100, 1000, 100):
        near.configure(*BOTH, ms=ms)
        far.configure(*REVERSED, ms=ms)
        time.sleep(3.5)
        for speaker in speakers:
            events = Events(speaker)
            for event in (events.next(), events.next()):
                assert (event["min_rx_ms"], event["min_tx_ms"], event["detect_ms"]) == (ms, ms, 3 * ms)
            events.close()
    for speaker in speakers:
        assert [change[1] for change in speaker.changes()].count("Down") == 2  # the first state of each


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_once_and_in_silence_also_as_the_first_process_of_a_container(
    link: Link, peer: Peer, number: signal.Signals
) -> None:
    speaker = Speaker(link, NEAR)
    speaker.configure(PAIR)
    command = ["unshare", "--pid", "--fork", "--kill-child", str(BIN / "bfdd"), "--dir", str(speaker.directory)]
    speaker.process = link.start(NEAR, *command, log=speaker.log)
    until(speaker.alive, "the speaker answers")
    peer.bring_up()
    children = Path(f"/proc/{speaker.process.pid}/task/{speaker.process.pid}/children").read_text().split()
    subprocess.run(["kill", f"-{number.name}", *children], check=True)
    assert speaker.process.wait(2.0) == 0
    assert {packet.state for packet in peer.hear_for(0.5)} <= {State.UP}


@pytest.mark.parametrize(("pair", "address"), [(PAIR, "10.9.0.1/24"), (PAIR6, "fd09::1/64")], ids=["ipv4", "ipv6"])
def test_an_address_that_comes_late_and_goes_and_comes_back(link: Link, pair: tuple[str, str], address: str) -> None:
    link.ip(NEAR, "address", "del", address, "dev", NEAR)
    near, far = link.speaker(NEAR, pair), link.speaker(FAR, (pair[1], pair[0]))
    time.sleep(0.6)
    assert near.states() == ["Down"]
    # Not `nodad`: an IPv6 address is tentative at first, and cannot be bound.
    link.ip(NEAR, "address", "add", address, "dev", NEAR)
    near.until_up()
    link.ip(NEAR, "address", "del", address, "dev", NEAR)
    until(lambda: near.states() == far.states() == ["Down"], "both notice")
    link.add(NEAR, address)
    near.until_up()
    far.until_up()


def test_packets_that_cannot_be_sent_are_no_reason_to_end(link: Link, speakers: list[Speaker]) -> None:
    near, far = speakers
    for breaks, mends in (
        (("ip", "link", "set", NEAR, "down"), ("ip", "link", "set", NEAR, "up")),
        (("ip", "route", "add", "blackhole", "10.9.0.2/32"), ("ip", "route", "del", "blackhole", "10.9.0.2/32")),
        (
            ("iptables", "-A", "OUTPUT", "-p", "udp", "--dport", "3784", "-j", "DROP"),
            ("iptables", "-F", "OUTPUT"),
        ),
    ):
        link.run(NEAR, *breaks)
        until(lambda: far.states()[0] == "Down", f"noticed: {breaks}")
        time.sleep(0.5)
        link.run(NEAR, *mends)
        if breaks[1] == "link":
            link.add(NEAR, "fd09::1/64")  # gone with the link
        near.until_up()
        far.until_up()
    reasons = " ".join(line["reason"] for line in near.said("trying again"))
    assert "Operation not permitted" in reasons
    assert len(near.said("trying again")) < 20  # each trouble is said once, not with each packet


# The config file.


def test_a_bad_file_is_said_and_the_last_good_one_stays(speaker: Speaker, up: Peer) -> None:
    speaker.write('{"min_rx_ms": 0}')
    until(lambda: speaker.said("config refused"), "it is said")
    assert "min_rx_ms: 0" in speaker.said("config refused")[0]["reason"]
    (speaker.directory / control.CONFIG).unlink()
    time.sleep(0.6)
    assert speaker.states() == ["Up"]
    assert len(speaker.said("config refused")) == 1
    speaker.configure(PAIR, PAIR6)
    until(lambda: len(speaker.states()) == 2, "the next good one is read")
    assert speaker.states() == ["Up", "Down"]
    assert up.hear().state is State.UP
    speaker.configure()
    until(lambda: speaker.status() == "There are 0 sessions:\n", "no session is left")


def test_without_a_file_it_waits_for_one(link: Link) -> None:
    speaker = Speaker(link, NEAR)
    speaker.start()
    assert speaker.status() == "There are 0 sessions:\n"
    speaker.configure(PAIR)
    until(lambda: speaker.states() == ["Down"], "the session is made", 1.0)


# The control socket.


def run_control(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([BIN / "bfdd-control", *arguments], capture_output=True, text=True, timeout=20, check=False)


def test_bfdd_control(speakers: list[Speaker]) -> None:
    where = ("--dir", str(speakers[0].directory))
    shown = run_control("status", *where)
    assert (shown.returncode, shown.stdout) == (
        0,
        control.status([(*PAIR, "Up"), (*PAIR6, "Up")]),
    )
    speakers[0].kill()
    failed = run_control("status", *where)
    assert failed.returncode == 1
    assert "is bfdd running?" in failed.stderr


def live(speaker: Speaker) -> tuple[int, str]:
    """The exit code of the liveness probe, and what it prints."""
    environment = {"VEG_BFD_DIR": str(speaker.directory)}
    done = subprocess.run([BIN / "bfdd-live"], env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_the_liveness_probe(speakers: list[Speaker]) -> None:
    speaker, beat = speakers[0], speakers[0].directory / control.BEAT
    until(lambda: live(speaker)[0] == 0, "it came round", 5.0)
    before = beat.read_text()
    until(lambda: beat.read_text() != before, "it comes round again", 5.0)
    speaker.kill()
    written = int(beat.read_text())
    for age, code in ((0, 0), (8, 0), (13, 1)):
        beat.write_text(f"{int(time.clock_gettime(time.CLOCK_BOOTTIME)) - age}\n")
        assert live(speaker)[0] == code, age
    beat.write_text("\n")
    assert live(speaker) == (1, f"bfdd-live: {beat} has no time in it: does bfdd run?\n")
    beat.unlink()
    assert live(speaker)[0] == 1
    assert written > 0


def test_both_programs_have_a_help_and_say_what_is_wrong() -> None:
    for program in ("bfdd", "bfdd-control"):
        shown = subprocess.run([BIN / program, "--help"], capture_output=True, text=True, timeout=20, check=True)
        assert "VEG_BFD_DIR" in shown.stdout
    failed = subprocess.run(
        [BIN / "bfdd", "--dir", "/nowhere"], capture_output=True, text=True, timeout=20, check=False
    )
    assert failed.returncode == 1
    assert failed.stderr == "bfdd: /nowhere/bfdd.sock: [Errno 2] No such file or directory\n"


def test_a_line_of_events_says_all_of_a_change(speakers: list[Speaker]) -> None:
    events = Events(speakers[0])
    event = events.next()
    assert event.pop("at").endswith("Z")
    assert event == {
        "local": "10.9.0.1",
        "remote": "10.9.0.2",
        "state": "Up",
        "previous": "",
        "diagnostic": "No Diagnostic",
        "remote_state": "Up",
        "min_rx_ms": 100,
        "min_tx_ms": 100,
        "detect_ms": 300,
    }
    events.close()


def dropped_at_last(client: socket.socket, data: bytes) -> bool:
    """Whether the speaker ends the connection of someone who sends this again and again, and reads nothing."""
    end = time.monotonic() + 20
    try:
        while time.monotonic() < end:
            client.sendall(data)
            time.sleep(0.0005)
    except ConnectionError:
        return True
    return False


def test_readers_that_do_not_read_and_clients_that_do_not_ask_hold_up_nothing(speakers: list[Speaker]) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(102)]
        for client in clients:
            client.connect(str(speakers[0].directory / control.SOCKET))
        until(speakers[0].alive, "it answers beside a hundred clients that ask nothing")
        assert dropped_at_last(clients[-1], b"events\n")
        assert dropped_at_last(clients[-2], b"x" * 1000)
        assert len(list(Path(f"/proc/{speakers[0].process.pid}/fd").iterdir())) < 100
    assert [change[1] for change in speakers[0].changes()].count("Up") == 2
    assert memory_mb(speakers[0].process) < 25


def test_a_file_that_is_no_utf_8_and_an_unknown_request(speaker: Speaker) -> None:
    (speaker.directory / control.CONFIG).write_bytes(b"\xff\xfe")
    until(lambda: speaker.said("config refused"), "it is said")
    assert control.ask(speaker.directory / control.SOCKET, "what?") == "'what?' is not known: status or events\n"
    assert json.loads(speaker.log.read_text().splitlines()[0])["event"] == "starting"
