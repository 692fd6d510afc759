"""The PodDisruptionBudget of a gateway: what is in it, and that it is put right when somebody changes it."""

import msgspec
import pytest
from support.simulation import GATEWAY, SETTINGS, Simulation, created, gateway

from veg_contracts import names
from veg_contracts.commands import EnsureWorkload
from veg_contracts.events import CommandApplied, PlannerConfigured
from veg_contracts.intent import Part, Workload
from veg_contracts.objects import DisruptionBudget


def wanted(simulation: Simulation) -> Workload:
    workload = simulation.intent().workload
    assert workload is not None
    return workload


@pytest.mark.parametrize("replicas", [0, 1, 2, 3])
def test_one_pod_may_be_evicted_at_a_time_however_many_there_are(replicas: int) -> None:
    simulation = Simulation()
    simulation.prepare()
    simulation.create(replicas=replicas)
    workload = wanted(simulation)
    assert workload.budget == {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": workload.manifest["metadata"],
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": names.workload_labels("gateway1")},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }
    assert workload.manifest["metadata"]["ownerReferences"][0]["uid"] == simulation.intent().gateway_uid


def test_without_budgets_there_is_none_and_the_one_there_was_goes() -> None:
    simulation = created(2)
    assert GATEWAY in simulation.budgets
    simulation.happen(PlannerConfigured(settings=msgspec.structs.replace(SETTINGS, disruption_budgets=False)))
    assert wanted(simulation).budget is None
    simulation.answer_all()
    assert simulation.budgets == {}
    assert simulation.pending == []


def test_one_that_was_edited_or_deleted_is_applied_again() -> None:
    simulation = created(2)
    before = len(simulation.commands(EnsureWorkload))
    uid, budget = simulation.budgets[GATEWAY]
    edited = msgspec.structs.replace(budget, generation=budget.generation + 1)
    simulation.budgets[GATEWAY] = (uid, edited)
    simulation.see(edited, uid)
    assert len(simulation.commands(EnsureWorkload)) == before + 1
    assert "PodDisruptionBudget default/gateway1 was edited: it is repaired" in reported(simulation)
    simulation.answer_all()
    assert len(simulation.commands(EnsureWorkload)) == before + 1

    uid, budget = simulation.budgets.pop(GATEWAY)
    simulation.lose(budget, uid)
    assert len(simulation.commands(EnsureWorkload)) == before + 2
    simulation.answer_all()
    assert GATEWAY in simulation.budgets


def reported(simulation: Simulation) -> str:
    return " ".join(step.text for outcome in simulation.outcomes for report in outcome.reports for step in report.steps)


@pytest.mark.parametrize("lost", [True, False])
def test_one_that_was_changed_before_we_heard_that_it_was_written_is_applied_again(lost: bool) -> None:
    simulation = Simulation()
    simulation.prepare()
    simulation.create()
    (outgoing,) = [outgoing for outgoing in simulation.pending if outgoing.part is Part.WORKLOAD]
    budget = DisruptionBudget(
        namespace="default", name="gateway1", generation=1, labels=names.workload_labels("gateway1")
    )
    simulation.see(budget, "uid-b")
    if lost:
        simulation.lose(budget, "uid-b")
    else:
        simulation.see(msgspec.structs.replace(budget, generation=2), "uid-b")
    command = outgoing.data
    simulation.pending.clear()
    simulation.happen(
        CommandApplied(
            command_id=outgoing.id,
            gateway=GATEWAY,
            gateway_uid=command.gateway_uid,
            part="workload",
            generation=command.generation,
            detail={"uid": "uid-d", "generation": "1", "budget_uid": "uid-b", "budget_generation": "1"},
        )
    )
    assert [outgoing.part for outgoing in simulation.pending] == [Part.WORKLOAD]


def test_one_of_somebody_else_is_nothing_to_repair() -> None:
    simulation = created(2)
    before = len(simulation.commands(EnsureWorkload))
    theirs = DisruptionBudget(
        namespace="default", name="theirs", generation=7, labels=names.workload_labels("gateway1")
    )
    simulation.see(theirs, "uid-theirs")
    simulation.lose(theirs, "uid-theirs")
    assert len(simulation.commands(EnsureWorkload)) == before


def test_one_of_somebody_else_in_the_place_of_ours_is_told_of() -> None:
    simulation = Simulation()
    simulation.prepare()
    simulation.create()
    (outgoing,) = [outgoing for outgoing in simulation.pending if outgoing.part is Part.WORKLOAD]
    text = "PodDisruptionBudget default/gateway1 is not owned by VpcEgressGateway default/gateway1: it stays"
    simulation.happen(
        CommandApplied(
            command_id=outgoing.id,
            gateway=GATEWAY,
            gateway_uid=outgoing.data.gateway_uid,
            part="workload",
            generation=outgoing.data.generation,
            detail={"generation": "1", "budget": text},
        )
    )
    assert text in reported(simulation)


def test_it_goes_with_its_gateway() -> None:
    simulation = created(1)
    simulation.see(gateway(deleting=True, generation=2))
    simulation.answer_all()
    assert simulation.budgets == {}
