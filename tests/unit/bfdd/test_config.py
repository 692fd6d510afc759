import json
from typing import Any

import pytest

from veg_bfdd.config import Config, ConfigError, Pair, parse
from veg_bfdd.session import Timers

GOOD: dict[str, Any] = {
    "min_rx_ms": 100,
    "min_tx_ms": 200,
    "multiplier": 3,
    "sessions": [
        {"local": "192.168.0.3", "remote": "10.255.255.255"},
        {"local": "FD00:0:0::3", "remote": "fdff:0::1"},
    ],
}


def test_the_file_as_the_agent_writes_it() -> None:
    assert parse(json.dumps(GOOD)) == Config(
        Timers(min_rx=100_000, min_tx=200_000, multiplier=3),
        (Pair("192.168.0.3", "10.255.255.255"), Pair("fd00::3", "fdff::1")),
    )


def test_the_way_to_a_peer() -> None:
    relayed = {"local": "192.168.0.3", "remote": "10.255.255.255", "via": "169.254.37.84"}
    found = parse(json.dumps({**GOOD, "sessions": [relayed, GOOD["sessions"][1]]}))
    assert found.pairs == parse(json.dumps(GOOD)).pairs, "the session is the same"
    assert found.via == {Pair("192.168.0.3", "10.255.255.255"): "169.254.37.84"}


@pytest.mark.parametrize("via", ["", "x", "fd37::1", None])
def test_a_way_that_is_none_is_refused(via: Any) -> None:
    relayed = {"local": "192.168.0.3", "remote": "10.255.255.255", "via": via}
    with pytest.raises(ConfigError, match=r"sessions\[0\].via"):
        parse(json.dumps({**GOOD, "sessions": [relayed]}))


def test_no_sessions_and_the_same_one_twice() -> None:
    assert parse('{"min_rx_ms": 1, "min_tx_ms": 1, "multiplier": 1}').pairs == ()
    assert len(parse(json.dumps({**GOOD, "sessions": GOOD["sessions"] * 2})).pairs) == 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "no JSON"),
        (b"\xff\xfe{}", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        ("[]", "no JSON object"),
        ({**GOOD, "min_rx_ms": 0}, "min_rx_ms: 0: 1 to"),
        ({**GOOD, "min_tx_ms": 3_600_001}, "min_tx_ms"),
        ({**GOOD, "min_tx_ms": 1.5}, "min_tx_ms"),
        ({**GOOD, "multiplier": 256}, "multiplier"),
        ({**GOOD, "multiplier": True}, "multiplier"),
        ({**GOOD, "multiplier": None}, "multiplier"),
        ({**GOOD, "sessions": {}}, "sessions"),
        ({**GOOD, "sessions": [{}]}, r"sessions\[0\]"),
        ({**GOOD, "sessions": ["x"]}, r"sessions\[0\]"),
        ({**GOOD, "sessions": [{"local": "10.0.0.300", "remote": "10.0.0.1"}]}, r"sessions\[0\]"),
        ({**GOOD, "sessions": [{"local": "10.0.0.3", "remote": "fd00::1"}]}, "one family"),
    ],
)
def test_a_bad_file_is_refused_with_the_field(text: Any, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        parse(text if isinstance(text, str | bytes) else json.dumps(text))
