"""K1: a real API server takes the CRDs as they are shipped, and refuses by their rules and bounds, in clear words."""

from typing import Any

import pytest
from functional.control_plane import RefusedError
from functional.kube_writer.conftest import Cluster, Space
from support.crd import GROUPS, ROOT, Bound, bounds

TWO = ["10.16.0.9", "10.16.0.10"]


@pytest.mark.parametrize("group", GROUPS)
def test_k1_the_crd_is_accepted(cluster: Cluster, group: str) -> None:
    # Strict: no field is unknown, and no rule costs more than an API server allows.
    said = cluster.kubectl("apply", "--dry-run=server", "--validate=strict", f"--filename={ROOT / 'crds' / group}")
    assert f"customresourcedefinition.apiextensions.k8s.io/vpc-egress-gateways.{group} " in said


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"replicas": 3, "internalIPs": TWO}, "spec.internalIPs: Invalid value: at least spec.replicas = 3 addresses"),
        ({"replicas": 3, "externalIPs": TWO}, "spec.externalIPs: Invalid value: at least spec.replicas = 3 addresses"),
        (
            {"internalIPs": TWO, "internalIPPool": "pool"},
            "spec.internalIPPool: Invalid value: spec.internalIPs and spec.internalIPPool are mutually exclusive",
        ),
        (
            {"externalIPs": TWO, "externalIPPool": "pool"},
            "spec.externalIPPool: Invalid value: spec.externalIPs and spec.externalIPPool are mutually exclusive",
        ),
        ({"policies": []}, "spec.policies: Invalid value: each VPC Egress Gateway must have at least one policy or"),
        ({"policies": None}, "spec.policies: Invalid value: each VPC Egress Gateway must have at least one policy or"),
        ({"policies": [{}]}, "spec.policies[0]: Invalid value: each policy must have at least one of ipBlocks or"),
    ],
)
def test_k1_each_rule_refuses_with_its_sentence(space: Space, spec: dict[str, Any], said: str) -> None:
    assert said in refusal(space, spec)


@pytest.mark.parametrize("prefix", ["other-", None])
def test_k1_the_prefix_cannot_change_or_go(cluster: Cluster, space: Space, prefix: str | None) -> None:
    space.create_gateway(prefix="veg-")
    with pytest.raises(RefusedError) as refused:
        cluster.plane.patch(f"{space.gateways}/gateway1", {"spec": {"prefix": prefix}})
    assert "spec.prefix: Invalid value: This field is immutable." in str(refused.value)


def test_k1_a_prefix_cannot_come(cluster: Cluster, space: Space) -> None:
    space.create_gateway()
    with pytest.raises(RefusedError) as refused:
        cluster.plane.patch(f"{space.gateways}/gateway1", {"spec": {"prefix": "veg-"}})
    assert "spec.prefix: Invalid value: This field is immutable." in str(refused.value)


@pytest.mark.parametrize("bound", bounds(), ids=lambda bound: f"{bound.field}-{bound.keyword}")
def test_k1_what_is_at_a_bound_is_taken_and_what_is_over_it_is_not(space: Space, bound: Bound) -> None:
    said = refusal(space, bound.spec(over=1))
    assert "Too long" in said or "Too many" in said
    assert f"{bound.limit}" in said
    if bound.can_be_reached:
        space.create_gateway(**bound.spec(over=0))


def test_k1_with_both_groups_installed_vegw_is_ours_and_veg_is_the_one_of_kubeovn_io(
    cluster: Cluster, space: Space
) -> None:
    own = ROOT / "crds" / GROUPS[1]
    cluster.kubectl("apply", f"--filename={own}")
    try:
        cluster.await_definitions()
        space.create_gateway("kubeovn")
        body = {
            "apiVersion": f"{GROUPS[1]}/v1",
            "kind": "VpcEgressGateway",
            "metadata": {"name": "ours", "namespace": space.name},
            "spec": {"externalSubnet": "macvlan1", "selectors": [{}]},
        }
        cluster.plane.create(f"/apis/{GROUPS[1]}/v1/namespaces/{space.name}/vpc-egress-gateways", body)
        assert names_of(cluster, space, "vegw") == [f"vpcegressgateway.{GROUPS[1]}/ours"]
        assert names_of(cluster, space, "vpc-egress-gw") == [f"vpcegressgateway.{GROUPS[0]}/kubeovn"]
        assert names_of(cluster, space, "veg") == [f"vpcegressgateway.{GROUPS[0]}/kubeovn"]
        warned = cluster.try_kubectl("get", "veg", "-n", space.name).stderr
        assert f'short name "veg" could also match lower priority resource vpc-egress-gateways.{GROUPS[1]}' in warned
    finally:
        cluster.kubectl("delete", "--wait", f"--filename={own}")


def names_of(cluster: Cluster, space: Space, kind: str) -> list[str]:
    return cluster.kubectl("get", kind, "-n", space.name, "-o", "name").split()


def refusal(space: Space, spec: dict[str, Any]) -> str:
    with pytest.raises(RefusedError) as refused:
        space.create_gateway("refused", **spec)
    assert refused.value.code == 422
    return str(refused.value)
