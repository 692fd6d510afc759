"""Whose BFD port it is: ours by `Vpc.spec.bfdPort` or by annotation, or Kube-OVN's, which gets a stub peer."""

from typing import Any

import msgspec
import pytest
from support.simulation import GATEWAY, SETTINGS, Simulation, gateway
from unit.planner.test_bfd import NODES, ONE, PEER, TWO, node, vpc

from veg_contracts.commands import EnsureNb, EnsureVpcStatus
from veg_contracts.events import CommandApplied, CommandFailed, PlannerConfigured
from veg_contracts.intent import BfdRouterPort, NbRows
from veg_contracts.objects import Vpc

BFD = {"enabled": True}
PEER_ONLY = BfdRouterPort(name="bfd@ovn-cluster", mac="", networks=(), chassis=(), peer_only=True)


def prepared(seen: Vpc, **settings: object) -> Simulation:
    """Nodes, and a gateway with BFD whose two pods run, beside that Vpc."""
    simulation = Simulation()
    simulation.prepare()
    simulation.happen(PlannerConfigured(settings=msgspec.structs.replace(SETTINGS, **settings)))
    for name in NODES:
        simulation.see(node(name))
    simulation.see(seen)
    simulation.create(replicas=2, bfd=BFD)
    simulation.answer_all()
    simulation.start_pods(2)
    simulation.report_config(2)
    simulation.answer_all()
    return simulation


def sessions(simulation: Simulation) -> list[tuple[str, str]]:
    return [(row.logical_port, row.dst_ip) for row in simulation.rows[GATEWAY].sessions]


def test_k7_a_port_by_annotation_is_made_and_used_though_the_vpc_has_no_status_for_it() -> None:
    simulation = prepared(vpc(annotated=True), manage_bfd_ports=False)
    port = simulation.rows["ovn-cluster"].bfd_port
    assert port is not None
    assert (port.networks, port.peer_only) == ((PEER,), False)
    assert sessions(simulation) == [("bfd@ovn-cluster", ONE), ("bfd@ovn-cluster", TWO)]
    for ip in (ONE, TWO):
        simulation.session(ip, "up")
    simulation.answer_all()
    simulation.report_config(2)
    simulation.answer_all()
    assert simulation.status().ready, simulation.message()
    told = len(simulation.commands(EnsureVpcStatus))
    simulation.see(vpc(annotated=True, ip=f"{PEER},fd00::255"))
    simulation.answer_all()
    simulation.see(vpc(annotated=True, ip=f"{PEER},fd00::255", node_selector={}))
    assert len(simulation.commands(EnsureVpcStatus)) == told + 1, "what the API server drops is not written again"


def test_k7_the_status_names_both_ways_to_a_port() -> None:
    simulation = prepared(Vpc(name="ovn-cluster", router="ovn-cluster", default_subnet="ovn-default"))
    assert "set its spec.bfdPort.enabled and spec.bfdPort.ip" in simulation.message()
    assert "its annotation vpc-egress-gateway.io/bfd-port" in simulation.message()


def test_k7_a_malformed_annotation_is_named() -> None:
    simulation = prepared(vpc(annotated=True))
    simulation.see(vpc(annotated=True, ip="10.255/x"))
    report = simulation.world.report("ovn-cluster")
    assert report is not None
    text = 'annotation vpc-egress-gateway.io/bfd-port: \'10.255/x\': an address "v4", "v6" or "v4,v6" is needed'
    assert [step.text for step in report.steps if step.state == "refused"] == [text]


def test_k7_the_annotation_may_name_the_nodes() -> None:
    simulation = prepared(vpc(annotated=True, node_selector={"matchLabels": {"egress": "yes"}}))
    simulation.see(node("n4", labels={"egress": "yes"}))
    simulation.answer_all()
    assert simulation.rows["ovn-cluster"].bfd_port.chassis == ("chassis-n4",)  # type: ignore[union-attr]
    simulation.see(vpc(annotated=True, node_selector={"matchLabels": "egress"}))
    report = simulation.world.report("ovn-cluster")
    assert report is not None
    text = "annotation vpc-egress-gateway.io/bfd-port-node-selector: 'egress': \"key=value,key=value\" is needed"
    assert [step.text for step in report.steps if step.state == "refused"] == [text]


def test_a_port_of_kube_ovn_gets_a_stub_peer_while_a_gateway_uses_it() -> None:
    theirs = vpc(status_name="bfd@ovn-cluster", status_ip=PEER)
    simulation = prepared(theirs, manage_bfd_ports=False)
    assert simulation.rows["ovn-cluster"] == NbRows(bfd_port=PEER_ONLY)
    assert simulation.commands(EnsureVpcStatus) == [], "its status is its maker's"
    assert sessions(simulation) == [("bfd@ovn-cluster", ONE), ("bfd@ovn-cluster", TWO)]
    simulation.create(replicas=2, bfd={"enabled": False}, generation=2)
    simulation.answer_all()
    assert simulation.rows.get("ovn-cluster", NbRows()).empty


BAD_TERM = {"matchExpressions": [{"key": "zone", "operator": "In"}]}


@pytest.mark.parametrize("change", [{"vpc": "nowhere"}, {"nodeSelector": [BAD_TERM]}], ids=["vpc", "selector"])
def test_its_stub_peer_stays_while_the_spec_of_a_serving_gateway_cannot_be_acted_on(change: dict[str, object]) -> None:
    simulation = prepared(vpc(status_name="bfd@ovn-cluster", status_ip=PEER), manage_bfd_ports=False)
    before = simulation.rows[GATEWAY].sessions
    simulation.create(replicas=2, bfd=BFD, generation=2, **change)
    simulation.answer_all()
    assert simulation.rows["ovn-cluster"] == NbRows(bfd_port=PEER_ONLY)
    assert simulation.rows[GATEWAY].sessions == before
    simulation.lose(gateway())
    simulation.answer_all()
    assert simulation.rows.get("ovn-cluster", NbRows()).empty, "with its last user it goes"


def test_nothing_is_written_beside_a_port_of_kube_ovn_that_no_gateway_uses() -> None:
    simulation = Simulation()
    simulation.prepare()
    simulation.happen(PlannerConfigured(settings=msgspec.structs.replace(SETTINGS, manage_bfd_ports=False)))
    simulation.see(vpc(status_name="bfd@ovn-cluster", status_ip=PEER))
    simulation.create()
    simulation.answer_all()
    assert "ovn-cluster" not in simulation.rows


def test_a_port_of_ours_waits_for_kube_ovn_and_is_handed_over_then() -> None:
    simulation = prepared(vpc(annotated=True), manage_bfd_ports=False)
    before = simulation.rows["ovn-cluster"]
    assert before.bfd_port is not None
    told = len(simulation.commands(EnsureVpcStatus))
    simulation.see(vpc())
    simulation.answer_all()
    assert simulation.rows["ovn-cluster"] == before, "while nobody else has made one, it is ours"
    simulation.see(vpc(status_name="bfd@ovn-cluster", status_ip=PEER))
    simulation.answer_all()
    assert simulation.rows["ovn-cluster"] == NbRows(bfd_port=PEER_ONLY)
    assert sessions(simulation) == [("bfd@ovn-cluster", ONE), ("bfd@ovn-cluster", TWO)]
    assert len(simulation.commands(EnsureVpcStatus)) == told, "its status is its maker's"


def test_a_port_of_ours_that_no_gateway_uses_is_handed_over_all_the_same() -> None:
    simulation = prepared(vpc())
    simulation.create(replicas=2, bfd={"enabled": False}, generation=2)
    simulation.answer_all()
    simulation.happen(PlannerConfigured(settings=msgspec.structs.replace(SETTINGS, manage_bfd_ports=False)))
    (handed_over,) = [outgoing for outgoing in simulation.pending if isinstance(outgoing.data, EnsureNb)]
    assert isinstance(handed_over.data, EnsureNb)
    assert handed_over.data.rows == NbRows(bfd_port=PEER_ONLY)
    simulation.see(node("n9"))
    assert [each for each in simulation.pending if isinstance(each.data, EnsureNb)] == [handed_over], "until it is so"
    whose(simulation, "peer")
    assert simulation.rows["ovn-cluster"].empty, "and then it has no peer of ours"


def test_a_port_of_ours_that_nobody_asks_for_goes_though_ports_are_kube_ovns() -> None:
    simulation = prepared(vpc(annotated=True), manage_bfd_ports=False)
    simulation.see(vpc(enabled=False))
    simulation.answer_all()
    assert simulation.rows["ovn-cluster"].empty


def whose(simulation: Simulation, owner: str) -> None:
    """The writer carries out what is pending, and says whose the BFD port is."""
    (outgoing,) = [
        each for each in simulation.pending if isinstance(each.data, EnsureNb) and "/" not in each.data.gateway
    ]
    simulation.pending.remove(outgoing)
    order = outgoing.data
    assert isinstance(order, EnsureNb)
    simulation.rows[order.gateway] = order.rows
    simulation.happen(
        CommandApplied(
            command_id=outgoing.id,
            gateway=order.gateway,
            gateway_uid=order.gateway_uid,
            part="nb",
            generation=order.generation,
            detail={"bfd_port": owner},
        )
    )
    simulation.answer_all()


def annotated_and_pending() -> Simulation:
    """A Vpc whose annotation asks for a port, of which the writer has not said yet what became of it."""
    simulation = Simulation()
    simulation.prepare()
    simulation.see(node(NODES[0]))
    simulation.create(replicas=2, bfd=BFD)
    simulation.answer_all()
    simulation.start_pods(2)
    simulation.report_config(2)
    simulation.answer_all()
    simulation.see(vpc(annotated=True))
    return simulation


def test_k7_a_port_of_somebody_else_is_used_with_the_address_of_the_annotation() -> None:
    simulation = annotated_and_pending()
    whose(simulation, "foreign")
    assert sessions(simulation) == [("bfd@ovn-cluster", ONE), ("bfd@ovn-cluster", TWO)]
    assert simulation.commands(EnsureVpcStatus) == [], "its status is its maker's"
    simulation.see(node(NODES[0], ready=False))
    assert sessions(simulation) == [("bfd@ovn-cluster", ONE), ("bfd@ovn-cluster", TWO)], "also while that is written"
    whose(simulation, "foreign")
    assert "no node runs" not in simulation.message(), "who runs it is not ours to know"
    assert not [step for step in simulation.world.report(GATEWAY).steps if "has no BFD port" in step.text]  # type: ignore[union-attr]
    for ip in (ONE, TWO):
        simulation.session(ip, "up")
    simulation.answer_all()
    simulation.report_config(2)
    simulation.answer_all()
    assert simulation.status().ready, simulation.message()


def test_k7_what_is_in_the_way_of_a_port_by_annotation_is_said() -> None:
    simulation = annotated_and_pending()
    asked = "has no BFD port yet, which its annotation vpc-egress-gateway.io/bfd-port asks for"
    assert asked in simulation.message()
    assert "set its spec.bfdPort" not in simulation.message()
    (outgoing,) = [
        each for each in simulation.pending if isinstance(each.data, EnsureNb) and "/" not in each.data.gateway
    ]
    order = outgoing.data
    assert isinstance(order, EnsureNb)
    simulation.happen(
        CommandFailed(
            command_id=outgoing.id,
            gateway=order.gateway,
            gateway_uid=order.gateway_uid,
            part="nb",
            generation=order.generation,
            message="it appears to belong to somebody",
        )
    )
    assert f"{asked}: it appears to belong to somebody" in simulation.message()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"ip": "10.255.255.300"}, "spec.bfdPort.ip: '10.255.255.300'"),
        (
            {"ip": PEER, "node_selector": {"matchLabels": "egress"}},
            "spec.bfdPort.nodeSelector: {'matchLabels': 'egress'}",
        ),
    ],
)
def test_a_wrong_value_of_the_port_is_named_by_the_gateway_that_waits_for_it(wrong: dict[str, Any], said: str) -> None:
    simulation = prepared(vpc(**wrong))
    assert f'Vpc "ovn-cluster" has no BFD port: {said}' in simulation.message()
