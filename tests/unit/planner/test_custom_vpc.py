"""Gateways of VPCs other than the default one, and gateways that want the same sources."""

import msgspec
import pytest
from support.custom_vpc import KEY, SPEC, created2, settle, vpc1
from support.simulation import GATEWAY, SETTINGS, Simulation, created, gateway, pod

from veg_contracts import names
from veg_contracts.events import PlannerConfigured
from veg_contracts.intent import NbRows, RoutePolicy, StaticRoute
from veg_contracts.objects import Subnet


def route(nexthop: str, prefix: str = "192.168.0.0/24") -> StaticRoute:
    return StaticRoute(
        family="4", ip_prefix=prefix, nexthop=nexthop, symmetric_reply=True, selection_fields=("ip_src",)
    )


def test_each_source_and_pod_has_a_static_route() -> None:
    simulation = created2()
    rows = NbRows(router="vpc1", static_routes=(route("192.168.0.2"), route("192.168.0.3")))
    assert simulation.rows[KEY] == rows
    assert simulation.status(KEY).ready


def test_policy_mode_leaves_traffic_inside_the_vpc_alone() -> None:
    simulation = Simulation()
    simulation.prepare()
    simulation.happen(PlannerConfigured(settings=msgspec.structs.replace(SETTINGS, custom_vpc_routing="policy")))
    vpc1(simulation)
    settle(simulation)
    match = "ip4.src == 192.168.0.0/24 && ip4.dst != {192.168.0.0/24, 192.168.1.0/24}"
    nexthops = ("192.168.0.2", "192.168.0.3")
    policy = RoutePolicy(family="4", priority=29100, match=match, action="reroute", nexthops=nexthops)
    assert simulation.rows[KEY] == NbRows(router="vpc1", policies=(policy,))


def test_selectors_have_a_routing_hit_where_no_gateway_has_a_route() -> None:
    simulation = created2(selectors=[{}])
    rows = simulation.rows[KEY]
    hits = [item for item in rows.static_routes if not item.symmetric_reply]
    assert hits == [StaticRoute(family="4", ip_prefix="192.168.1.0/24", nexthop="192.168.1.1")]
    assert rows.policies[0].match.endswith("&& ip4.dst != {192.168.0.0/24, 192.168.1.0/24}")
    config = simulation.config[KEY]
    assert config is not None
    assert [item.destination for item in config.routes] == ["192.168.1.0/24"]


def test_only_the_oldest_gateway_of_a_vpc_writes_the_hits() -> None:
    simulation = created2(selectors=[{}])
    younger = SPEC | {"selectors": [{}], "policies": []}
    simulation.see(gateway(name="gateway3", spec=younger, created_at="2026-02-01T00:00:00Z"))
    rows = simulation.intent("default/gateway3").nb
    assert rows is not None
    assert rows.static_routes == ()
    assert rows.port_groups == (names.port_group("default/gateway3"),)


def test_another_vpc_leaves_no_row_on_the_old_router() -> None:
    simulation = created2()
    simulation.see(gateway(name="gateway2", generation=2, spec=SPEC | {"vpc": "ovn-cluster", "internalSubnet": ""}))
    rows = simulation.intent(KEY).nb
    assert rows is not None
    assert rows.router != "vpc1" or rows.empty


def test_the_oldest_has_the_source_and_the_loser_takes_over_when_it_goes() -> None:
    simulation = created()
    young = gateway(
        name="young",
        created_at="2026-02-01T00:00:00Z",
        spec={"externalSubnet": "macvlan1", "policies": [{"snat": True, "subnets": ["ovn-default"]}]},
    )
    simulation.see(young)
    simulation.answer_all()
    key = "default/young"
    simulation.see(pod(4, key))
    simulation.happen_config(key, pod(4, key))
    simulation.answer_all()

    said = simulation.message("Ready", key)
    assert "source 10.16.0.0/16 is taken by VpcEgressGateway default/gateway1, which is older" in said
    assert key not in simulation.rows
    simulation.see(gateway(deleting=True, generation=2))
    simulation.answer_all()
    assert [policy.match for policy in simulation.rows[key].policies] == ["ip4.src == 10.16.0.0/16"]
    assert simulation.rows[GATEWAY].empty


def test_a_bad_edit_keeps_the_claim() -> None:
    simulation = created()
    simulation.create(replicas=11, generation=2)
    simulation.see(
        gateway(
            name="young",
            created_at="2026-02-01T00:00:00Z",
            spec={"externalSubnet": "macvlan1", "policies": [{"snat": True, "subnets": ["ovn-default"]}]},
        )
    )
    assert "is taken by VpcEgressGateway default/gateway1" in simulation.message("Ready", "default/young")


def test_families_that_both_sides_have_are_served() -> None:
    simulation = Simulation()
    simulation.prepare()
    dual = Subnet(
        name="dual",
        vpc="ovn-cluster",
        provider="ovn",
        cidr="10.18.0.0/16,fd00:18::/112",
        gateway="10.18.0.1,fd00:18::1",
        validated=True,
    )
    simulation.see(dual)
    simulation.create(internalSubnet="dual", policies=[{"snat": True, "subnets": ["dual"]}])
    config = simulation.intent().config
    assert config is not None
    assert config.families == ("4",), "the external subnet has IPv4 only"
    simulation.see(
        Subnet(
            name="macvlan1",
            provider="eth1.default",
            cidr="172.17.0.0/16,fc00:172:17::/64",
            gateway="172.17.0.1,fc00:172:17::1",
            validated=True,
        )
    )
    config = simulation.intent().config
    assert config is not None
    assert config.families == ("4", "6")
    assert [source.cidr for source in config.sources] == ["10.18.0.0/16", "fd00:18::/112"]


def widest(**changes: object) -> Subnet:
    """A Subnet of `vpc1` whose CIDR would leave nothing outside."""
    made = Subnet(name="wide", vpc="vpc1", provider="ovn", cidr="0.0.0.0/0,::/0", gateway="10.0.0.1,fd00::1")
    return msgspec.structs.replace(made, **changes)


def test_a_subnet_that_is_not_validated_counts_as_outside() -> None:
    """Else its CIDR, whatever it is, would be left out of every policy, and of the drop too: traffic would leak."""
    simulation = created2(selectors=[{}], bfd={"enabled": True})
    before = simulation.rows[KEY]
    assert [policy.action for policy in before.policies] == ["drop", "drop", "reroute"]
    simulation.see(widest())
    simulation.answer_all()
    assert simulation.rows[KEY] == before
    assert simulation.config[KEY] == simulation.intent(KEY).config


@pytest.mark.parametrize("address", ["192.168.9.1/24", "nonsense", ""])
def test_a_bad_gateway_address_of_a_subnet_makes_no_route(address: str) -> None:
    simulation = created2(policies=[], selectors=[{}])
    before = simulation.rows[KEY].static_routes
    assert before
    simulation.see(widest(cidr="192.168.9.0/24", gateway=address, validated=True))
    simulation.answer_all()
    assert simulation.rows[KEY].static_routes == before
    assert "192.168.9.0/24" in simulation.rows[KEY].policies[0].match


def test_the_gateway_address_of_its_own_subnet_is_no_cidr() -> None:
    simulation = created2()
    before = simulation.rows[KEY]
    subnet = simulation.world.find(Subnet, "subnet1")
    assert subnet is not None
    simulation.see(msgspec.structs.replace(subnet, gateway="192.168.0.1/24"))
    simulation.answer_all()
    assert "Subnet \"subnet1\": spec.gateway: '192.168.0.1/24': " in simulation.message("Ready", KEY)
    assert simulation.rows[KEY] == before
