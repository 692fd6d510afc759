"""Bad input: named by object, field, value and what is allowed; and nobody else is stopped."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.simulation import GATEWAY, NETWORKS, SETTINGS, Simulation, created, gateway, pod

from veg_contracts.events import CommandFailed, ConfigApplied, PlannerConfigured, Ticked
from veg_contracts.intent import Part, digest_of_sources
from veg_contracts.objects import AnyProjection, NetworkAttachment, Subnet, Vpc


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"replicas": 11}, "spec.replicas: 11: Expected int <= 10"),
        ({"replicas": "two"}, "spec.replicas: 'two': Expected int, got str"),
        ({"externalSubnet": 5}, "spec.externalSubnet: 5: Expected str, got int"),
        ({"policies": []}, "spec.policies: empty: each VPC Egress Gateway must have at least one policy or selector"),
        ({"policies": [{}]}, "spec.policies[0]: empty: each policy must have at least one of ipBlocks or subnets"),
        ({"policies": [{"ipBlocks": ["10.0.0.0/33"]}]}, "spec.policies[0].ipBlocks[0]: '10.0.0.0/33'"),
        ({"policies": [{"ipBlocks": ["10.0.0.1,fd00::1"]}]}, "spec.policies[0].ipBlocks[0]: '10.0.0.1,fd00::1'"),
        ({"externalIPs": ["172.17.0.9"], "replicas": 2}, "spec.externalIPs: 1 addresses: at least spec.replicas = 2"),
        ({"internalIPs": ["nonsense"]}, "spec.internalIPs[0]: 'nonsense': an address"),
        ({"trafficPolicy": "Near"}, "spec.trafficPolicy: 'Near': Cluster or Local is allowed"),
        ({"prefix": "Bad_"}, "spec.prefix: 'Bad_'"),
    ],
)
def test_a_bad_spec_names_field_value_and_what_is_allowed(fields: dict[str, object], said: str) -> None:
    simulation = Simulation()
    simulation.prepare()
    simulation.create(**fields)

    assert said in simulation.message("Validated")
    assert said in simulation.message("Ready")
    assert simulation.deployments == {}


def test_a_bad_edit_keeps_the_last_good_rows() -> None:
    simulation = created()
    before = simulation.rows[GATEWAY]

    simulation.create(replicas=11, generation=2)
    simulation.answer_all()

    assert simulation.rows[GATEWAY] == before
    assert simulation.intent().workload is not None
    assert not simulation.status().ready
    assert simulation.status().internal_ips == ("10.16.0.12",)


def test_a_spec_that_is_no_object_at_all() -> None:
    simulation = Simulation()
    simulation.prepare()
    simulation.create(spec={})
    assert "spec.externalSubnet: absent: it is required" in simulation.message()


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        (Vpc, 'spec.vpc: Vpc "ovn-cluster" does not exist'),
        (Subnet, 'spec.externalSubnet: Subnet "macvlan1" does not exist'),
        (
            NetworkAttachment,
            'NetworkAttachmentDefinition "default/eth1" (provider of Subnet "macvlan1") does not exist',
        ),
    ],
)
def test_what_is_missing_is_named_and_awaited(missing: type[AnyProjection], said: str) -> None:
    simulation = Simulation()
    simulation.happen(PlannerConfigured(settings=SETTINGS))
    absent = [item for item in NETWORKS if isinstance(item, missing) and item.name != "ovn-default"]
    for projection in NETWORKS:
        if projection not in absent:
            simulation.see(projection)
    simulation.create()
    assert said in simulation.message()
    assert simulation.deployments == {}

    for projection in absent:
        simulation.see(projection)
    simulation.answer_all()
    assert simulation.deployments


def test_one_bad_gateway_does_not_stop_another() -> None:
    simulation = created()
    simulation.see(gateway(name="bad", spec={"replicas": "x"}))
    simulation.create(replicas=2, generation=2)
    simulation.answer_all()
    simulation.start_pods(2)
    simulation.report_config(2)
    simulation.answer_all()
    assert simulation.status().ready
    assert "spec.replicas" in simulation.message("Validated", "default/bad")


def test_the_prefix_is_immutable_also_when_it_was_unset() -> None:
    simulation = created()
    simulation.create(prefix="veg-", generation=2)
    assert "spec.prefix: 'veg-': This field is immutable." in simulation.message("Validated")
    assert list(simulation.deployments) == [GATEWAY]


def test_what_has_no_effect_is_said() -> None:
    simulation = Simulation()
    simulation.prepare()
    simulation.create(trafficPolicy="Local")
    assert "spec.trafficPolicy: 'Local'" in simulation.message("ActedOn")


def test_a_refused_command_is_named_and_tried_again_when_time_passes() -> None:
    simulation = Simulation()
    simulation.prepare()
    simulation.create()
    workload = next(outgoing for outgoing in simulation.pending if outgoing.part is Part.WORKLOAD)
    simulation.pending.clear()
    simulation.happen(
        CommandFailed(
            command_id=workload.id,
            gateway=GATEWAY,
            gateway_uid=workload.data.gateway_uid,
            part="workload",
            generation=workload.data.generation,
            message="Deployment default/gateway1 exists and is not ours",
        )
    )
    assert "Deployment default/gateway1 exists and is not ours" in simulation.message()
    assert not any(outgoing.part is Part.WORKLOAD for outgoing in simulation.pending), "no loop"
    assert simulation.world.wants_tick()

    simulation.happen(Ticked(at="2026-01-01T00:01:00Z"))
    assert any(outgoing.part is Part.WORKLOAD for outgoing in simulation.pending)
    simulation.answer_all()
    assert "not ours" not in simulation.message()


POD_UID = "uid-Pod-default/gateway1-0"


def report(simulation: Simulation, **changes: object) -> None:
    """What an agent reports, or somebody who has an agent's credential."""
    honest = ConfigApplied(
        gateway=GATEWAY,
        gateway_uid="uid-VpcEgressGateway-default/gateway1",
        pod="gateway1-0",
        pod_uid=POD_UID,
        generation=1,
    )
    simulation.happen(msgspec.structs.replace(honest, **changes))


@pytest.mark.parametrize("generation", [2**63 - 1, 2**62, 2**33])
@pytest.mark.parametrize("pod_uid", [POD_UID, "not-known"])
def test_a_generation_that_no_agent_can_have_seen_is_ignored(generation: int, pod_uid: str) -> None:
    simulation = created()
    before, known = simulation.intent().generation, simulation.world.agent(pod_uid)
    report(simulation, generation=generation, pod_uid=pod_uid)
    assert simulation.world.agent(pod_uid) == known
    simulation.create(replicas=2, generation=2)
    assert simulation.intent().generation == before + 1


def test_a_report_of_a_gateway_about_the_pod_of_another_one_is_ignored() -> None:
    simulation = created()
    simulation.create(name="other")
    simulation.answer_all()
    known, before = simulation.world.agent(POD_UID), simulation.intent("default/other")
    report(simulation, gateway="default/other", gateway_uid="uid-VpcEgressGateway-default/other", generation=40)
    assert simulation.world.agent(POD_UID) == known
    simulation.create(name="other", replicas=2, generation=2)
    assert simulation.intent("default/other").generation == before.generation + 1


def test_a_report_for_another_gateway_uid_does_not_displace_the_true_one_nor_hold_it_up() -> None:
    simulation = created()
    known = simulation.world.agent(POD_UID)
    report(simulation, gateway_uid="forged", generation=50)
    assert simulation.world.agent(POD_UID) == known

    simulation = Simulation()
    simulation.prepare()
    report(simulation, gateway_uid="forged", generation=50)
    simulation.create()
    simulation.answer_all()
    simulation.start_pods(1)
    simulation.report_config(1)
    simulation.answer_all()
    assert simulation.status().ready


def test_a_report_may_come_before_its_pod() -> None:
    simulation = Simulation()
    simulation.prepare()
    for number in (1, 2):
        report(simulation, generation=number)
        agent = simulation.world.agent(POD_UID)
        assert agent is not None
        assert agent.generation == number, "also once the pod is known, and its gateway is not"
        simulation.see(pod(0))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    [
        *(
            "vpc",
            "replicas",
            "prefix",
            "image",
            "internalSubnet",
            "externalSubnet",
            "internalIPs",
            "externalIPs",
            "bfd",
        ),
        *("policies", "selectors", "nodeSelector", "trafficPolicy", "tolerations", "resources", "podAntiAffinity"),
        *("internalIPPool", "externalIPPool", "unknown"),
    ]
)


@given(st.dictionaries(FIELDS, JSON | st.sampled_from(["ovn-cluster", "macvlan1", 1, ["10.0.0.0/8"]]), max_size=6))
def test_any_json_as_a_spec_is_answered_with_an_intent_or_a_condition(spec: dict[str, object]) -> None:
    simulation = Simulation()
    simulation.prepare()
    simulation.create(spec={"externalSubnet": "macvlan1", "policies": [{"ipBlocks": ["10.0.0.0/8"]}]} | spec)
    assert simulation.intent().workload is not None or simulation.message("Ready")


def test_a_pod_that_speaks_for_another_one_of_its_gateway_is_ignored() -> None:
    simulation = created(2)
    simulation.report_config(2)
    known = simulation.world.agent(POD_UID)
    assert known is not None
    report(simulation, pod="gateway1-1", generation=known.generation + 1)
    assert simulation.world.agent(POD_UID) == known


def test_what_another_pod_said_before_the_pod_was_known_counts_for_nothing() -> None:
    simulation = created(1)
    simulation.see(gateway(replicas=2, generation=2))
    simulation.answer_all()
    late = "uid-Pod-default/gateway1-1"
    config = simulation.config[GATEWAY]
    assert config is not None
    report(simulation, pod_uid=late, generation=2**20, sources=config.sources)
    simulation.start_pods(2)
    simulation.answer_all()
    (policy,) = simulation.rows[GATEWAY].policies
    assert policy.nexthops == ("10.16.0.12",)
    simulation.report_config(2)
    known = simulation.world.agent(late)
    assert known is not None
    assert known.pod == "gateway1-1"


def test_sources_told_by_their_digest_are_those_of_the_config() -> None:
    simulation = created()
    config = simulation.config[GATEWAY]
    assert config is not None
    report(simulation, generation=config.generation, sources_digest=digest_of_sources(config.taken))
    known = simulation.world.agent(POD_UID)
    assert known is not None
    assert known.sources == config.sources
    report(simulation, generation=config.generation, sources_digest=digest_of_sources(()))
    assert simulation.world.agent(POD_UID) == known, "of another config: it says nothing"
