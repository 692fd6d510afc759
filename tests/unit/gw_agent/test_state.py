import pytest

from veg_contracts.intent import PodConfig, Source
from veg_gw_agent.state import Held, Progress, Verdict, judge, retry_delay_s

GATEWAY, UID = "default/gateway1", "u1"


def config(generation: int, uid: str = UID, sources: tuple[Source, ...] = (), gateway: str = GATEWAY) -> PodConfig:
    return PodConfig(gateway=gateway, gateway_uid=uid, generation=generation, sources=sources)


HELD = Held(config=config(5))


@pytest.mark.parametrize(
    ("held", "offered", "verdict"),
    [
        (None, config(1), Verdict(take=True)),
        (HELD, config(6), Verdict(take=True)),
        (HELD, config(5), Verdict(take=False)),
        (HELD, config(5, sources=(Source(cidr="10.16.0.0/16", snat=True),)), Verdict(take=True)),
        (HELD, config(4), Verdict(take=False, reason="generation: 4 is older than 5")),
        (HELD, config(9, uid="u2"), Verdict(take=False, reason="gateway_uid: 'u2', this pod belongs to 'u1'")),
        (
            None,
            config(9, gateway="default/other"),
            Verdict(take=False, reason="gateway: 'default/other', this pod belongs to 'default/gateway1'"),
        ),
    ],
)
def test_judge(held: Held | None, offered: PodConfig, verdict: Verdict) -> None:
    assert judge(held, offered, GATEWAY, UID) == verdict


def test_a_restart_reports_the_same_under_the_same_id() -> None:
    first = Progress().succeeded(5)
    assert first.report_id == "5/applied"
    assert first.restarted().succeeded(5) == first


def test_success_again_is_no_news() -> None:
    progress = Progress().succeeded(5)
    assert progress.succeeded(5) == progress


def test_success_after_a_failure_has_an_id_of_its_own() -> None:
    failed = Progress().succeeded(5).failed(5, "no interface net1")
    assert failed.report_id == "5/failed/1"
    assert failed.succeeded(5).report_id == "5/applied/1"
    assert failed.restarted().succeeded(5).report_id == "5/applied/1"


def test_the_same_failure_is_reported_once_and_again_after_a_restart() -> None:
    failed = Progress().failed(5, "no interface net1")
    assert failed.failed(5, "no interface net1") == failed
    assert failed.failed(5, "no iptables").report_id == "5/failed/2"
    assert failed.restarted().failed(5, "no interface net1").report_id == "5/failed/2"


def test_a_failing_generation_leaves_the_applied_one() -> None:
    progress = Progress().succeeded(5).failed(6, "no iptables")
    assert (progress.applied, progress.generation) == (5, 6)
    assert progress.succeeded(6).applied == 6
    assert progress.succeeded(7).report_id == "7/applied"


def test_the_back_off_grows_and_is_bounded() -> None:
    assert [retry_delay_s(attempts) for attempts in (1, 2, 3, 6, 100)] == [1.0, 2.0, 4.0, 30.0, 30.0]
