"""External subnets, VPCs, and the way of gateway pods to the bus."""

from typing import Any

import msgspec
import pytest
from support.preflight import (
    BESIDE,
    CUSTOM,
    MANAGED,
    MANAGEMENT,
    NATS,
    NORTHBOUND,
    attachment,
    cluster,
    controller,
    facts,
    said,
)

from veg_contracts.names import KUBE_OVN_GROUP, OWN_GROUP
from vegctl.preflight.derive import report
from vegctl.preflight.facts import Attachment, Gateway, Route, Subnet, Vpc
from vegctl.preflight.findings import Verdict

DEFAULT = "vpc.bus Vpc ovn-cluster"
CUSTOM_VPC = "vpc.bus Vpc vpc1"


def test_a_subnet_of_another_network_is_fit_as_external() -> None:
    found = [each for each in report(facts()).findings if each.id == "network.external"]
    assert [(each.object, str(each.severity)) for each in found] == [("Subnet macvlan1", "ok")]


def test_without_an_external_subnet_no_gateway_can_be() -> None:
    found = report(facts(cluster=cluster(subnets=BESIDE.subnets[:1])))
    assert "no gateway can have an externalSubnet" in said(found)["network.external external subnets"]


@pytest.mark.parametrize(
    ("attachments", "text"),
    [
        ((), "NetworkAttachmentDefinition default/eth1, which does not exist"),
        ((attachment("default/eth1", "eth2.default"),), "does not take its addresses from provider eth1.default"),
        ((Attachment(key="default/eth1", config='{"ipam": {"type": "host-local"}}'),), "does not take its addresses"),
        ((Attachment(key="default/eth1", config='{"ipam": 1}'),), "does not take its addresses"),
        ((Attachment(key="default/eth1", config="[]"),), "does not take its addresses"),
        ((Attachment(key="default/eth1", config="{"),), "does not take its addresses"),
    ],
)
def test_what_is_wrong_with_an_external_subnet(attachments: tuple[Attachment, ...], text: str) -> None:
    found = report(facts(cluster=cluster(attachments=attachments)))
    assert text in said(found)["network.external Subnet macvlan1"]
    assert found.verdict is Verdict.WORKS_WITH_LIMITS


def test_the_management_network_is_found_and_no_external_subnet() -> None:
    found = report(facts(cluster=cluster(**MANAGED)))
    assert said(found) == {}
    assert found.values is not None
    assert found.values.management_network == MANAGEMENT
    (way,) = [each for each in found.findings if f"{each.id} {each.object}" == CUSTOM_VPC]
    assert (
        way.found
        == f"management network {MANAGEMENT} is Subnet veg-mgmt; NATS is Service kube-system/veg-nats ({NATS})"
    )


def test_of_two_that_would_do_none_is_chosen() -> None:
    more = Subnet(name="more", provider="more.default.ovn", cidr="10.251.0.0/16")
    seen = MANAGED | {
        "subnets": (*MANAGED["subnets"], more),
        "attachments": (*MANAGED["attachments"], attachment("default/more", "more.default.ovn", "kube-ovn")),
    }
    found = report(facts(cluster=cluster(**seen))).values
    assert found is not None
    assert found.management_network == ""


def subnet(**changes: Any) -> dict[str, Any]:
    """The managed cluster with another Subnet of the management network."""
    *others, last = MANAGED["subnets"]
    return MANAGED | {"subnets": (*others, msgspec.structs.replace(last, **changes))}


@pytest.mark.parametrize(
    ("seen", "network", "text"),
    [
        (MANAGED | {"attachments": BESIDE.attachments}, MANAGEMENT, "does not exist"),
        (MANAGED | {"subnets": BESIDE.subnets}, MANAGEMENT, "has no Subnet"),
        (subnet(vpc="vpc1"), MANAGEMENT, "is Subnet veg-mgmt of Vpc vpc1"),
        ({"vpcs": CUSTOM}, "", "no management network"),
    ],
)
def test_a_custom_vpc_without_a_way_is_a_limit_and_a_blocker_for_who_wants_a_gateway_there(
    seen: dict[str, Any], network: str, text: str
) -> None:
    asked: dict[str, Any] = {"management_network": network}
    found = report(facts(cluster=cluster(**seen), asked=asked))
    assert said(found)[CUSTOM_VPC].startswith("limit: ")
    assert text in said(found)[CUSTOM_VPC]
    wanted = report(facts(cluster=cluster(**seen), asked=asked | {"vpcs": ("vpc1",)}))
    assert said(wanted)[CUSTOM_VPC].startswith("blocker: ")
    assert wanted.verdict is Verdict.DOES_NOT_WORK
    there = cluster(**seen, gateways=(Gateway(key="default/g", group=OWN_GROUP, vpc="vpc1"),))
    assert report(facts(cluster=there, asked=asked)).verdict is Verdict.DOES_NOT_WORK
    theirs = cluster(**seen, gateways=(Gateway(key="default/g", group=KUBE_OVN_GROUP, vpc="vpc1"),))
    assert report(facts(cluster=theirs, asked=asked)).verdict is Verdict.WORKS_WITH_LIMITS, "Kube-OVN's own"


def test_a_management_network_of_the_nodes_is_unknown() -> None:
    seen = cluster(**subnet(provider="veg-mgmt.kube-system", vpc=""))
    found = report(facts(cluster=seen, asked={"management_network": MANAGEMENT}))
    assert said(found)[CUSTOM_VPC].startswith("unknown: ")
    assert "Subnet veg-mgmt of provider veg-mgmt.kube-system" in said(found)[CUSTOM_VPC]


@pytest.mark.parametrize(
    ("url", "severity", "text"),
    [
        ("", "unknown", "is not given"),
        ("nats://nats.egress.svc:4222", "unknown", "nats.egress.svc, a name"),
        ("nats://127.0.0.1:4222", "blocker", "each pod itself"),
        ("nats://[::1]:4222", "blocker", "each pod itself"),
        ("4222", "blocker", "names no host"),
        ("nats://10.16.0.7:4222", "", "in Subnet ovn-default"),
        ("nats://192.168.0.7:4222", "blocker", "in Subnet subnet1 of Vpc vpc1"),
        ("nats://172.17.0.9:4222", "unknown", "in Subnet macvlan1 of provider eth1.default"),
        ("tls://203.0.113.9:4222", "", "outside the cluster's Subnets"),
        ("tls://[2001:db8::9]:4222,tls://x:1", "", "outside the cluster's Subnets"),
    ],
)
def test_the_way_from_the_default_vpc(url: str, severity: str, text: str) -> None:
    seen = cluster(**MANAGED, service=None)
    found = report(facts(cluster=seen, asked={"agent_nats_url": url}))
    (way,) = [each for each in found.findings if f"{each.id} {each.object}" == DEFAULT]
    assert str(way.severity) == (severity or "ok")
    assert text in way.found


def test_without_load_balancers_a_cluster_ip_needs_kube_proxy() -> None:
    found = report(facts(cluster=cluster(controller=controller("v1.17.0", "--enable-lb=false"))))
    assert "need kube-proxy" in said(found)[DEFAULT]
    assert found.verdict is Verdict.WORKS_WITH_LIMITS


def test_a_vpc_that_does_not_exist_and_one_that_is_not_ready() -> None:
    found = report(facts(asked={"vpcs": ("nowhere",)}))
    assert said(found) == {"vpc Vpc nowhere": "blocker: does not exist -> a gateway in it waits for it"}
    bare = cluster(**MANAGED | {"vpcs": (BESIDE.vpcs[0], Vpc(name="vpc1"))})
    assert said(report(facts(cluster=bare)))["vpc Vpc vpc1"].startswith("limit: has no logical router")
    assert said(report(facts(cluster=bare, asked={"vpcs": ("vpc1",)})))["vpc Vpc vpc1"].startswith("blocker: ")


def test_another_name_of_the_default_vpc_follows_from_its_controller() -> None:
    renamed = cluster(
        vpcs=(Vpc(name="main", router="main", default_subnet="ovn-default"),),
        subnets=(msgspec.structs.replace(BESIDE.subnets[0], vpc="main"), *BESIDE.subnets[1:]),
        controller=controller("v1.17.0", "--cluster-router=main"),
    )
    found = report(facts(cluster=renamed))
    assert found.values is not None
    assert found.values.default_vpc == "main"
    assert said(found) == {}
    wrong = report(facts(cluster=renamed, asked={"default_vpc": "ovn-cluster"}))
    assert "set VEG_DEFAULT_VPC to main" in said(wrong)["vpc Vpc ovn-cluster"]


def test_policies_need_a_routing_hit() -> None:
    asked = {"custom_vpc_routing": "policy"}
    seen = cluster(**MANAGED)
    assert "vpc.routing Vpc vpc1" in said(report(facts(cluster=seen, asked=asked)))
    for route in (
        Route(router="vpc1", prefix="192.168.0.0/24", nexthop="192.168.0.1", policy="src-ip"),
        Route(router="vpc1", prefix="0.0.0.0/0", nexthop="192.168.0.254", policy="dst-ip"),
    ):
        database = msgspec.structs.replace(NORTHBOUND, routes=(route,))
        assert said(report(facts(cluster=seen, northbound=database, asked=asked))) == {}
