"""While nothing can be planned, the last good rows stay and follow the pods: failover and drain go on."""

from collections.abc import Callable

import pytest
from support.custom_vpc import KEY, created2
from support.simulation import GATEWAY, NETWORKS, SPEC, Simulation, client, created, gateway, pod

from veg_contracts import names
from veg_contracts.commands import EnsureWorkload
from veg_contracts.configuration import PlannerSettings
from veg_contracts.events import PlannerConfigured
from veg_contracts.objects import BfdPort, IPPool, Node, Subnet, Vpc

ONE, TWO, THREE = "10.16.0.12", "10.16.0.13", "10.16.0.14"
POOL = IPPool(name="pool", subnet="macvlan1", ips=("172.17.0.11..172.17.0.19",))
PORT = BfdPort(enabled=True, ip="10.255.255.255", status_name="bfd@ovn-cluster", status_ip="10.255.255.255")
VPC = Vpc(name="ovn-cluster", router="ovn-cluster", default_subnet="ovn-default", bfd_port=PORT)
WATCHED = {"replicas": 2, "bfd": {"enabled": True}, "externalIPPool": "pool"}
_, INTERNAL, EXTERNAL, ATTACHMENT, _ = NETWORKS
OTHER = Subnet(
    name="other", vpc="ovn-cluster", provider="ovn", cidr="10.18.0.0/16", gateway="10.18.0.1", validated=True
)

# What can be wrong, and what the status says then.
Wrong = Callable[[Simulation], object]
WRONGS: dict[str, tuple[Wrong, str]] = {
    "spec": (lambda it: it.create(**WATCHED | {"replicas": 11}, generation=2), "spec.replicas: 11"),
    "prefix": (lambda it: it.create(**WATCHED, prefix="veg-", generation=2), "spec.prefix: 'veg-'"),
    "attachment": (lambda it: it.lose(ATTACHMENT), 'NetworkAttachmentDefinition "default/eth1"'),
    "external subnet": (lambda it: it.lose(EXTERNAL), 'Subnet "macvlan1" does not exist'),
    "internal subnet": (lambda it: it.lose(INTERNAL), 'Subnet "ovn-default" does not exist'),
    "pool": (lambda it: it.lose(POOL), 'IPPool "pool" does not exist'),
    "router": (
        lambda it: it.see(Vpc(name="ovn-cluster", default_subnet="ovn-default", bfd_port=PORT)),
        "status.router is empty",
    ),
}
anything_wrong = pytest.mark.parametrize(("wrong", "said"), WRONGS.values(), ids=WRONGS)


def watched() -> Simulation:
    """A gateway of two pods whose BFD sessions are up."""
    simulation = Simulation()
    simulation.prepare()
    for projection in (Node(name="n1", ready=True, chassis="chassis-n1"), VPC, POOL):
        simulation.see(projection)
    simulation.answer_all()
    simulation.create(**WATCHED)
    simulation.answer_all()
    simulation.start_pods(2)
    simulation.report_config(2)
    for ip in (ONE, TWO):
        simulation.session(ip, "up")
    simulation.answer_all()
    assert nexthops(simulation) == {ONE, TWO}
    assert simulation.status().ready
    return simulation


def nexthops(simulation: Simulation) -> set[str]:
    return simulation.rows[GATEWAY].nexthops


@anything_wrong
def test_it_is_said_and_nothing_else_changes(wrong: Wrong, said: str) -> None:
    simulation = watched()
    before = simulation.intent()
    wrong(simulation)
    simulation.answer_all()
    after = simulation.intent()
    assert said in simulation.message()
    assert not simulation.status().ready
    assert (after.nb, after.config, after.workload) == (before.nb, before.config, before.workload)
    assert after.generations.nb == before.generations.nb
    assert simulation.status().internal_ips == (ONE, TWO)


@anything_wrong
def test_failover_goes_on(wrong: Wrong, said: str) -> None:
    simulation = watched()
    wrong(simulation)
    simulation.answer_all()
    simulation.session(ONE, "down")
    simulation.answer_all()
    assert nexthops(simulation) == {TWO}
    assert said in simulation.message()

    simulation.restart()
    simulation.session(ONE, "up")
    simulation.answer_all()
    assert nexthops(simulation) == {ONE, TWO}
    assert said in simulation.message()


@anything_wrong
def test_drain_goes_on_and_a_replacement_joins(wrong: Wrong, said: str) -> None:
    simulation = watched()
    rolled_out = len(simulation.commands(EnsureWorkload))
    wrong(simulation)
    simulation.answer_all()
    simulation.restart()
    simulation.see(pod(0, deleting=True))
    (rows,) = [outgoing for outgoing in simulation.pending if outgoing.part == "nb"]
    assert rows.data.rows.nexthops == {TWO}  # type: ignore[union-attr]
    assert simulation.intent().config.released == ()  # type: ignore[union-attr]
    simulation.answer_all()
    assert simulation.intent().config.released == ("default/gateway1-0",)  # type: ignore[union-attr]
    simulation.lose(pod(0))
    simulation.answer_all()
    assert simulation.status().internal_ips == (TWO,)

    successor = pod(2)
    simulation.see(successor)
    simulation.answer_all()
    simulation.happen_config(GATEWAY, successor)
    simulation.session(THREE, "up")
    simulation.answer_all()
    assert nexthops(simulation) == {TWO, THREE}
    assert simulation.status().internal_ips == (TWO, THREE)
    assert simulation.status().external_ips == ("172.17.0.12", "172.17.0.13")
    assert simulation.status().workload.nodes == ("node1", "node2")
    assert said in simulation.message()
    assert len(simulation.commands(EnsureWorkload)) == rolled_out


def test_without_its_vpc_it_goes_on_unwatched() -> None:
    """The BFD port goes with the Vpc: without a session that could say otherwise, every pod counts as up."""
    simulation = watched()
    simulation.lose(VPC)
    simulation.answer_all()
    for ip in (ONE, TWO):
        simulation.session(ip, "")
    simulation.answer_all()
    assert nexthops(simulation) == {ONE, TWO}
    assert 'Vpc "ovn-cluster" does not exist' in simulation.message()


def test_the_report_says_what_goes_on() -> None:
    simulation = watched()
    simulation.create(replicas=11, generation=2)
    simulation.session(ONE, "down")
    report = simulation.world.report(GATEWAY)
    assert report is not None
    texts = [step.text for step in report.steps]
    assert any("spec.replicas" in text for text in texts)
    assert "goes on with the spec and the networks that it was last planned from" in texts
    assert any(text.endswith("is down") for text in texts)
    assert "is down" not in simulation.message(), "it is not what keeps the gateway from being ready"


def test_once_it_is_mended_what_the_spec_says_is_done() -> None:
    simulation = watched()
    simulation.create(**WATCHED | {"replicas": 11}, generation=2)
    simulation.answer_all()
    simulation.create(**WATCHED, policies=[{"snat": True, "ipBlocks": ["10.17.0.0/16"]}], generation=3)
    simulation.answer_all()
    simulation.report_config(2)
    simulation.answer_all()
    assert simulation.status().ready
    matches = {policy.match for policy in simulation.rows[GATEWAY].policies}
    assert matches == {"ip4.src == 10.17.0.0/16"}


def test_sources_stay_as_they_were_whatever_becomes_of_their_subnets() -> None:
    simulation = created()
    simulation.see(OTHER)
    policies = [{"snat": True, "subnets": ["ovn-default", "other"]}]
    simulation.create(policies=policies, generation=2)
    simulation.answer_all()
    simulation.report_config(1)
    simulation.answer_all()
    before = simulation.rows[GATEWAY]
    assert len(before.policies) == 2

    simulation.create(policies=policies, replicas=11, generation=3)
    simulation.lose(OTHER)
    simulation.answer_all()
    assert simulation.rows[GATEWAY] == before

    simulation.create(policies=policies, generation=4)
    simulation.answer_all()
    assert simulation.rows[GATEWAY] == before
    assert 'Subnet "other" does not exist' in simulation.message()
    simulation.create(policies=[{"snat": True, "subnets": ["ovn-default"]}], generation=5)
    simulation.answer_all()
    assert [policy.match for policy in simulation.rows[GATEWAY].policies] == ["ip4.src == 10.16.0.0/16"]


def test_a_typo_in_a_subnet_gives_no_source_up_and_the_rest_of_the_spec_counts() -> None:
    simulation = created()
    before = simulation.rows[GATEWAY]
    typo = [{"snat": True, "subnets": ["ovn-defualt"], "ipBlocks": ["10.30.0.0/16"]}]
    simulation.create(policies=typo, replicas=2, generation=2)
    simulation.answer_all()
    simulation.report_config(1)
    simulation.answer_all()
    matches = [policy.match for policy in simulation.rows[GATEWAY].policies]
    assert matches == [before.policies[0].match, "ip4.src == 10.30.0.0/16"]
    assert 'spec.policies[0].subnets: Subnet "ovn-defualt" does not exist' in simulation.message()
    assert simulation.deployments[GATEWAY][1].replicas_wanted == 2
    # A younger one does not get meanwhile what is still served.
    simulation.create(name="younger", created_at="2027-01-01T00:00:00Z")
    simulation.answer_all()
    assert "taken by VpcEgressGateway default/gateway1" in simulation.message(key="default/younger")


def test_a_move_to_a_vpc_in_which_its_subnets_are_not_rolls_no_pod() -> None:
    simulation = created()
    simulation.see(Vpc(name="vpc1", router="vpc1"))
    simulation.see(
        Subnet(name="in1", vpc="vpc1", provider="ovn", cidr="192.168.0.0/24", gateway="192.168.0.1", validated=True)
    )
    before, deployment = simulation.rows[GATEWAY], simulation.deployments[GATEWAY]
    simulation.create(vpc="vpc1", internalSubnet="in1", generation=2)
    simulation.answer_all()
    assert simulation.rows[GATEWAY] == before
    assert simulation.deployments[GATEWAY] == deployment
    assert 'Subnet "ovn-default" belongs to Vpc "ovn-cluster", not to "vpc1"' in simulation.message()


def test_settings_that_change_meanwhile_roll_no_pod() -> None:
    simulation = created()
    workload = simulation.intent().workload
    simulation.lose(ATTACHMENT)
    simulation.happen(PlannerConfigured(settings=PlannerSettings(image="gw:another")))
    assert simulation.intent().workload == workload
    simulation.see(ATTACHMENT, "another-uid")
    assert simulation.intent().workload != workload


@pytest.mark.parametrize("fields", [{"replicas": 11}, {"externalSubnet": "nowhere"}, {"prefix": "veg-"}])
def test_what_it_claims_is_what_its_rows_have(fields: dict[str, object]) -> None:
    """Not what a spec says that is not acted on: two gateways would have the same rows, or nobody any."""
    simulation = created()
    simulation.create(policies=[{"snat": True, "ipBlocks": ["10.17.0.0/16"]}], generation=2, **fields)
    key = "default/young"
    spec = {"externalSubnet": "macvlan1", "policies": [{"snat": True, "ipBlocks": ["10.16.0.0/16", "10.17.0.0/16"]}]}
    simulation.see(gateway(name="young", created_at="2026-02-01T00:00:00Z", spec=spec))
    simulation.answer_all()
    simulation.see(pod(4, key))
    simulation.happen_config(key, pod(4, key))
    simulation.answer_all()
    assert "source 10.16.0.0/16 is taken by VpcEgressGateway default/gateway1" in simulation.message("Ready", key)
    assert [policy.match for policy in simulation.rows[key].policies] == ["ip4.src == 10.17.0.0/16"]
    assert [policy.match for policy in simulation.rows[GATEWAY].policies] == ["ip4.src == 10.16.0.0/16"]


def test_a_claim_is_kept_before_there_are_rows_and_they_come_with_the_pods() -> None:
    simulation = Simulation()
    simulation.prepare()
    simulation.create()
    simulation.answer_all()
    simulation.create(replicas=11, generation=2)
    simulation.see(gateway(name="young", created_at="2026-02-01T00:00:00Z", spec=SPEC))
    simulation.answer_all()
    assert "is taken by VpcEgressGateway default/gateway1" in simulation.message("Ready", "default/young")
    simulation.start_pods(1)
    simulation.report_config(1)
    simulation.answer_all()
    assert nexthops(simulation) == {ONE}


def test_the_leader_of_a_vpc_goes_on_to_let_selected_pods_get_as_far_as_the_policies() -> None:
    selectors = [{"podSelector": {"matchLabels": {"app": "web"}}}]
    simulation = created2(policies=[], selectors=selectors)
    simulation.see(client("a", logical_router="vpc1"))
    simulation.answer_all()
    before, members = simulation.rows[KEY], dict(simulation.members)
    assert before.static_routes
    simulation.see(gateway(name="gateway2", spec={"replicas": "x"}, generation=2))
    simulation.see(pod(0, KEY, ips=("192.168.0.2",), deleting=True))
    simulation.answer_all()
    after = simulation.rows[KEY]
    assert after.static_routes == before.static_routes
    assert after.nexthops - {"192.168.0.1", "192.168.1.1"} == {"192.168.0.3"}
    simulation.see(client("b", logical_router="vpc1"))
    simulation.answer_all()
    assert simulation.members == {group: ports | {"b.default"} for group, ports in members.items()}


def test_port_groups_by_node_follow_the_pods() -> None:
    simulation = watched()
    simulation.create(**WATCHED, trafficPolicy="Local", generation=2)
    simulation.answer_all()
    simulation.create(**WATCHED | {"replicas": 11}, trafficPolicy="Local", generation=3)
    simulation.answer_all()
    simulation.lose(pod(0))
    simulation.see(pod(2))
    simulation.answer_all()
    wanted = {names.node_port_group(GATEWAY, node) for node in ("node1", "node2")}
    assert set(simulation.rows[GATEWAY].port_groups) == wanted
    assert all(simulation.world.local_group(group) is not None for group in wanted)


def test_a_gateway_of_the_same_name_goes_by_nothing_of_its_predecessor() -> None:
    simulation = created()
    simulation.see(gateway(spec={"replicas": "x"}, created_at="2026-03-01T00:00:00Z"), "another-uid")
    simulation.answer_all()
    assert simulation.world.basis(GATEWAY) is None
    assert simulation.intent().workload is None
    assert simulation.rows[GATEWAY].empty


def test_of_a_gateway_that_is_gone_nothing_is_remembered() -> None:
    simulation = watched()
    simulation.create(**WATCHED | {"replicas": 11}, generation=2)
    simulation.answer_all()
    simulation.see(gateway(deleting=True, finalizers=(names.FINALIZER,), generation=3, replicas=11))
    simulation.answer_all()
    assert simulation.rows[GATEWAY].empty
    simulation.lose(pod(0))
    simulation.lose(pod(1))
    simulation.answer_all()
    assert simulation.world.basis(GATEWAY) is None
    assert not simulation.intent().finalizer
