from typing import Any

import pytest

from veg_lab.mini_kube_ovn.model import (
    InvalidObjectError,
    namespace_subnet,
    parse_attachments,
    parse_subnet,
    provider_of,
)


def parsed(**spec: Any) -> Any:
    return parse_subnet({"metadata": {"name": "s"}, "spec": spec})


def test_defaults_are_those_of_kube_ovn() -> None:
    subnet = parsed(cidrBlock="192.168.0.5/24")
    assert (subnet.cidr, subnet.gateway, subnet.provider, subnet.vpc) == (
        "192.168.0.0/24",
        "192.168.0.1",
        "ovn",
        "ovn-cluster",
    )


def test_each_family_has_its_gateway_in_whatever_order_they_are_given() -> None:
    assert parsed(cidrBlock="10.0.0.0/24,fd00::/64", gateway="fd00::9,10.0.0.9").gateway == "10.0.0.9,fd00::9"
    assert parsed(cidrBlock="fd00::/64").gateway == "fd00::1"


def test_an_external_subnet_has_no_vpc() -> None:
    subnet = parsed(cidrBlock="172.17.0.0/16", provider="eth1.default")
    assert (subnet.in_ovn, subnet.vpc) == (False, "")


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({}, "spec.cidrBlock ''"),
        ({"cidrBlock": "10.0.0.0/33"}, "10.0.0.0/33"),
        ({"cidrBlock": "10.0.0.0/24,10.1.0.0/24"}, "one CIDR for each address family"),
        ({"cidrBlock": "10.0.0.0/24", "gateway": "10.1.0.1"}, "spec.gateway 10.1.0.1"),
        ({"cidrBlock": "10.0.0.0/24", "excludeIps": ["x..y"]}, "'x..y'"),
    ],
)
def test_a_bad_spec_is_named(spec: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidObjectError, match=said):
        parsed(**spec)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("default/eth1", (("default", "eth1"),)),
        ("eth1, kube-system/veg-mgmt@mgmt", (("apps", "eth1"), ("kube-system", "veg-mgmt"))),
        ('[{"name": "eth1", "namespace": "default"}, {"name": "b"}]', (("default", "eth1"), ("apps", "b"))),
        ("[garbage", ()),
    ],
)
def test_both_forms_of_the_networks_annotation(text: str, expected: object) -> None:
    assert parse_attachments(text, "apps") == expected


@pytest.mark.parametrize(
    ("config", "provider"),
    [
        ('{"ipam": {"type": "kube-ovn", "provider": "eth1.default"}}', "eth1.default"),
        ('{"plugins": [{"ipam": {"type": "kube-ovn", "provider": "a.b"}}]}', "a.b"),
        ('{"type": "kube-ovn", "provider": "whatever"}', "n.ns.ovn"),
        ('{"ipam": {"type": "host-local"}}', None),
        ("not json", None),
        ("[]", None),
    ],
)
def test_only_a_kube_ovn_ipam_has_a_provider(config: str, provider: str | None) -> None:
    assert provider_of({"metadata": {"name": "n", "namespace": "ns"}, "spec": {"config": config}}) == provider


def test_a_namespace_follows_the_subnet_that_claims_it_then_its_annotation_then_the_default() -> None:
    one = parsed(cidrBlock="10.0.0.0/24", namespaces=["apps"])
    space: dict[str, Any] = {"metadata": {"name": "apps"}}
    assert namespace_subnet(space, [one]) == "s"
    other: dict[str, Any] = {"metadata": {"name": "x", "annotations": {"ovn.kubernetes.io/logical_switch": "gone,s"}}}
    assert namespace_subnet(other, [one]) == "s"
    assert namespace_subnet({"metadata": {"name": "y"}}, [one]) == "ovn-default"
