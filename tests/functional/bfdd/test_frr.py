"""Together with FRR's bfdd, which is strict where we are not: TTL 255, directly connected."""

import signal
import time
from functools import partial

import pytest
from functional.bfdd.frr import Frr
from functional.bfdd.link import NEAR, PAIR, PAIR6, Link, Speaker, until

pytestmark = pytest.mark.timed


@pytest.fixture
def frr(link: Link) -> Frr:
    frr = Frr(link)
    frr.start()
    return frr


@pytest.fixture
def ours(link: Link) -> Speaker:
    return link.speaker(NEAR, PAIR, PAIR6, ms=1000)


def until_up(frr: Frr, ours: Speaker) -> None:
    ours.until_up(10.0)
    until(lambda: frr.states() == ["up", "up"], "FRR's sessions are up", 10.0)


def hears(frr: Frr, ms: int) -> bool:
    return {peer["remote-transmit-interval"] for peer in frr.peers()} == {ms}


def count(ours: Speaker, state: str) -> int:
    return [change[1] for change in ours.changes()].count(state)


@pytest.mark.slow
def test_up_at_1_s_and_it_stays(frr: Frr, ours: Speaker) -> None:
    until_up(frr, ours)
    time.sleep(12)
    for peer in frr.peers():
        assert peer["status"] == "up"
        assert peer["uptime"] >= 11
        assert (peer["remote-receive-interval"], peer["remote-transmit-interval"]) == (1000, 1000)
        assert (peer["remote-detect-multiplier"], peer["diagnostic"]) == (3, "ok")
    assert count(ours, "Up") == 2
    assert ours.said("session")[-1]["detect_ms"] == 3000


@pytest.mark.slow
def test_timers_change_live_at_either_end(frr: Frr, ours: Speaker) -> None:
    until_up(frr, ours)
    for ms in (100, 1000):
        ours.configure(PAIR, PAIR6, ms=ms)
        until(partial(hears, frr, ms), "FRR has heard of it")
        time.sleep(4)
        frr.configure(ms)
        time.sleep(4)
        assert frr.states() == ["up", "up"]
        assert {peer["transmit-interval"] for peer in frr.peers()} == {ms}
    assert [count(ours, state) for state in ("Up", "Down")] == [2, 2]


@pytest.mark.slow
def test_either_end_is_stopped_and_restarted(frr: Frr, ours: Speaker) -> None:
    until_up(frr, ours)
    frr.process.send_signal(signal.SIGSTOP)
    stopped_at = time.monotonic()
    until(lambda: ours.states() == ["Down", "Down"], "we notice that FRR is silent")
    assert 1.9 < time.monotonic() - stopped_at < 4.5
    frr.process.send_signal(signal.SIGCONT)
    until_up(frr, ours)
    ours.process.send_signal(signal.SIGSTOP)
    until(lambda: frr.states() == ["down", "down"], "FRR notices that we are silent")
    ours.process.send_signal(signal.SIGCONT)
    until_up(frr, ours)
    frr.kill()
    until(lambda: ours.states() == ["Down", "Down"], "we notice that FRR is gone")
    frr.start()
    until_up(frr, ours)
    ours.kill()
    ours.start()
    until_up(frr, ours)
