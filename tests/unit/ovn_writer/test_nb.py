"""What a server's error means for the command."""

import pytest

from veg_ovn_writer.errors import CannotApplyError, NotNowError
from veg_ovn_writer.nb import _refusal


def test_the_servers_words_are_kept() -> None:
    refusal = _refusal('{"details":"40000 is not in the valid range","error":"constraint violation"}')
    assert isinstance(refusal, CannotApplyError)
    assert str(refusal) == "constraint violation: 40000 is not in the valid range"


@pytest.mark.parametrize(
    "text", ['{"error":"I/O error"}', "no error details available", "[]", '{"details":"x"}', "null"]
)
def test_what_says_nothing_about_the_request_may_succeed_later(text: str) -> None:
    assert isinstance(_refusal(text), NotNowError)
