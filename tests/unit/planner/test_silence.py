"""Chassis that are silent (CASES T16): the status names them, a gateway stays ready, and a replay says the same."""

import msgspec
import pytest
from support.simulation import GATEWAY, SETTINGS, Simulation, created, gateway

from veg_contracts import names
from veg_contracts.base import encode
from veg_contracts.commands import EnsureNb
from veg_contracts.events import ChassisObserved, PlannerConfigured, SilentChassis
from veg_planner.replay import replay
from veg_planner.state import SilentSet
from veg_planner.world import World

WORKER2 = SilentChassis(
    name="chassis-kube-ovn-worker2", hostname="kube-ovn-worker2", lacks=7, since="2026-01-01T14:03:05.123456Z"
)
SENTENCE = (
    "chassis kube-ovn-worker2 (chassis-kube-ovn-worker2) has not had flows of OVN since 2026-01-01 14:03:05 UTC; "
    "rows count as programmed without it"
)


def said(simulation: Simulation, key: str = GATEWAY) -> str:
    """What the condition says; empty without one."""
    found = [condition for condition in simulation.status(key).conditions if condition.type == "AllChassis"]
    assert all((condition.status, condition.reason) == ("False", "ChassisSilent") for condition in found)
    return found[0].message if found else ""


def see(simulation: Simulation, *silent: SilentChassis, left_out: int = 0) -> None:
    simulation.happen(ChassisObserved(silent=silent, left_out=left_out))
    simulation.answer_all()


def test_t16_a_silent_chassis_is_named_and_the_gateway_stays_ready() -> None:
    simulation = created()
    assert said(simulation) == ""
    orders = len(simulation.commands(EnsureNb))
    see(simulation, WORKER2)
    assert said(simulation) == SENTENCE
    assert simulation.status().ready
    assert simulation.message("Ready") == "1 pod serves"
    assert len(simulation.commands(EnsureNb)) == orders, "no row depends on it"
    simulation.happen(ChassisObserved(back=(WORKER2,)))
    simulation.answer_all()
    assert said(simulation) == ""
    assert simulation.status().ready


def test_t16_a_gateway_that_comes_later_says_it_too() -> None:
    simulation = created()
    see(simulation, WORKER2)
    simulation.restart()
    simulation.see(gateway(name="late"))
    simulation.answer_all()
    assert said(simulation, "default/late") == SENTENCE


def test_t16_it_is_said_while_a_gateway_waits_cannot_be_planned_or_goes() -> None:
    simulation = created()
    see(simulation, WORKER2)
    simulation.create(generation=2, policies="none")
    simulation.answer_all()
    assert said(simulation) == SENTENCE
    simulation.see(gateway(deleting=True, finalizers=(names.FINALIZER,), generation=3))
    simulation.answer_all(programmed=False)
    assert said(simulation) == SENTENCE


def test_t16_the_same_again_is_no_news_and_the_first_time_stays() -> None:
    simulation = created()
    see(simulation, WORKER2)
    later = msgspec.structs.replace(WORKER2, lacks=9, since="2026-01-01T15:00:00.000000Z")
    outcome = simulation.happen(ChassisObserved(silent=(later,)))
    assert (outcome.entries, outcome.intents, outcome.commands) == ((), (), ())
    assert said(simulation) == SENTENCE


@pytest.mark.parametrize(("number", "left_out"), [(4, 0), (250, 0), (3, 1), (250, 50)])
def test_t16_of_many_three_are_named_and_the_others_counted(number: int, left_out: int) -> None:
    simulation = created()
    silent = [msgspec.structs.replace(WORKER2, name=f"c{index:03}", hostname="") for index in range(number)]
    see(simulation, *silent, left_out=left_out)
    parts = said(simulation).split("; rows count as programmed without it")
    assert [part.removeprefix("; ").split(" has not")[0] for part in parts[:3]] == [f"chassis c00{i}" for i in range(3)]
    assert parts[3] == f"; nor have {number + left_out - 3} more chassis"
    assert len(simulation.world.silent_chassis.chassis) <= SilentSet.KEPT_MAX


def test_t16_before_there_is_anything_else_it_is_kept_for_later() -> None:
    simulation = Simulation()
    simulation.happen(ChassisObserved(silent=(WORKER2,)))
    simulation.happen(PlannerConfigured(settings=SETTINGS))
    assert simulation.world.silent_chassis == SilentSet(chassis=(WORKER2,))
    simulation.happen(ChassisObserved())
    assert simulation.world.silent_chassis == SilentSet()


def test_t16_a_replay_decides_the_same() -> None:
    simulation = created(2)
    see(simulation, WORKER2)
    simulation.create(replicas=3, generation=2)
    simulation.answer_all(programmed=False)
    simulation.happen(ChassisObserved(back=(WORKER2,)))
    simulation.answer_all()
    intents, commands = replay(simulation.log)
    assert encode(intents) == encode([intent for outcome in simulation.outcomes for intent in outcome.intents])
    assert encode(commands) == encode([outgoing.data for outgoing in simulation.sent])
    assert World.load([]).silent_chassis == SilentSet()
