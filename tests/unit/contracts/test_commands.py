import typing

import pytest
from support.simulation import created

from veg_contracts.commands import _PARTS, COMMAND_TYPES, KUBE_EVENT, MEMBERS, AnyCommand, part_of
from veg_contracts.intent import Part


@pytest.mark.parametrize("kind", COMMAND_TYPES.values())
def test_the_part_of_every_command_is_known(kind: type[AnyCommand]) -> None:
    assert _PARTS[kind] in (*Part, MEMBERS, KUBE_EVENT)


def test_every_command_has_a_type() -> None:
    assert set(COMMAND_TYPES.values()) == set(typing.get_args(AnyCommand))


def test_every_command_but_a_kubernetes_event_is_of_the_part_that_was_decided() -> None:
    for outgoing in created().sent:
        assert part_of(outgoing.data) == (outgoing.part.value if outgoing.part else KUBE_EVENT)
