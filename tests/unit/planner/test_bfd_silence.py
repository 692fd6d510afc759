"""A chassis that is silent runs no BFD port of ours while another one can: OVN itself asks the tunnels only."""

import msgspec
import pytest
from support.simulation import GATEWAY, SETTINGS, Simulation
from unit.planner.test_bfd import NODES, PEER, node, up, vpc

from veg_contracts.base import encode
from veg_contracts.commands import EnsureNb, EnsureVpcStatus
from veg_contracts.events import ChassisObserved, PlannerConfigured, SilentChassis
from veg_contracts.intent import BfdRouterPort, NbRows
from veg_planner.replay import replay

VPC = "ovn-cluster"
MEMBERS = list(NODES[:3])  # the document: at most three


def observe(simulation: Simulation, *silent: str) -> None:
    """The chassis of these nodes are silent, and no other."""
    told = [
        SilentChassis(name=f"chassis-{name}", hostname=name, lacks=7, since="2026-01-01T14:03:05.000000Z")
        for name in silent
    ]
    simulation.happen(ChassisObserved(silent=tuple(told)))
    simulation.answer_all()


def members(simulation: Simulation) -> list[str]:
    """The nodes of the port's group, the preferred one first."""
    port = simulation.rows[VPC].bfd_port
    assert port is not None
    return [chassis.removeprefix("chassis-") for chassis in port.chassis]


def reported(simulation: Simulation) -> list[str]:
    report = simulation.world.report(VPC)
    assert report is not None
    return [step.text for step in report.steps if step.topic == "chassis"]


@pytest.mark.parametrize("name", MEMBERS)
def test_a_silent_chassis_leaves_the_group_and_takes_its_place_again(name: str) -> None:
    simulation = up()
    observe(simulation, name)
    assert members(simulation) == [each for each in MEMBERS if each != name]
    assert reported(simulation) == [f"the chassis of node {name} has no flows of OVN: it does not run the BFD port"]
    observe(simulation)
    assert members(simulation) == MEMBERS
    assert reported(simulation) == []


def test_the_status_of_the_vpc_and_the_gateway_stay_as_they_are() -> None:
    simulation = up()
    rows, told = simulation.rows[GATEWAY], len(simulation.commands(EnsureVpcStatus))
    observe(simulation, "n1")
    assert simulation.rows[GATEWAY] == rows
    assert simulation.status().ready
    observe(simulation)
    assert simulation.intent(VPC).vpc_status.nodes == tuple(MEMBERS)  # type: ignore[union-attr]
    assert len(simulation.commands(EnsureVpcStatus)) == told


def test_where_all_are_silent_the_group_stays_as_it_was() -> None:
    simulation = up()
    observe(simulation, "n1")
    orders = len(simulation.commands(EnsureNb))
    observe(simulation, *MEMBERS)
    assert members(simulation) == ["n2", "n3"]
    assert len(simulation.commands(EnsureNb)) == orders
    text = "no chassis of the BFD port has flows of OVN: that is doubted, and those that may run it stay"
    assert reported(simulation) == [text]
    observe(simulation, "n2")
    assert members(simulation) == ["n1", "n3"], "as soon as one of them lives they count again"


def test_a_group_that_is_new_has_all_nodes_when_all_are_silent() -> None:
    simulation = Simulation()
    simulation.prepare()
    observe(simulation, *MEMBERS)
    for name in MEMBERS:
        simulation.see(node(name))
    simulation.see(vpc())
    simulation.answer_all()
    assert members(simulation) == MEMBERS


def test_one_that_is_silent_and_selected_alone_stays() -> None:
    simulation = up()
    observe(simulation, "n1")
    simulation.see(node("n1", labels={"egress": "yes"}))
    simulation.see(vpc(node_selector={"matchLabels": {"egress": "yes"}}))
    simulation.answer_all()
    assert members(simulation) == ["n1"]
    simulation.see(node("n3", labels={"egress": "yes"}))
    simulation.answer_all()
    assert members(simulation) == ["n3"]


def test_a_chassis_of_no_member_changes_nothing() -> None:
    simulation = up()
    simulation.see(node("n9"))
    orders = len(simulation.commands(EnsureNb))
    observe(simulation, "n9")
    assert (members(simulation), reported(simulation)) == (MEMBERS, [])
    assert len(simulation.commands(EnsureNb)) == orders


def test_the_group_of_a_port_of_kube_ovn_is_not_ours() -> None:
    simulation = Simulation()
    simulation.prepare()
    simulation.happen(PlannerConfigured(settings=msgspec.structs.replace(SETTINGS, manage_bfd_ports=False)))
    for name in MEMBERS:
        simulation.see(node(name))
    simulation.see(vpc(status_name=f"bfd@{VPC}", status_ip=PEER))
    simulation.create(replicas=2, bfd={"enabled": True})
    simulation.answer_all()
    peer = BfdRouterPort(name=f"bfd@{VPC}", mac="", networks=(), chassis=(), peer_only=True)
    assert simulation.rows[VPC] == NbRows(bfd_port=peer)
    orders = len(simulation.commands(EnsureNb))
    observe(simulation, "n1")
    assert len(simulation.commands(EnsureNb)) == orders
    assert reported(simulation) == []


def test_a_restart_and_a_replay_decide_the_same() -> None:
    simulation = up()
    observe(simulation, "n1")
    simulation.restart()
    observe(simulation, "n1", "n2")
    assert members(simulation) == ["n3"]
    observe(simulation, *MEMBERS)
    simulation.restart()
    observe(simulation)
    assert members(simulation) == MEMBERS
    intents, commands = replay(simulation.log)
    assert encode(intents) == encode([intent for outcome in simulation.outcomes for intent in outcome.intents])
    assert encode(commands) == encode([outgoing.data for outgoing in simulation.sent])
