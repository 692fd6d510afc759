import pytest

from veg_kube_writer.verdict import Refusal, Verdict, judge


@pytest.mark.parametrize("code", [401, 429, 503])
def test_a_server_that_is_away_is_waited_for_without_end(code: int) -> None:
    assert judge(Refusal(code=code, message=""), 1_000_000) is Verdict.AGAIN


@pytest.mark.parametrize("code", [409, 500, 502, 504])
def test_what_may_pass_is_tried_a_few_times(code: int) -> None:
    verdicts = [judge(Refusal(code=code, message=""), tries) for tries in range(1, 31)]
    assert verdicts[:10] == [Verdict.AGAIN] * 10
    assert verdicts[-1] is Verdict.FAILED


@pytest.mark.parametrize("code", [400, 403, 404, 405, 413, 415, 422])
def test_what_trying_again_does_not_heal_fails_at_once(code: int) -> None:
    assert judge(Refusal(code=code, message=""), 1) is Verdict.FAILED
