"""A gateway whose internal subnet becomes another one: pods of both serve until the last old one is replaced."""

from support.simulation import GATEWAY, created, pod

from veg_contracts.intent import Route
from veg_contracts.objects import Subnet

INNER = Subnet(
    name="inner", vpc="ovn-cluster", provider="ovn", cidr="10.67.0.0/24", gateway="10.67.0.1", validated=True
)
POLICIES = [{"snat": True, "ipBlocks": ["10.16.0.9", "10.20.0.0/24"]}]


def way(destination: str, gateway: str) -> Route:
    return Route(destination=destination, gateway=gateway, interface="eth0")


def test_pods_of_the_subnet_before_keep_their_way_back() -> None:
    simulation = created()
    simulation.see(INNER)
    simulation.create(generation=2, policies=POLICIES)
    simulation.answer_all()
    before = simulation.config[GATEWAY]
    assert before is not None
    assert before.routes == (way("10.20.0.0/24", "10.16.0.1"),)

    simulation.create(generation=3, policies=POLICIES, internalSubnet="inner")
    simulation.answer_all()
    during = simulation.config[GATEWAY]
    assert during is not None
    assert during.routes == (
        way("10.16.0.9/32", "10.67.0.1"),
        way("10.20.0.0/24", "10.67.0.1"),
        way("10.20.0.0/24", "10.16.0.1"),
    )

    simulation.see(pod(1, logical_switch="inner", ips=("10.67.0.5",)))
    simulation.lose(pod(0))
    simulation.answer_all()
    after = simulation.config[GATEWAY]
    assert after is not None
    assert after.routes == during.routes[:2]
