"""Which generations are carried out."""

from veg_contracts.commands import EnsureNb
from veg_contracts.intent import NbRows
from veg_ovn_writer.handler import Generations


def order(generation: int, uid: str = "u", router: str = "r") -> EnsureNb:
    return EnsureNb(gateway="a/a", gateway_uid=uid, generation=generation, rows=NbRows(router=router))


def test_lower_is_refused_equal_and_higher_are_not() -> None:
    generations = Generations()
    assert generations.newer_than(order(1)) is None
    generations.applied(order(5))
    assert generations.newer_than(order(4)) == 5
    assert generations.newer_than(order(5)) is None
    assert generations.newer_than(order(6)) is None


def test_a_gateway_created_again_begins_again() -> None:
    generations = Generations()
    generations.applied(order(5))
    assert generations.newer_than(order(1, uid="another")) is None


def test_a_deleted_gateway_is_remembered() -> None:
    generations = Generations()
    generations.applied(order(5, router=""))
    assert generations.newer_than(order(4)) == 5
