"""What is told of sessions that are not written since their router port is not there."""

import pytest

from veg_contracts.intent import BfdSession, NbRows
from veg_ovn_writer import portless


def rows(*peers: str) -> NbRows:
    sessions = (
        BfdSession(family="4", logical_port="bfd@ports", dst_ip=peer, min_rx=1, min_tx=1, detect_mult=3)
        for peer in peers
    )
    return NbRows(router="ports", sessions=tuple(sessions))


def test_the_port_the_peer_and_the_reason_are_named() -> None:
    assert portless.message(rows("192.168.49.2"), {"bfd@ports": "does not exist"}) == (
        'router port "bfd@ports" does not exist: the BFD session with 192.168.49.2 is not written '
        "(ovn-northd would die of it)"
    )
    assert portless.message(rows("192.168.49.2"), {}) == ""


def test_of_many_peers_some_are_named() -> None:
    text = portless.message(rows(*(f"10.0.0.{number}" for number in range(10, 30))), {"bfd@ports": "does not exist"})
    assert "10.0.0.19 and 10 more are not written" in text
    assert "10.0.0.20" not in text


@pytest.mark.parametrize("mac", ["00:00:00:00:00:01", "0a:5B:0:1:2:f"])
def test_a_mac_address_that_ovn_reads(mac: str) -> None:
    assert portless.is_mac(mac)


@pytest.mark.parametrize("mac", ["", "garbage", "00:00:00:00:00", "00:00:00:00:00:01:02", "000:00:00:00:00:01"])
def test_a_mac_address_that_ovn_does_not_read(mac: str) -> None:
    assert not portless.is_mac(mac)
