"""The document's first example, as the planner's core sees it: created, scaled, edited, deleted."""

import itertools

import msgspec
import pytest
from support.simulation import GATEWAY, SETTINGS, Simulation, created, gateway, pod

from veg_contracts import names
from veg_contracts.commands import EnsureNb, EnsureStatus, EnsureWorkload, PublishConfig, RemoveWorkload
from veg_contracts.configuration import PlannerSettings
from veg_contracts.events import PlannerConfigured
from veg_contracts.intent import NbRows, Part, RoutePolicy
from veg_contracts.names import OWN_GROUP
from veg_contracts.objects import Deployment


def policy(match: str, *nexthops: str) -> RoutePolicy:
    return RoutePolicy(family="4", priority=29100, match=match, action="reroute", nexthops=nexthops)


def test_the_example_becomes_ready_with_the_documents_policy() -> None:
    simulation = created()

    status = simulation.status()
    assert status.ready
    assert status.phase == "Completed"
    assert status.internal_ips == ("10.16.0.12",)
    assert status.external_ips == ("172.17.0.11",)
    assert status.workload.nodes == ("node0",)
    assert status.label_selector == "app=vpc-egress-gateway,ovn.kubernetes.io/vpc-egress-gateway=gateway1"
    rows = NbRows(router="ovn-cluster", policies=(policy("ip4.src == 10.16.0.0/16", "10.16.0.12"),))
    assert simulation.rows[GATEWAY] == rows


def test_no_policy_before_the_agent_has_applied_the_config() -> None:
    simulation = Simulation()
    simulation.prepare()
    simulation.create()
    simulation.answer_all()
    simulation.start_pods(1)
    simulation.answer_all()

    assert GATEWAY not in simulation.rows
    assert "waits for the agent of pod default/gateway1-0" in simulation.message()
    assert not simulation.status().ready


def test_not_ready_before_every_chassis_has_the_flows() -> None:
    simulation = Simulation()
    simulation.prepare()
    simulation.create()
    simulation.answer_all()
    simulation.start_pods(1)
    simulation.report_config(1)
    simulation.answer_all(programmed=False)

    assert not simulation.status().ready
    assert "hv_cfg" in simulation.message()


def test_scaling_adds_the_second_nexthop_to_the_same_policy() -> None:
    simulation = created()

    simulation.create(replicas=2, generation=2)
    simulation.answer_all()
    assert simulation.rows[GATEWAY].policies == (policy("ip4.src == 10.16.0.0/16", "10.16.0.12"),)
    simulation.start_pods(2)
    simulation.report_config(2)
    simulation.answer_all()

    assert simulation.rows[GATEWAY].policies == (policy("ip4.src == 10.16.0.0/16", "10.16.0.12", "10.16.0.13"),)
    assert simulation.status().ready
    assert simulation.status().internal_ips == ("10.16.0.12", "10.16.0.13")


@pytest.mark.parametrize("outcome_first", [True, False])
def test_an_edit_of_the_pods_is_not_ready_before_they_are_of_it(outcome_first: bool) -> None:
    """Until its Deployment has been written and seen, what is ready are the pods of before."""
    simulation = created(replicas=1)
    simulation.create(generation=2, image="registry.example/other:1")
    assert "waits for Deployment default/gateway1 to be written" in simulation.message()
    seen_before = simulation.deployments[GATEWAY]
    (workload,) = [outgoing for outgoing in simulation.pending if outgoing.part is Part.WORKLOAD]
    written = msgspec.structs.replace(seen_before[1], generation=seen_before[1].generation + 1)
    simulation.deployments[GATEWAY] = (seen_before[0], written)
    if outcome_first:
        simulation.applied(workload)
        assert "waits for Deployment default/gateway1 to be written" in simulation.message()
        simulation.see(written, seen_before[0])
    else:
        simulation.see(written, seen_before[0])
        assert "waits for Deployment default/gateway1 to be written" in simulation.message()
        simulation.applied(workload)
    assert "waits for Deployment default/gateway1 to be ready" in simulation.message()
    said = [intent.status for outcome in simulation.outcomes for intent in outcome.intents if intent.status]
    newer = [
        ready
        for status in said
        for ready in status.conditions
        if (ready.type, ready.observed_generation) == ("Ready", 2)
    ]
    assert newer
    assert {condition.status for condition in newer} == {"False"}


def test_a_deleted_pod_is_no_nexthop_any_more() -> None:
    simulation = created(2)

    simulation.see(pod(0, deleting=True))
    simulation.answer_all()

    assert simulation.rows[GATEWAY].policies == (policy("ip4.src == 10.16.0.0/16", "10.16.0.13"),)


def test_a_pod_that_is_not_ready_stays_a_nexthop() -> None:
    simulation = created(2)

    simulation.see(pod(0, ready=False))
    simulation.answer_all()

    assert len(simulation.rows[GATEWAY].policies[0].nexthops) == 2


def test_editing_policies_changes_config_and_rows_but_no_pod_template() -> None:
    simulation = created()
    before = len(simulation.commands(EnsureWorkload))

    edited = [{"snat": True, "subnets": ["ovn-default"], "ipBlocks": ["10.17.0.0/16"]}]
    simulation.create(policies=edited, generation=2)
    simulation.answer_all()
    config = simulation.config[GATEWAY]
    assert config is not None
    assert [source.cidr for source in config.sources] == ["10.16.0.0/16", "10.17.0.0/16"]
    assert [(route.destination, route.gateway) for route in config.routes] == [("10.17.0.0/16", "10.16.0.1")]
    # The agent does not take the new source yet: no traffic of it is sent there.
    assert len(simulation.rows[GATEWAY].policies) == 1
    simulation.report_config(1)
    simulation.answer_all()

    assert [item.match for item in simulation.rows[GATEWAY].policies] == [
        "ip4.src == 10.16.0.0/16",
        "ip4.src == 10.17.0.0/16",
    ]
    assert simulation.status().ready
    assert len(simulation.commands(EnsureWorkload)) == before


def test_a_source_that_left_keeps_its_nat_until_the_chassis_have_dropped_its_flows() -> None:
    simulation = created()
    simulation.create(policies=[{"snat": True, "ipBlocks": ["10.17.0.0/16"]}], generation=2)

    simulation.answer_all(programmed=False)
    config = simulation.config[GATEWAY]
    assert config is not None
    assert [source.cidr for source in config.lingering] == ["10.16.0.0/16"]
    simulation.report_config(1)
    simulation.answer_all()
    simulation.report_config(1)
    simulation.answer_all()

    config = simulation.config[GATEWAY]
    assert config is not None
    assert config.lingering == ()
    assert [item.match for item in simulation.rows[GATEWAY].policies] == ["ip4.src == 10.17.0.0/16"]
    assert simulation.status().ready


def test_deletion_leaves_ovn_first_then_the_pods_then_lets_go() -> None:
    simulation = created()

    simulation.see(gateway(deleting=True, finalizers=(names.FINALIZER,), generation=2))
    assert [type(outgoing.data) for outgoing in simulation.pending if outgoing.part and outgoing.part != "status"] == [
        EnsureNb
    ]
    simulation.answer_all()
    assert simulation.rows[GATEWAY] == NbRows()
    assert simulation.commands(RemoveWorkload)
    assert simulation.intent().finalizer, "its pod is still there"
    simulation.lose(pod(0))
    simulation.answer_all()

    assert not simulation.intent().finalizer
    assert simulation.config[GATEWAY] is None
    simulation.lose(gateway())
    assert simulation.world.intent(GATEWAY) is None
    assert simulation.world.gateways() == []


def test_deletion_while_half_built() -> None:
    simulation = Simulation()
    simulation.prepare()
    simulation.create()
    simulation.see(gateway(deleting=True, finalizers=(names.FINALIZER,), generation=2))
    simulation.answer_all()

    assert not simulation.intent().finalizer
    assert GATEWAY not in simulation.deployments


def test_a_gateway_that_vanishes_without_its_finalizer_is_taken_down_all_the_same() -> None:
    simulation = created()

    simulation.lose(gateway())
    simulation.answer_all()
    simulation.lose(pod(0))
    simulation.answer_all()

    assert simulation.rows[GATEWAY] == NbRows()
    assert simulation.deployments == {}
    assert simulation.world.gateways() == []


def test_zero_replicas_is_ready_without_policies() -> None:
    simulation = created()

    simulation.create(replicas=0, generation=2)
    simulation.answer_all()
    simulation.see(pod(0, deleting=True))
    simulation.lose(pod(0))
    simulation.start_pods(0)
    simulation.answer_all()

    assert simulation.rows[GATEWAY] == NbRows()
    assert simulation.status().ready


def test_config_goes_out_before_the_rows() -> None:
    simulation = created()
    kinds = [type(outgoing.data) for outgoing in simulation.sent]
    assert kinds.index(PublishConfig) < kinds.index(EnsureNb)


def test_status_is_written_once_for_each_change() -> None:
    simulation = created()
    statuses = [encoded.status for encoded in simulation.commands(EnsureStatus) if isinstance(encoded, EnsureStatus)]
    assert all(one != other for one, other in itertools.pairwise(statuses))


def test_k2_pods_of_a_gateway_of_the_same_name_in_another_group_are_not_its_own() -> None:
    simulation = created()
    labels = names.workload_labels("gateway1")
    theirs = Deployment(name="kgw-gateway1", namespace="default", generation=1, owner_uid="theirs", labels=labels)
    simulation.see(msgspec.structs.replace(theirs, foreign=True))
    simulation.see(pod(7, deployment="kgw-gateway1"))
    simulation.answer_all()
    assert simulation.status().ready
    assert simulation.status().internal_ips == ("10.16.0.12",)
    simulation.see(gateway(deleting=True, generation=2))
    simulation.answer_all()
    simulation.lose(pod(0))
    simulation.answer_all()
    assert not simulation.intent().finalizer, "their pods are not awaited"


def test_the_deployment_names_its_owner_in_the_group_that_was_chosen() -> None:
    simulation = Simulation()
    simulation.prepare()
    simulation.happen(PlannerConfigured(settings=msgspec.structs.replace(SETTINGS, api_group=OWN_GROUP)))
    simulation.create()
    workload = simulation.intent().workload
    assert workload is not None
    (owner,) = workload.manifest["metadata"]["ownerReferences"]
    assert owner["apiVersion"] == "vpc-egress-gateway.io/v1"


def test_pods_are_told_whom_to_trust_on_the_bus_where_that_is_set() -> None:
    def environment(settings: PlannerSettings) -> dict[str, str]:
        simulation = Simulation()
        simulation.prepare()
        simulation.happen(PlannerConfigured(settings=settings))
        simulation.create()
        workload = simulation.intent().workload
        assert workload is not None
        pod_spec = workload.manifest["spec"]["template"]["spec"]
        return {entry["name"]: entry.get("value", "") for entry in pod_spec["containers"][0]["env"]}

    assert not any(name.startswith("VEG_NATS_TLS") for name in environment(SETTINGS))
    tls = {"agent_nats_url": "tls://bus:4222", "agent_nats_tls_ca": "PEM", "agent_nats_tls_server_name": "bus"}
    said = environment(msgspec.structs.replace(SETTINGS, **tls))
    assert (said["VEG_NATS_TLS_CA"], said["VEG_NATS_TLS_SERVER_NAME"]) == ("PEM", "bus")
