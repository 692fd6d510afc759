"""Commands wait for the chassis, and are told once."""

from veg_contracts.commands import EnsureNb
from veg_contracts.envelope import Envelope
from veg_contracts.intent import NbRows
from veg_ovn_writer import confirm
from veg_ovn_writer.confirm import Pending


def order(number: int) -> Envelope:
    data = EnsureNb(gateway="a/a", gateway_uid="u", generation=number, rows=NbRows())
    return Envelope(id=str(number), source="s", type="t", subject="s", time="t", data=data)


def test_each_is_told_when_its_number_is_reached_or_passed() -> None:
    pending = Pending()
    for number in (1, 2, 3):
        pending.add(order(number), number * 10)
    assert pending.reached(9) == []
    assert pending.reached(25) == [(order(1), 10), (order(2), 20)]
    assert pending.reached(25) == []
    assert pending.reached(1000) == [(order(3), 30)]
    assert len(pending) == 0


def test_a_second_delivery_waits_in_place_of_the_first() -> None:
    pending = Pending()
    pending.add(order(1), 1)
    pending.add(order(1), 5)
    assert pending.reached(4) == []
    assert pending.reached(5) == [(order(1), 5)]


def test_the_oldest_go_when_nobody_confirms() -> None:
    pending = Pending()
    for number in range(confirm._PENDING_MAX + 2):
        pending.add(order(number), number)
    assert len(pending) == confirm._PENDING_MAX
    assert pending.reached(2) == [(order(2), 2)]
