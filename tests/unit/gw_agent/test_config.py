import json
from typing import Any

import pytest

from veg_gw_agent import config as configs

GOOD: dict[str, Any] = {
    "gateway": "default/gateway1",
    "gateway_uid": "u1",
    "generation": 3,
    "families": ["4", "6"],
    "sources": [{"cidr": "10.16.0.0/16", "snat": True}, {"cidr": "fd00:10:16::/112", "snat": False}],
    "routes": [{"destination": "10.17.0.0/16", "gateway": "10.16.0.1", "interface": "eth0"}],
}
ROUTE = GOOD["routes"][0]
BFD: dict[str, Any] = {"min_rx": 100, "min_tx": 100, "multiplier": 3, "peers": ["10.255.255.255", "fd00::1"]}


def test_a_good_one_is_read() -> None:
    assert configs.read(json.dumps(GOOD).encode()).generation == 3
    assert configs.read(json.dumps(GOOD | {"bfd": BFD}).encode()).bfd is not None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"generation": 0}, "generation: 0, must be at least 1"),
        ({"generation": "x"}, "$.generation"),
        ({"families": ["5"]}, "families[0]: '5', must be one of 4, 6"),
        ({"sources": [{"cidr": "10.16.0.0/16"}]}, "$.sources[0]"),
        (
            {"sources": [{"cidr": "10.16.0.5/16", "snat": True}]},
            "sources[0].cidr: '10.16.0.5/16' is not in its canonical",
        ),
        ({"sources": [{"cidr": "10.16.0.0/16\n-F", "snat": True}]}, "sources[0].cidr: '10.16.0.0/16\\n-F' is no CIDR"),
        ({"lingering": [{"cidr": "", "snat": True}]}, "lingering[0].cidr: '' is no CIDR"),
        ({"routes": [ROUTE | {"gateway": "nowhere"}]}, "routes[0].gateway: 'nowhere' is no address"),
        ({"routes": [ROUTE | {"gateway": "10.0.0.0/8"}]}, "routes[0].gateway: '10.0.0.0/8' is no address"),
        ({"routes": [ROUTE | {"gateway": "fd00::1"}]}, "routes[0].gateway: 'fd00::1' is not of the family"),
        ({"routes": [ROUTE | {"interface": ""}]}, "routes[0].interface: is empty"),
        ({"external_interface": ""}, "external_interface: '' is no name of an interface"),
        ({"external_interface": "net1\n-F"}, "external_interface: 'net1\\n-F' is no name of an interface"),
        ({"internal_interface": "eth+"}, "internal_interface: 'eth+' is no name of an interface"),
        ({"routes": [ROUTE, ROUTE]}, "routes[1]: the way to '10.17.0.0/16' via '10.16.0.1' is there twice"),
        ({"bfd": BFD | {"min_rx": 0}}, "bfd.min_rx: 0, must be from 1 to 4294967"),
        ({"bfd": BFD | {"min_tx": 2**32}}, "bfd.min_tx: 4294967296, must be from 1 to 4294967"),
        ({"bfd": BFD | {"multiplier": 256}}, "bfd.multiplier: 256, must be from 1 to 255"),
        ({"bfd": BFD | {"via": {"10.9.9.9": "169.254.1.1"}}}, "bfd.via: '10.9.9.9' is none of the peers"),
        ({"bfd": BFD | {"peers": ["fd00::1"], "via": {"fd00::1": "10.1.1.1"}}}, "bfd.via['fd00::1']: '10.1.1.1' is no"),
        ({"bfd": BFD | {"peers": ["fd00::1"], "via": {"fd00::1": "fd01::/64"}}}, "bfd.via['fd00::1']: 'fd01::/64' is"),
        ({"bfd": BFD | {"peers": ["10.0.0.0/8"]}}, "bfd.peers[0]: '10.0.0.0/8' is no address"),
        ({"bfd": BFD | {"peers": ["fd00::1", "fd00::1"]}}, "bfd.peers[1]: 'fd00::1' is there twice"),
    ],
)
def test_a_malformed_one_names_the_field(change: dict[str, Any], says: str) -> None:
    with pytest.raises(configs.MalformedConfigError) as caught:
        configs.read(json.dumps(GOOD | change).encode())
    assert says in str(caught.value)


@pytest.mark.parametrize("body", [b"", b"garbage", b"\xff\xfe", b"[]", b"[" * 100_000])
def test_garbage_is_malformed(body: bytes) -> None:
    with pytest.raises(configs.MalformedConfigError):
        configs.read(body)
