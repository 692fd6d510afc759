"""The relay of a BFD port (decision 0017): when there is one, and in which order it, pods and settings change."""

import msgspec
import pytest
from support.simulation import GATEWAY, SETTINGS, Simulation, client, pod
from unit.planner.test_bfd import NODES, ONE, PEER, TWO, node, vpc
from unit.planner.test_bfd_ports import BFD, prepared

from veg_contracts.commands import EnsureNb
from veg_contracts.configuration import PlannerSettings
from veg_contracts.events import PlannerConfigured
from veg_contracts.intent import BfdRelay, NbRows
from veg_contracts.names import bfd_relay_mac
from veg_contracts.objects import Pod, Subnet
from veg_planner.plan import bfd_relay

VPC = "ovn-cluster"
FOUR, SIX = "169.254.37.84", "fd37:84::1"
OTHER = "169.254.99.99"
THEIRS = vpc(status_name="bfd@ovn-cluster", status_ip=PEER)


def told(simulation: Simulation) -> dict[str, str]:
    """To which address the pods send what is for a peer."""
    config = simulation.config[GATEWAY]
    assert config is not None
    assert config.bfd is not None
    return config.bfd.via


def ways(simulation: Simulation) -> set[str]:
    """What the pods have a route to."""
    config = simulation.config[GATEWAY]
    assert config is not None
    return {route.destination for route in config.routes}


def relays(simulation: Simulation) -> tuple[str, ...]:
    """The addresses of the relay that is wanted in OVN."""
    port = simulation.rows[VPC].bfd_port
    return port.relay.networks if port is not None and port.relay is not None else ()


def configure(simulation: Simulation, **settings: object) -> None:
    simulation.happen(PlannerConfigured(settings=msgspec.structs.replace(SETTINGS, **settings)))


def nb_commands(simulation: Simulation) -> list[EnsureNb]:
    return [each.data for each in simulation.pending if isinstance(each.data, EnsureNb) and each.data.gateway == VPC]


@pytest.mark.parametrize(
    ("said", "theirs", "made"),
    [
        ("auto", False, True),
        ("on", False, True),
        ("off", False, False),
        ("auto", True, False),
        ("on", True, True),
        ("off", True, False),
    ],
)
def test_auto_is_on_for_ports_that_are_ours_to_make(said: str, theirs: bool, made: bool) -> None:
    simulation = prepared(THEIRS if theirs else vpc(), manage_bfd_ports=not theirs, bfd_relay=said)
    assert relays(simulation) == ((FOUR,) if made else ())
    assert told(simulation) == ({PEER: FOUR} if made else {})
    assert (f"{FOUR}/32" in ways(simulation)) == made
    rows = simulation.rows[VPC]
    port = rows.bfd_port
    assert port is not None
    assert port.peer_only == theirs
    assert rows == bfd_relay.attach(
        NbRows(router="" if theirs and not made else VPC, bfd_port=port), VPC, VPC, relays(simulation)
    )


def test_the_rows_of_a_relay() -> None:
    rows = prepared(vpc(ip=f"{PEER},fdff::1"), bfd_relay="auto").rows[VPC]
    assert rows.bfd_port is not None
    assert rows.bfd_port.relay == BfdRelay(name="bfd-relay@ovn-cluster", mac=bfd_relay_mac(VPC), networks=(FOUR, SIX))
    assert [(policy.priority, policy.match, policy.action) for policy in rows.policies] == [
        (31500, f"ip4.dst == {FOUR} && udp.dst == 3784", "allow"),
        (31500, f"ip6.dst == {SIX} && udp.dst == 3784", "allow"),
    ]
    assert [(route.ip_prefix, route.nexthop, route.output_port) for route in rows.static_routes] == [
        (f"{FOUR}/32", FOUR, "bfd@ovn-cluster"),
        (f"{SIX}/128", SIX, "bfd@ovn-cluster"),
    ]
    assert [(session.logical_port, session.dst_ip) for session in rows.sessions] == [("bfd-relay@ovn-cluster", FOUR)]


@pytest.mark.parametrize(
    ("port", "setting", "networks"),
    [
        (PEER, f"{FOUR},{SIX}", (FOUR,)),
        ("fdff::1", f"{FOUR},{SIX}", (SIX,)),
        (f"{PEER},fdff::1", f"{FOUR},{SIX}", (FOUR, SIX)),
        (f"{PEER},fdff::1", SIX, (SIX,)),
        (PEER, SIX, ()),
    ],
)
def test_a_relay_has_the_families_of_its_port(port: str, setting: str, networks: tuple[str, ...]) -> None:
    assert relays(prepared(vpc(ip=port), bfd_relay="auto", bfd_relay_ips=setting)) == networks


def test_pods_are_told_when_the_relay_is_reported_and_not_before() -> None:
    simulation = prepared(vpc())
    assert told(simulation) == {}
    before = simulation.rows[GATEWAY]
    configure(simulation, bfd_relay="auto")
    (command,) = nb_commands(simulation)
    assert command.rows.bfd_port is not None
    assert command.rows.bfd_port.relay is not None
    config = simulation.world.intent(GATEWAY)
    assert config is not None
    assert config.config is not None
    assert config.config.bfd is not None
    assert config.config.bfd.via == {}
    simulation.answer_all()
    assert told(simulation) == {PEER: FOUR}
    assert {f"{PEER}/32", f"{FOUR}/32"} <= ways(simulation)
    assert simulation.rows[GATEWAY] == before


def test_a_relay_goes_when_all_pods_have_been_told_and_their_way_there_with_it() -> None:
    simulation = prepared(vpc(), bfd_relay="on")
    simulation.report_config(2)
    configure(simulation, bfd_relay="off")
    assert nb_commands(simulation) == []
    simulation.answer_all()
    assert told(simulation) == {}
    assert f"{FOUR}/32" in ways(simulation), "what is still sent there must not leave by another way"
    simulation.report_config(1)
    simulation.answer_all()
    assert relays(simulation) == (FOUR,)
    report = simulation.world.report(VPC)
    assert report is not None
    waits = [step.text for step in report.steps if step.state == "waits"]
    assert waits == [f"keeps {FOUR} until pod {pod(1).key} has been told to send to it no more"]
    simulation.report_config(2)
    simulation.answer_all()
    assert relays(simulation) == ()
    assert f"{FOUR}/32" not in ways(simulation)


@pytest.mark.parametrize("how", ["deleted", "failed", "with its gateway"])
def test_a_relay_does_not_wait_for_a_pod_that_is_no_more(how: str) -> None:
    simulation = prepared(vpc(), bfd_relay="on")
    simulation.report_config(2)
    configure(simulation, bfd_relay="off")
    simulation.answer_all()
    simulation.report_config(1)
    gone = pod(1)
    assert isinstance(gone, Pod)
    if how == "deleted":
        simulation.lose(gone)
    elif how == "failed":
        simulation.see(msgspec.structs.replace(gone, phase="Failed"))
    else:
        from support.simulation import gateway  # noqa: PLC0415

        simulation.lose(gateway())
    simulation.answer_all()
    assert relays(simulation) == ()


def test_an_address_that_is_changed_is_taken_up_before_the_old_one_goes() -> None:
    simulation = prepared(vpc(), bfd_relay="on")
    simulation.report_config(2)
    configure(simulation, bfd_relay="on", bfd_relay_ips=OTHER)
    (command,) = nb_commands(simulation)
    assert command.rows.bfd_port is not None
    assert command.rows.bfd_port.relay is not None
    assert command.rows.bfd_port.relay.networks == (FOUR, OTHER)
    assert told(simulation) == {PEER: FOUR}
    simulation.answer_all()
    assert told(simulation) == {PEER: OTHER}
    assert relays(simulation) == (FOUR, OTHER)
    simulation.report_config(2)
    simulation.answer_all()
    assert relays(simulation) == (OTHER,)
    assert told(simulation) == {PEER: OTHER}


def test_a_port_that_is_handed_over_keeps_its_relay_where_it_is_on_and_else_until_pods_are_told() -> None:
    for said, left in (("on", (FOUR,)), ("auto", ())):
        simulation = prepared(vpc(), bfd_relay=said)
        simulation.report_config(2)
        configure(simulation, bfd_relay=said, manage_bfd_ports=False)
        simulation.see(THEIRS)
        simulation.answer_all()
        port = simulation.rows[VPC].bfd_port
        assert port is not None
        assert port.peer_only
        assert relays(simulation) == (FOUR,), said
        simulation.report_config(2)
        simulation.answer_all()
        assert relays(simulation) == left, said


def test_a_subnet_of_the_vpc_that_has_the_address_leaves_no_relay_and_is_named() -> None:
    simulation = prepared(vpc(), bfd_relay="on")
    simulation.report_config(2)
    taken = Subnet(name="odd", vpc=VPC, provider="ovn", cidr="169.254.0.0/16", gateway="169.254.0.1", validated=True)
    elsewhere = msgspec.structs.replace(taken, name="other", vpc="vpc9")
    simulation.see(elsewhere)
    simulation.answer_all()
    assert relays(simulation) == (FOUR,)
    simulation.see(taken)
    simulation.answer_all()
    assert told(simulation) == {}
    simulation.report_config(2)
    simulation.answer_all()
    assert relays(simulation) == ()
    report = simulation.world.report(GATEWAY)
    assert report is not None
    text = f'VEG_BFD_RELAY_IPS: {FOUR} is in Subnet "odd" of Vpc "ovn-cluster"'
    assert [step for step in report.steps if step.text.startswith(text)]


def test_beside_a_port_of_somebody_else_pods_are_told_of_no_relay() -> None:
    from unit.planner.test_bfd_ports import annotated_and_pending, whose  # noqa: PLC0415

    simulation = annotated_and_pending()
    configure(simulation, bfd_relay="on")
    simulation.pending = simulation.pending[-1:]
    whose(simulation, "foreign")
    assert told(simulation) == {}


def test_sessions_and_rows_of_a_gateway_do_not_change_with_the_relay() -> None:
    simulation = prepared(vpc())
    for ip in (ONE, TWO):
        simulation.session(ip, "up")
    simulation.answer_all()
    before = simulation.rows[GATEWAY]
    for said in ("on", "off"):
        configure(simulation, bfd_relay=said)
        simulation.answer_all()
        simulation.report_config(2)
        simulation.answer_all()
        assert simulation.rows[GATEWAY] == before


def test_a_log_of_before_there_were_relays_has_none() -> None:
    assert PlannerSettings().bfd_relay == "off"
    assert relays(prepared(vpc())) == ()


def test_a_pod_that_comes_later_is_told_from_the_start() -> None:
    simulation = Simulation()
    simulation.prepare()
    configure(simulation, bfd_relay="on")
    simulation.see(node(NODES[0]))
    simulation.see(vpc())
    simulation.answer_all()
    assert relays(simulation) == (FOUR,), "with the port, before anybody uses it"
    simulation.create(replicas=2, bfd=BFD)
    simulation.answer_all()
    assert told(simulation) == {PEER: FOUR}
    simulation.see(client("a"))
