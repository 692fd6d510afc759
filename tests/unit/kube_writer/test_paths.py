import pytest

from veg_contracts.names import KUBE_OVN_GROUP, OWN_GROUP
from veg_kube_writer import paths


@pytest.mark.parametrize("group", [KUBE_OVN_GROUP, OWN_GROUP])
def test_a_gateway_is_in_the_group_that_was_chosen(group: str) -> None:
    base = f"/apis/{group}/v1/namespaces/default/vpc-egress-gateways/gateway1"
    assert paths.gateway(group, "default/gateway1") == base


def test_each_object_has_its_path() -> None:
    assert paths.deployment("default", "veg-gateway1") == "/apis/apps/v1/namespaces/default/deployments/veg-gateway1"
    budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
    assert paths.disruption_budget("default", "veg-gateway1") == f"{budgets}/veg-gateway1"
    assert paths.vpc("vpc1") == "/apis/kubeovn.io/v1/vpcs/vpc1"
    assert paths.events("default") == "/api/v1/namespaces/default/events"


@pytest.mark.parametrize(
    ("namespace", "name"),
    [("default", ""), ("", "a"), ("..", ".."), ("default", "a/b"), ("default", "A"), ("default", "a?b"), ("a", "b\n")],
)
def test_what_is_no_name_leads_nowhere(namespace: str, name: str) -> None:
    with pytest.raises(paths.InvalidNameError, match="names no object"):
        paths.deployment(namespace, name)


@pytest.mark.parametrize("key", ["gateway1", "default/", "/gateway1", "a/b/c", "default/" + "a" * 254])
def test_what_is_no_key_leads_nowhere(key: str) -> None:
    with pytest.raises(paths.InvalidNameError):
        paths.gateway(KUBE_OVN_GROUP, key)


@pytest.mark.parametrize("name", ["", "default/vpc1", "../nodes", "vpc1?"])
def test_what_is_no_vpc_leads_nowhere(name: str) -> None:
    with pytest.raises(paths.InvalidNameError):
        paths.vpc(name)


def test_names_may_have_dots() -> None:
    assert paths.gateway(KUBE_OVN_GROUP, "default/gw.v1").endswith("/gw.v1")
