"""What somebody else changed is noticed and set right; what nobody owns is taken away."""

import msgspec
import pytest
from support.simulation import GATEWAY, SETTINGS, Simulation, created, gateway, pod

from veg_contracts import names
from veg_contracts.commands import EnsureNb, EnsureWorkload, PublishConfig, RemoveWorkload
from veg_contracts.events import (
    CommandFailed,
    CommandRefused,
    ConfigApplied,
    KindListed,
    PlannerConfigured,
    RowsListed,
    RowsObserved,
    StreamsCreated,
    Ticked,
)
from veg_contracts.intent import NbRows, Part, RoutePolicy

FOREIGN = NbRows(
    router="ovn-cluster",
    policies=(RoutePolicy(family="4", priority=29100, match="ip4.src == 10.9.0.0/16", action="drop"),),
)


def test_changed_rows_are_sent_again_with_the_same_generation() -> None:
    simulation = created()
    generation = simulation.intent().generations.nb

    simulation.happen(RowsObserved(gateway=GATEWAY, reason="drift", before=(simulation.rows[GATEWAY],), after=()))

    (command,) = [outgoing.data for outgoing in simulation.pending if isinstance(outgoing.data, EnsureNb)]
    assert command.generation == generation
    assert command.rows == simulation.rows[GATEWAY]
    simulation.answer_all()
    assert simulation.status().ready


def test_an_observation_of_what_is_wanted_sends_nothing() -> None:
    simulation = created()
    simulation.happen(RowsObserved(gateway=GATEWAY, reason="resync", after=(simulation.rows[GATEWAY],)))
    simulation.happen(RowsListed(gateways=(GATEWAY,)))
    assert simulation.pending == []


def test_missing_rows_are_sent_again_after_a_listing() -> None:
    simulation = created()
    simulation.happen(RowsListed(gateways=()))
    assert [outgoing.part for outgoing in simulation.pending if outgoing.part is Part.NB] == [Part.NB]


def test_rows_that_were_never_confirmed_are_sent_again_after_a_listing() -> None:
    simulation = Simulation()
    simulation.prepare()
    simulation.create()
    simulation.answer_all()
    simulation.start_pods(1)
    simulation.report_config(1)
    simulation.answer_all(programmed=False)

    simulation.happen(RowsListed(gateways=(GATEWAY,)))
    simulation.answer_all()

    assert simulation.status().ready


def test_rows_of_a_gateway_that_does_not_exist_are_removed_but_only_once_that_is_known() -> None:
    simulation = Simulation()
    simulation.happen(PlannerConfigured(settings=SETTINGS))
    simulation.happen(RowsObserved(gateway="default/old", reason="resync", after=(FOREIGN,)))
    assert simulation.pending == [], "its events may still be on their way"

    simulation.happen(KindListed(kind="VpcEgressGateway", resource_version=500, part=0, parts=1, uids=()))

    (outgoing,) = simulation.pending
    assert isinstance(outgoing.data, EnsureNb)
    assert (outgoing.data.gateway, outgoing.data.rows) == ("default/old", NbRows())


def test_rows_of_a_gateway_whose_events_come_late_are_kept() -> None:
    simulation = Simulation()
    simulation.happen(PlannerConfigured(settings=SETTINGS))
    simulation.happen(RowsObserved(gateway=GATEWAY, reason="resync", after=(FOREIGN,)))
    simulation.create()
    uids = ("uid-VpcEgressGateway-default/gateway1",)
    simulation.happen(KindListed(kind="VpcEgressGateway", resource_version=500, part=0, parts=1, uids=uids))
    assert not any(isinstance(outgoing.data, EnsureNb) for outgoing in simulation.pending)


def test_a_deployment_that_was_deleted_or_edited_is_applied_again() -> None:
    simulation = created()
    before = len(simulation.commands(EnsureWorkload))
    uid, deployment = simulation.deployments[GATEWAY]

    simulation.see(msgspec.structs.replace(deployment, generation=deployment.generation + 1, replicas_wanted=5), uid)
    assert len(simulation.commands(EnsureWorkload)) == before + 1
    simulation.answer_all()
    uid, deployment = simulation.deployments[GATEWAY]
    simulation.lose(deployment, uid)
    assert len(simulation.commands(EnsureWorkload)) == before + 2


def test_a_finalizer_that_was_taken_away_is_put_back() -> None:
    simulation = created()
    simulation.see(gateway(finalizers=(names.FINALIZER,)))
    simulation.see(gateway(finalizers=()))
    assert [outgoing.part for outgoing in simulation.pending] == [Part.FINALIZER]


def test_a_writer_that_has_seen_a_higher_generation_gets_a_higher_one() -> None:
    simulation = created()
    simulation.happen(RowsObserved(gateway=GATEWAY, reason="drift", before=(), after=()))
    outgoing = next(outgoing for outgoing in simulation.pending if outgoing.part is Part.NB)
    simulation.pending.clear()
    simulation.happen(
        CommandRefused(
            command_id=outgoing.id,
            gateway=GATEWAY,
            gateway_uid=outgoing.data.gateway_uid,
            part="nb",
            generation=outgoing.data.generation,
            applied_generation=40,
        )
    )
    (again,) = [outgoing.data for outgoing in simulation.pending if isinstance(outgoing.data, EnsureNb)]
    assert again.generation == 41


def test_an_agent_that_has_seen_a_higher_generation_gets_a_higher_one() -> None:
    simulation = created()
    config = simulation.config[GATEWAY]
    assert config is not None
    simulation.happen(
        ConfigApplied(
            gateway=GATEWAY,
            gateway_uid=config.gateway_uid,
            pod="gateway1-0",
            pod_uid="uid-Pod-default/gateway1-0",
            generation=90,
            sources=config.sources,
        )
    )
    simulation.answer_all()
    config = simulation.config[GATEWAY]
    assert config is not None
    assert config.generation == 91


def test_a_removal_goes_on_without_a_chassis_that_never_confirms() -> None:
    simulation = created()
    simulation.see(gateway(deleting=True, finalizers=(names.FINALIZER,), generation=2))
    simulation.answer_all(programmed=False)
    assert simulation.intent().workload is not None

    simulation.happen(Ticked(at="2026-01-01T00:01:00Z"))
    assert simulation.intent().workload is not None
    simulation.happen(Ticked(at="2026-01-01T00:01:10Z"))
    assert simulation.intent().workload is None


NEW_STREAMS = StreamsCreated(created={"VEG_EVENTS": "2026-02-02T00:00:00Z"})


def test_a_bus_that_lost_what_it_held_gets_every_config_again() -> None:
    simulation = created()
    config, intent = simulation.config[GATEWAY], simulation.intent()
    simulation.happen(NEW_STREAMS)
    (command,) = [outgoing.data for outgoing in simulation.pending]
    assert isinstance(command, PublishConfig)
    assert command.config == config
    assert simulation.intent() == intent
    simulation.answer_all()
    simulation.happen(NEW_STREAMS)
    assert simulation.pending == [], "the same streams have lost nothing"


def test_a_bus_that_lost_what_it_held_gets_again_what_had_no_outcome() -> None:
    simulation = created()
    simulation.create(replicas=2, generation=2)
    unanswered = {(outgoing.part, outgoing.data.generation) for outgoing in simulation.pending if outgoing.part}
    assert {Part.WORKLOAD, Part.STATUS} <= {part for part, _ in unanswered}
    simulation.pending.clear()

    simulation.happen(NEW_STREAMS)

    config = (Part.CONFIG, simulation.intent().generations.config)
    assert {(outgoing.part, outgoing.data.generation) for outgoing in simulation.pending} == {*unanswered, config}


@pytest.mark.parametrize("lost", [True, False])
def test_the_removal_of_a_deployment_that_was_lost_or_failed_is_sent_again(lost: bool) -> None:
    simulation = created()
    simulation.see(gateway(deleting=True, finalizers=(names.FINALIZER,), generation=2))
    while not any(isinstance(outgoing.data, RemoveWorkload) for outgoing in simulation.pending):
        simulation.answer(simulation.pending.pop(0))
    if lost:
        simulation.pending.clear()
        simulation.happen(NEW_STREAMS)
    else:
        fail(simulation, Part.WORKLOAD, "forbidden")
        simulation.pending.clear()
        simulation.happen(Ticked(at="2026-01-01T00:01:00Z"))
    (again,) = [outgoing.data for outgoing in simulation.pending if outgoing.part is Part.WORKLOAD]
    assert isinstance(again, RemoveWorkload)
    assert (again.namespace, again.name) == ("default", "gateway1")
    simulation.lose(pod(0))
    simulation.answer_all()
    assert not simulation.intent().finalizer


def test_what_is_tried_again_after_a_failure_goes_on_saying_so_when_the_bus_loses_it() -> None:
    simulation = created()
    simulation.create(replicas=2, generation=2)
    fail(simulation, Part.WORKLOAD, "quota exceeded")
    simulation.happen(Ticked(at="2026-01-01T00:01:00Z"))
    simulation.pending.clear()
    simulation.happen(NEW_STREAMS)
    assert [outgoing.part for outgoing in simulation.pending if outgoing.part is Part.WORKLOAD] == [Part.WORKLOAD]
    assert "quota exceeded" in simulation.message()


def test_a_config_that_the_bus_refused_is_told_until_there_is_another_one() -> None:
    simulation = created()
    simulation.create(generation=2, policies=[{"snat": True, "ipBlocks": ["10.17.0.0/16"]}])
    fail(simulation, Part.CONFIG, "950000 bytes, at most 900000 are allowed")
    assert "950000 bytes" in simulation.message()
    simulation.answer_all()
    assert not simulation.world.wants_tick(), "it would be refused again"

    simulation.create(generation=3)
    simulation.answer_all()
    simulation.report_config(1)
    simulation.answer_all()
    assert simulation.status().ready


def fail(simulation: Simulation, part: Part, message: str) -> None:
    outgoing = next(outgoing for outgoing in simulation.pending if outgoing.part is part)
    simulation.pending.remove(outgoing)
    simulation.happen(
        CommandFailed(
            command_id=outgoing.id,
            gateway=outgoing.data.gateway,
            gateway_uid=outgoing.data.gateway_uid,
            part=part.value,
            generation=outgoing.data.generation,
            message=message,
        )
    )
