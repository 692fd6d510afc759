"""What happens in the moments between two events: a write and its outcome, a claim and its owner."""

from typing import Any

import msgspec
import pytest
from support.simulation import GATEWAY, SETTINGS, Simulation, created, gateway, pod
from unit.planner.test_bfd import NODES, ONE, PEER, TWO, node, vpc
from unit.planner.test_bfd_ports import BFD, prepared
from unit.planner.test_k4_contest import deployment_of_another

from veg_contracts import names
from veg_contracts.commands import EnsureFinalizer, EnsureWorkload, RemoveWorkload
from veg_contracts.events import CommandApplied, PlannerConfigured
from veg_contracts.objects import Deployment

A, B, C = "default/a", "default/b", "default/c"


def written(simulation: Simulation, **changes: Any) -> tuple[str, Deployment, CommandApplied]:
    """An edit has been written, and its outcome is not heard of: the Deployment's uid, what it is, and the outcome."""
    simulation.create(generation=2, image="gw:new", **changes)
    (command,) = [outgoing for outgoing in simulation.pending if isinstance(outgoing.data, EnsureWorkload)]
    simulation.pending.remove(command)
    simulation._apply_deployment(command.data)  # type: ignore[arg-type]
    uid, made = simulation.deployments[GATEWAY]
    outcome = CommandApplied(
        command_id=command.id,
        gateway=command.data.gateway,
        gateway_uid=command.data.gateway_uid,
        part="workload",
        generation=command.data.generation,
        detail={"generation": str(made.generation), "uid": uid},
    )
    return uid, made, outcome


@pytest.mark.parametrize("made_anew", [False, True])
def test_a_deployment_that_goes_before_its_outcome_is_heard_of_is_written_again(made_anew: bool) -> None:
    simulation = created()
    uid, made, outcome = written(simulation)
    simulation.lose(made, uid)
    del simulation.deployments[GATEWAY]
    if made_anew:
        other = msgspec.structs.replace(made, generation=1)
        simulation.deployments[GATEWAY] = ("uid-new", other)
        simulation.see(other, "uid-new")
    before = len(simulation.commands(EnsureWorkload))
    simulation.happen(outcome)
    assert len(simulation.commands(EnsureWorkload)) == before + 1


def test_an_edit_before_the_outcome_is_heard_of_is_repaired() -> None:
    simulation = created()
    uid, made, outcome = written(simulation)
    edited = msgspec.structs.replace(made, generation=made.generation + 1)
    simulation.deployments[GATEWAY] = (uid, edited)
    simulation.see(edited, uid)
    before = len(simulation.commands(EnsureWorkload))
    simulation.happen(outcome)
    assert len(simulation.commands(EnsureWorkload)) == before + 1


def test_garbage_in_an_outcome_harms_nobody() -> None:
    for detail in ({}, {"generation": "x", "uid": ""}, {"generation": "9" * 40}, {"generation": "-1", "uid": "none"}):
        simulation = created()
        _, _, outcome = written(simulation)
        simulation.happen(msgspec.structs.replace(outcome, detail=detail))
        simulation.answer_all()
        simulation.start_pods(1)
        simulation.report_config(1)
        simulation.answer_all()
        assert simulation.status().ready, detail


def test_a_dead_pod_gets_no_traffic_while_a_port_changes_hands() -> None:
    """From our annotation to `spec.bfdPort`, where Kube-OVN has yet to say that the port is its own."""
    simulation = prepared(vpc(annotated=True), manage_bfd_ports=False)

    def rest() -> set[str]:
        simulation.answer_all()
        simulation.report_config(2)
        simulation.answer_all()
        return set(simulation.rows[GATEWAY].nexthops)

    for ip in (ONE, TWO):
        simulation.session(ip, "up")
    rest()
    simulation.session(ONE, "down")
    assert rest() == {TWO}
    simulation.see(vpc())
    assert rest() == {TWO}
    assert len(simulation.rows[GATEWAY].sessions) == 2
    simulation.see(vpc(status_name="bfd@ovn-cluster", status_ip=PEER))
    assert rest() == {TWO}


def test_a_typo_gives_a_gateway_nothing_that_it_never_had() -> None:
    contested = {"snat": True, "ipBlocks": ["10.16.0.0/16"]}
    own = {"snat": True, "ipBlocks": ["10.30.0.0/16"]}
    typo = {"snat": True, "subnets": ["nosuch"]}
    simulation = Simulation()
    simulation.prepare()

    def see(key: str, year: int, *policies: dict[str, Any], generation: int = 1) -> None:
        created_at = f"{year}-01-01T00:00:00Z"
        made = gateway(name=key[-1], created_at=created_at, generation=generation, policies=list(policies))
        simulation.see(made)
        simulation.answer_all()
        for index, each in enumerate(each for each in (A, B, C) if each in simulation.config):
            simulation.see(pod(index, each))
            simulation.happen_config(each, pod(index, each))
            simulation.answer_all()

    def sources(key: str) -> list[str]:
        return [row.match.rpartition(" ")[2] for row in simulation.rows[key].policies] if key in simulation.rows else []

    see(A, 2024, contested)
    see(B, 2025, contested, own)
    see(C, 2026, contested)
    see(B, 2025, own, typo, generation=2)
    see(A, 2024, {"snat": True, "ipBlocks": ["10.50.0.0/16"]}, generation=2)
    assert (sources(B), sources(C)) == (["10.30.0.0/16"], ["10.16.0.0/16"])
    see(B, 2025, {"snat": True, "ipBlocks": ["10.31.0.0/16"]}, typo, generation=3)
    assert sources(B) == ["10.31.0.0/16"], "what was written out and is not any more is no typo"


def test_k4_what_a_refusal_leaves_or_takes_is_planned_for_the_others_at_once() -> None:
    simulation = Simulation()
    simulation.prepare()
    simulation.happen(PlannerConfigured(settings=msgspec.structs.replace(SETTINGS, api_group=names.KUBE_OVN_GROUP)))
    ours = (names.FINALIZER,)
    for name, year in (("old", 2025), ("young", 2026)):
        made = gateway(name=name, created_at=f"{year}-01-01T00:00:00Z")
        simulation.see(msgspec.structs.replace(made, finalizers=() if name == "old" else ours))
    simulation.answer_all()
    assert "taken by VpcEgressGateway default/old" in simulation.message(key="default/young")
    simulation.see(deployment_of_another("default/old"))
    assert "taken by" not in simulation.message(key="default/young")


def test_k4_a_gateway_that_is_left_to_another_controller_gets_no_stub_peer() -> None:
    simulation = Simulation()
    simulation.prepare()
    settings = msgspec.structs.replace(SETTINGS, manage_bfd_ports=False, api_group=names.KUBE_OVN_GROUP)
    simulation.happen(PlannerConfigured(settings=settings))
    for name in NODES:
        simulation.see(node(name))
    simulation.see(vpc(status_name="bfd@ovn-cluster", status_ip=PEER))
    simulation.see(msgspec.structs.replace(gateway(bfd=BFD), finalizers=(names.KUBE_OVN_FINALIZER,)))
    simulation.answer_all()
    assert simulation.intent().conflict is not None
    assert "ovn-cluster" not in simulation.rows or simulation.rows["ovn-cluster"].empty


def test_a_deployment_that_nobody_has_seen_yet_is_gone_before_its_gateway() -> None:
    """Deleted while the first Deployment is under way: the finalizer stays until its deletion is answered."""
    simulation = Simulation()
    simulation.prepare()
    simulation.create()
    simulation.answer_all_of(EnsureFinalizer)
    simulation.see(gateway(deleting=True, finalizers=(names.FINALIZER,), generation=2))
    for _ in range(5):
        held = [each for each in simulation.pending if isinstance(each.data, EnsureWorkload | RemoveWorkload)]
        simulation.pending = [each for each in simulation.pending if each not in held]
        simulation.answer_all()
        simulation.pending += held
    assert simulation.intent().finalizer
    simulation.answer_all()
    assert not simulation.intent().finalizer


def test_a_deployment_that_goes_after_the_outcome_of_its_deletion_holds_nothing_up() -> None:
    simulation = created()
    simulation.see(gateway(deleting=True, finalizers=(names.FINALIZER,), generation=2))
    uid, made = simulation.deployments[GATEWAY]
    removal = None
    while simulation.pending:
        outgoing = simulation.pending.pop(0)
        if isinstance(outgoing.data, RemoveWorkload):
            removal = outgoing
        else:
            simulation.answer(outgoing)
    assert removal is not None
    simulation.applied(removal)
    simulation.lose(made, uid)
    simulation.lose(pod(0))
    simulation.answer_all()
    assert not simulation.intent().finalizer
