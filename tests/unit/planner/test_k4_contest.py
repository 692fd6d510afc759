"""K4: another controller on our kind in our API group is seen before the first write, and has the object."""

from typing import Any

import msgspec
import pytest
from support.simulation import GATEWAY, SETTINGS, Simulation, client, created, gateway

from veg_contracts import names
from veg_contracts.commands import (
    EnsureCondition,
    EnsureFinalizer,
    EnsureStatus,
    EnsureWorkload,
    PublishConfig,
    RecordKubeEvent,
    RemoveWorkload,
)
from veg_contracts.events import PlannerConfigured, Ticked
from veg_contracts.objects import Deployment
from veg_planner.core import Outcome

THEIRS = names.KUBE_OVN_FINALIZER
OURS = names.FINALIZER
MARKS = pytest.mark.parametrize(
    "mark",
    [{"finalizers": (THEIRS,)}, {"status_managers": ("kube-ovn-controller",)}],
    ids=["finalizer", "status"],
)


def prepared(group: names.ApiGroup = names.KUBE_OVN_GROUP) -> Simulation:
    simulation = Simulation()
    simulation.prepare()
    simulation.happen(PlannerConfigured(settings=msgspec.structs.replace(SETTINGS, api_group=group)))
    return simulation


def see(simulation: Simulation, mark: dict[str, Any], **fields: object) -> Outcome:
    """A gateway with those marks, and without our finalizer unless it is among them."""
    return simulation.see(msgspec.structs.replace(gateway(finalizers=(), **fields), **mark))


def deployment_of_another(key: str, namespace: str = "default") -> Deployment:
    """A Deployment that another controller made of a gateway: it names that as its owner."""
    name = key.rpartition("/")[2]
    return Deployment(
        namespace=namespace,
        name=name,
        generation=1,
        owner_uid=f"uid-VpcEgressGateway-{key}",
        foreign=True,
        labels=names.workload_labels(name),
    )


def sent(simulation: Simulation) -> list[type]:
    return [type(outgoing.data) for outgoing in simulation.sent]


def conflict(simulation: Simulation, key: str = GATEWAY) -> str:
    intent = simulation.intent(key)
    assert intent.status is None
    assert intent.conflict is not None
    assert (intent.conflict.type, intent.conflict.status) == ("Conflict", "True")
    assert intent.conflict.reason == "OtherReconciler"
    return intent.conflict.message


def test_k4_the_first_write_is_the_finalizer_and_the_rest_waits_for_the_object_to_come_back_with_it() -> None:
    simulation = prepared()
    see(simulation, {})
    assert sent(simulation) == [EnsureFinalizer]
    simulation.answer_all()
    assert sent(simulation) == [EnsureFinalizer], "the word of the writer is not enough"
    report = simulation.world.report(GATEWAY)
    assert report is not None
    assert "waits for its finalizer" in report.steps[0].text
    see(simulation, {"finalizers": (OURS,)})
    assert {EnsureWorkload, EnsureStatus, PublishConfig} <= set(sent(simulation))


def test_k4_in_a_group_of_our_own_nothing_is_waited_for_and_no_mark_counts() -> None:
    simulation = prepared(names.OWN_GROUP)
    see(simulation, {"finalizers": (THEIRS,), "status_managers": ("other",)})
    assert {EnsureFinalizer, EnsureWorkload, EnsureStatus} <= set(sent(simulation))
    assert simulation.intent().conflict is None


@MARKS
def test_k4_a_marked_gateway_gets_nothing_but_a_condition_that_says_what_to_do(mark: dict[str, Any]) -> None:
    simulation = prepared()
    see(simulation, mark)
    assert sent(simulation) == [EnsureCondition, RecordKubeEvent]
    said = conflict(simulation)
    assert "kube-ovn-controller" in said
    assert f"VpcEgressGateway {GATEWAY}" in said
    assert "set VEG_API_GROUP=vpc-egress-gateway.io" in said
    assert "crds/vpc-egress-gateway.io/" in said
    event = simulation.sent[-1].data
    assert isinstance(event, RecordKubeEvent)
    assert (event.type, event.reason) == ("Warning", "OtherReconciler")


@MARKS
def test_k4_a_mark_that_comes_with_our_finalizer_withdraws_it(mark: dict[str, Any]) -> None:
    simulation = prepared()
    see(simulation, {})
    simulation.answer_all()
    see(simulation, mark | {"finalizers": (*mark.get("finalizers", ()), OURS)})
    (first, withdrawn) = simulation.commands(EnsureFinalizer)
    assert isinstance(first, EnsureFinalizer)
    assert isinstance(withdrawn, EnsureFinalizer)
    assert (first.present, withdrawn.present) == (True, False)
    assert not {EnsureWorkload, EnsureStatus, PublishConfig} & set(sent(simulation))
    assert conflict(simulation)


def test_k4_what_a_tenant_can_set_is_a_mark_of_its_own_gateway_alone() -> None:
    simulation = created()
    see(simulation, {"finalizers": (THEIRS,)}, name="theirs")
    assert "default/theirs" in conflict(simulation, "default/theirs")
    assert simulation.status().ready
    see(simulation, {}, name="later")
    simulation.answer_all()
    see(simulation, {"finalizers": (OURS,)}, name="later")
    assert simulation.intent("default/later").workload is not None
    see(simulation, {}, name="theirs")
    assert simulation.intent("default/theirs").conflict is None, "with the mark the refusal goes"
    assert simulation.intent("default/theirs").finalizer


def test_k4_a_hand_in_one_status_tells_it_of_all_that_are_not_begun() -> None:
    """Only a controller may write a status, and it reconciles a kind."""
    simulation = created()
    see(simulation, {"status_managers": ("kube-ovn-controller",)}, name="theirs")
    see(simulation, {}, name="later")
    assert "default/theirs" in conflict(simulation, "default/later"), "it names where it was seen"
    assert simulation.status().ready, "what served before goes on"
    simulation.answer_all()
    simulation.lose(gateway(name="theirs"))
    assert simulation.intent("default/later").conflict is None, "with the last mark the refusal goes"
    assert simulation.intent("default/later").finalizer


def test_k4_a_deployment_that_another_one_made_of_a_gateway_is_a_mark() -> None:
    simulation = prepared()
    see(simulation, {"finalizers": (OURS,)})
    made = deployment_of_another(GATEWAY)
    simulation.see(made)
    simulation.answer_all_of(EnsureFinalizer)
    assert "Deployment default/gateway1" in conflict(simulation)
    assert simulation.intent().workload is None
    assert simulation.intent().config is None
    assert not simulation.intent().finalizer


def test_k4_a_deployment_of_another_namespace_is_no_mark() -> None:
    simulation = prepared()
    see(simulation, {"finalizers": (OURS,)})
    made = deployment_of_another(GATEWAY, namespace="tenant")
    simulation.see(made)
    assert simulation.intent().conflict is None
    assert simulation.intent().workload is not None


def test_k4_what_serves_goes_on_says_so_and_does_not_fight_for_its_deployment() -> None:
    simulation = created()
    simulation.see(
        msgspec.structs.replace(gateway(finalizers=(OURS, THEIRS)), status_managers=("kube-ovn-controller",))
    )
    simulation.answer_all()
    assert simulation.status().ready
    assert "another controller reconciles it too" in simulation.message("Conflict")
    assert "VEG_API_GROUP=vpc-egress-gateway.io" in simulation.message("Conflict")
    before = len(simulation.commands(EnsureWorkload))
    uid, deployment = simulation.deployments[GATEWAY]
    edited = msgspec.structs.replace(deployment, generation=9, observed_generation=9)
    simulation.see(edited, uid)
    simulation.answer_all()
    assert len(simulation.commands(EnsureWorkload)) == before


@MARKS
def test_k4_a_refused_gateway_claims_no_source_and_no_pod(mark: dict[str, Any]) -> None:
    simulation = created()
    # Older, so that it would have what both want.
    see(simulation, mark, name="theirs", created_at="2025-01-01T00:00:00Z", selectors=[{}])
    simulation.see(client("a"))
    simulation.create(generation=2, selectors=[{}])
    simulation.answer_all()
    assert [source.cidr for source in (simulation.config[GATEWAY] or pytest.fail("no config")).sources] == [
        "10.16.0.0/16"
    ]
    assert "taken by" not in simulation.message()
    assert simulation.members[names.port_group(GATEWAY)] == {"a.default"}


@MARKS
def test_k4_a_refused_gateway_can_be_deleted_whatever_pods_have_its_labels(mark: dict[str, Any]) -> None:
    simulation = prepared()
    see(simulation, {})
    simulation.answer_all()
    both = mark | {"finalizers": (*mark.get("finalizers", ()), OURS)}
    see(simulation, both)
    simulation.see(client("theirs", labels=names.workload_labels("gateway1")))
    see(simulation, both, deleting=True, generation=2)
    simulation.answer_all()
    last = simulation.commands(EnsureFinalizer)[-1]
    assert isinstance(last, EnsureFinalizer)
    assert not last.present
    assert RemoveWorkload not in sent(simulation)
    simulation.lose(gateway())
    assert simulation.world.intent(GATEWAY) is None


def test_k4_a_gateway_that_waits_for_its_finalizer_can_be_deleted() -> None:
    simulation = prepared()
    see(simulation, {})
    simulation.see(client("theirs", labels=names.workload_labels("gateway1")))
    see(simulation, {"finalizers": (OURS,)}, deleting=True, generation=2)
    last = simulation.commands(EnsureFinalizer)[-1]
    assert isinstance(last, EnsureFinalizer)
    assert not last.present


def test_k4_the_condition_is_sent_once() -> None:
    simulation = prepared()
    see(simulation, {"status_managers": ("kube-ovn-controller",)})
    simulation.answer_all()
    see(simulation, {"finalizers": (THEIRS,), "status_managers": ("kube-ovn-controller",)})
    see(simulation, {"finalizers": (THEIRS,), "status_managers": ("kube-ovn-controller", "other")})
    simulation.answer_all()
    assert len(simulation.commands(EnsureCondition)) == 1
    assert len(simulation.commands(RecordKubeEvent)) == 1


def test_k4_a_restart_decides_the_same() -> None:
    simulation = prepared()
    see(simulation, {"finalizers": (THEIRS,)})
    simulation.answer_all()
    before = conflict(simulation)
    simulation.restart()
    see(simulation, {"finalizers": (THEIRS,)}, generation=2)
    assert conflict(simulation) == before


def test_k4_a_condition_that_the_other_one_overwrote_is_written_again_as_time_passes() -> None:
    simulation = prepared()
    see(simulation, {"status_managers": ("kube-ovn-controller",)})
    simulation.answer_all()
    for second in (10, 20):
        assert simulation.world.wants_tick()
        before = len(simulation.commands(EnsureCondition))
        simulation.happen(Ticked(at=f"2026-01-01T00:00:{second}Z"))
        simulation.answer_all()
        assert len(simulation.commands(EnsureCondition)) == before + 1
    see(simulation, {"status_managers": ("kube-ovn-controller",), "conflict": True})
    assert not simulation.world.wants_tick()


def test_k4_our_finalizer_is_withdrawn_again_when_another_one_writes_it_back() -> None:
    """Kube-OVN writes the whole list, as it was when it looked."""
    simulation = prepared()
    see(simulation, {})
    simulation.answer_all()
    see(simulation, {"finalizers": (THEIRS, OURS)})
    simulation.answer_all()
    before = len(simulation.commands(EnsureFinalizer))
    for finalizers in ((THEIRS,), (THEIRS, OURS)):
        see(simulation, {"finalizers": finalizers})
        simulation.answer_all()
    commands = simulation.commands(EnsureFinalizer)
    assert len(commands) == before + 1
    assert isinstance(commands[-1], EnsureFinalizer)
    assert not commands[-1].present
