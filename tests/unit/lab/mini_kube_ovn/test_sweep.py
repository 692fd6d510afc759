from types import SimpleNamespace
from typing import Any

import pytest

from veg_lab.mini_kube_ovn.behaviours import BEHAVIOURS, named
from veg_lab.mini_kube_ovn.desired import PortGroup, Router, RouterPort, Switch
from veg_lab.mini_kube_ovn.occasion import Occasion
from veg_lab.mini_kube_ovn.sweep import doomed_policy, doomed_port_group, doomed_route, doomed_router, doomed_switch
from veg_lab.mini_kube_ovn.vpcs import Route

OWN = Route("192.168.0.0/24", "192.168.0.1", "src-ip")
PORT = RouterPort("vpc1-subnet1", "0a:00:00:00:00:01", ("192.168.0.1/24",))
VPC1 = Router("vpc1", (PORT,), (OWN,))
EDIT = Occasion(vpcs=frozenset({"vpc1"}))
KEYS = {"vendor": "kube-ovn", "vpc-egress-gateway": "default/gateway2"}


def route(prefix: str = "192.168.0.0/24", **external_ids: str) -> Any:
    columns = {"ip_prefix": prefix, "nexthop": "192.168.0.2", "policy": ["src-ip"], "route_table": ""}
    return SimpleNamespace(**columns, external_ids=external_ids)


def policy(**external_ids: str) -> Any:
    return SimpleNamespace(priority=29100, match="ip4.src == 192.168.0.0/24", external_ids=external_ids)


def versions(doomed: Any) -> list[str]:
    return [name for name, behaviour in BEHAVIOURS.items() if doomed(behaviour)]


def test_k6_an_edit_of_a_vpc_deletes_the_routes_of_others() -> None:
    plain, marked = route("10.0.0.0/8"), route("10.0.0.0/8", **KEYS)
    assert versions(lambda each: doomed_route(plain, VPC1, EDIT, each)) == ["1.13", "1.14"]
    assert versions(lambda each: doomed_route(marked, VPC1, EDIT, each)) == ["1.13", "1.14", "1.17"]


def test_k6_an_edit_of_a_custom_vpc_deletes_the_policies_of_others() -> None:
    assert versions(lambda each: doomed_policy(policy(**KEYS), VPC1, EDIT, each)) == ["1.13", "1.14"]
    assert versions(lambda each: doomed_policy(policy(), VPC1, EDIT, each)) == ["1.13", "1.14", "1.17"]
    default = Occasion(vpcs=frozenset({"ovn-cluster"}))
    assert versions(lambda each: doomed_policy(policy(), Router("ovn-cluster", ()), default, each)) == []


def test_nothing_goes_at_a_pass_without_an_edit() -> None:
    assert versions(lambda each: doomed_route(route(), VPC1, Occasion(), each)) == []
    assert versions(lambda each: doomed_policy(policy(), VPC1, Occasion(), each)) == []


def test_k3_an_edit_of_a_subnet_deletes_the_routes_that_rival_its_own() -> None:
    edit = Occasion(subnets=frozenset({"subnet1"}))
    assert versions(lambda each: doomed_route(route(), VPC1, edit, each)) == ["1.14", "1.17"]
    assert versions(lambda each: doomed_route(route("192.168.0.0/25"), VPC1, edit, each)) == []
    assert versions(lambda each: doomed_route(route(), VPC1, Occasion(subnets=frozenset({"other"})), each)) == []


@pytest.mark.parametrize("version", ["1.13", "1.14"])
def test_a_start_deletes_port_groups_that_nobody_is_known_for(version: str) -> None:
    start, wanted = Occasion(start=True), (PortGroup("node.worker", frozenset(), {}),)

    def doomed(name: str, occasion: Occasion, **external_ids: str) -> bool:
        row = SimpleNamespace(name=name, external_ids=external_ids)
        return doomed_port_group(row, wanted, occasion, named(version))

    assert doomed("VEG.8ca38ae7da18", start, **KEYS)
    assert not doomed("VEG.8ca38ae7da18", Occasion(), **KEYS)
    assert not doomed("ovn.sg.web", start, sg="web")
    assert not doomed("node.worker", start)
    assert not doomed_port_group(SimpleNamespace(name="x", external_ids={}), wanted, start, named("1.17"))


def test_a_start_deletes_switches_that_no_subnet_asks_for() -> None:
    start, wanted = Occasion(start=True), (Switch("subnet1", ()),)
    stub, vendor = (SimpleNamespace(name="bfd@vpc1", external_ids=ids) for ids in ({}, {"vendor": "kube-ovn"}))
    known = SimpleNamespace(name="subnet1", external_ids={})
    assert versions(lambda each: doomed_switch(stub, wanted, start, each)) == ["1.14", "1.17"]
    assert versions(lambda each: doomed_switch(vendor, wanted, start, each)) == ["1.13", "1.14", "1.17"]
    assert versions(lambda each: doomed_switch(known, wanted, start, each)) == []
    assert versions(lambda each: doomed_switch(stub, wanted, Occasion(), each)) == []


def test_a_start_deletes_routers_that_no_vpc_asks_for() -> None:
    start, wanted = Occasion(start=True), (Router("vpc1", (), (), ()),)
    relay = SimpleNamespace(name="bfd-relay@vpc1", external_ids={"vpc-egress-gateway.io/owner": "vpc1"})
    known = SimpleNamespace(name="vpc1", external_ids={})
    assert versions(lambda each: doomed_router(relay, wanted, start, each)) == ["1.14", "1.17"]
    assert versions(lambda each: doomed_router(known, wanted, start, each)) == []
    assert versions(lambda each: doomed_router(relay, wanted, Occasion(), each)) == []
