"""What must be true whatever order events come in, however often, and wherever the planner was interrupted."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from support.simulation import GATEWAY, NETWORKS, SETTINGS, Simulation, created, gateway, pod

from veg_contracts import names
from veg_contracts.base import encode
from veg_contracts.events import ObjectChanged, PlannerConfigured
from veg_contracts.intent import Intent
from veg_contracts.objects import AnyProjection
from veg_planner.core import Entry, Removed, World, step


def whole_life() -> Simulation:
    simulation = created()
    simulation.create(replicas=2, generation=2)
    simulation.answer_all()
    simulation.start_pods(2)
    simulation.report_config(2)
    simulation.answer_all()
    simulation.create(policies=[{"snat": False, "ipBlocks": ["10.17.0.0/16"]}], generation=3)
    simulation.answer_all()
    simulation.report_config(2)
    simulation.answer_all()
    # A bad edit and a network that goes; a pod is replaced all the same.
    simulation.create(replicas=11, generation=4)
    simulation.see(pod(0, deleting=True))
    simulation.answer_all()
    simulation.lose(pod(0))
    simulation.lose(NETWORKS[-1])
    simulation.see(pod(0), "another-uid")
    simulation.answer_all()
    simulation.happen_config(GATEWAY, pod(0), "another-uid")
    simulation.answer_all()
    assert simulation.rows[GATEWAY].nexthops == {"10.16.0.12", "10.16.0.13"}
    simulation.see(gateway(deleting=True, finalizers=(names.FINALIZER,), generation=5))
    simulation.answer_all()
    simulation.lose(pod(0), "another-uid")
    simulation.lose(pod(1))
    simulation.answer_all()
    simulation.lose(gateway())
    return simulation


LIFE = whole_life()


def test_the_log_folded_again_gives_the_same_bytes() -> None:
    again = Simulation()
    for record in LIFE.log:
        again.replay(record)
    assert again.history() == LIFE.history()


@given(st.integers(min_value=0, max_value=len(LIFE.log)))
def test_a_planner_that_starts_again_anywhere_decides_the_same(cut: int) -> None:
    table: dict[tuple[str, str], Entry] = {}
    for outcome in LIFE.outcomes[:cut]:
        for entry in outcome.entries:
            if isinstance(entry, Removed):
                del table[entry.kind, entry.key]
            else:
                table[entry.kind, entry.key] = entry
    world = World.load(table.values())
    outcomes = [step(world, record) for record in LIFE.log[cut:]]
    assert encode([(o.intents, o.commands, o.entries) for o in outcomes]) == encode(
        [(o.intents, o.commands, o.entries) for o in LIFE.outcomes[cut:]]
    )


@given(st.data())
def test_every_event_twice_changes_nothing(data: st.DataObject) -> None:
    """The log drops doubles by id; a double that is no double by id (another watcher) does no harm either."""
    again = Simulation()
    for record in LIFE.log:
        again.happen(record.envelope.data, identity=record.envelope.id)
        if isinstance(record.envelope.data, ObjectChanged) and data.draw(st.booleans()):
            outcome = again.happen(record.envelope.data)
            assert outcome.intents == ()


def final(simulation: Simulation) -> Any:
    """The intent without its history."""
    intent: Intent = simulation.intent()
    status = simulation.status()
    conditions = tuple(
        msgspec.structs.replace(condition, last_transition_time="", last_update_time="")
        for condition in status.conditions
    )
    config = msgspec.structs.replace(intent.config, generation=0) if intent.config is not None else None
    return intent.nb, intent.workload, intent.finalizer, config, msgspec.structs.replace(status, conditions=conditions)


VERSIONS: list[AnyProjection] = [
    *NETWORKS,
    gateway(generation=1),
    gateway(generation=2, replicas=2),
    gateway(generation=3, replicas=2, policies=[{"snat": True, "ipBlocks": ["10.17.0.0/16"]}]),
    pod(0, phase="Pending"),
    pod(0),
    pod(1, phase="Pending", ips=()),
    pod(1),
]


@given(st.permutations(range(len(VERSIONS))), st.lists(st.integers(0, len(VERSIONS) - 1), max_size=8))
def test_late_and_repeated_objects_end_in_the_same_intent(order: list[int], repeated: list[int]) -> None:
    def deliver(sequence: list[int]) -> Simulation:
        simulation = Simulation()
        simulation.happen(PlannerConfigured(settings=SETTINGS))
        for index in sequence:
            projection = VERSIONS[index]
            uid = f"uid-{projection.KIND}-{projection.key}"
            simulation.happen(ObjectChanged(uid=uid, resource_version=1000 + index, object=projection))
        return simulation

    in_order = deliver(list(range(len(VERSIONS))))
    assert final(deliver([*order, *repeated])) == final(in_order)
    assert in_order.world.intent(GATEWAY) is not None
