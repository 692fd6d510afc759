import json
from typing import Any

import pytest

from veg_bus_auth import identity
from veg_bus_auth.identity import DeniedError, Found, Identity, Ref, Review

WHO = Identity(namespace="shop", pod="gateway1-1-a", uid="p1")
GROUP = "kubeovn.io"


def review(**changes: Any) -> Review:
    extra = {
        "authentication.kubernetes.io/pod-name": ["gateway1-1-a"],
        "authentication.kubernetes.io/pod-uid": ["p1"],
    }
    status = {
        "authenticated": True,
        "audiences": ["vpc-egress-gateway"],
        "user": {"username": "system:serviceaccount:shop:default", "extra": extra},
    }
    return identity.read_review(json.dumps({"status": status | changes}).encode())


def found(uid: str, *owners: dict[str, Any], **rest: Any) -> Found:
    return identity.read_object(json.dumps({"metadata": {"uid": uid, "ownerReferences": owners}, **rest}).encode())


def owner(kind: str, name: str, uid: str, api_version: str = "apps/v1", controller: bool = True) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "name": name, "uid": uid, "controller": controller}


def test_a_review_names_the_pod() -> None:
    assert identity.pod_of(review(), "vpc-egress-gateway") == WHO


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"authenticated": False, "error": "token expired"}, "token expired"),
        ({"audiences": ["other"]}, "not for audience 'vpc-egress-gateway'"),
        ({"audiences": []}, "not for audience"),
        ({"user": {"username": "admin"}}, "only a ServiceAccount's token"),
        ({"user": {"username": "system:serviceaccount:shop:default:x y"}}, "only a ServiceAccount's token"),
        ({"user": {"username": "system:serviceaccount:shop:default"}}, "bound to no pod"),
    ],
)
def test_other_reviews_are_denied(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(DeniedError, match=said):
        identity.pod_of(review(**changes), "vpc-egress-gateway")


def test_the_way_to_the_gateway() -> None:
    replica_set = identity.replica_set_of(found("p1", owner("ReplicaSet", "gateway1-1", "r1")), WHO)
    deployment = identity.deployment_of(found("r1", owner("Deployment", "gateway1", "d1")), replica_set, WHO)
    there = found("d1", owner("VpcEgressGateway", "gateway1", "g1", "kubeovn.io/v1", controller=False))
    gateway = identity.gateway_of(there, deployment, WHO, GROUP)
    assert identity.check_gateway(found("g1"), gateway, deployment, WHO) == "shop/gateway1"


@pytest.mark.parametrize(
    ("pod", "said"),
    [
        (None, "it is gone"),
        (found("p2", owner("ReplicaSet", "gateway1-1", "r1")), "it is gone"),
        (found("p1", owner("ReplicaSet", "x", "r1"), status={"phase": "Succeeded"}), "finished"),
        (found("p1"), "no ReplicaSet controls it"),
        (found("p1", owner("ReplicaSet", "x", "r1", controller=False)), "no ReplicaSet controls it"),
        (found("p1", owner("ReplicaSet", "x", "r1", "extensions/v1")), "no ReplicaSet controls it"),
        (found("p1", owner("DaemonSet", "x", "r1")), "no ReplicaSet controls it"),
        (found("p1", owner("ReplicaSet", "..", "r1")), "no name"),
        (found("p1", owner("ReplicaSet", "a/../../b", "r1")), "no name"),
        (found("p1", owner("ReplicaSet", "a..b", "r1")), "no name"),
        (found("p1", owner("ReplicaSet", "a?watch=true", "r1")), "no name"),
        (found("p1", owner("ReplicaSet", "", "r1")), "no name"),
    ],
)
def test_other_pods_are_denied(pod: Found | None, said: str) -> None:
    with pytest.raises(DeniedError, match=said):
        identity.replica_set_of(pod, WHO)


@pytest.mark.parametrize(("there", "uid"), [(None, "r1"), (found("r2"), "r1"), (found(""), ""), (found("r1"), "r1")])
def test_other_replica_sets_are_denied(there: Found | None, uid: str) -> None:
    with pytest.raises(DeniedError, match=r"^pod shop/gateway1-1-a: its ReplicaSet x"):
        identity.deployment_of(there, Ref(kind="ReplicaSet", name="x", uid=uid), WHO)


GATEWAY = owner("VpcEgressGateway", "gateway1", "g1", "kubeovn.io/v1")


@pytest.mark.parametrize(
    "owners",
    [
        (),
        (GATEWAY, GATEWAY | {"name": "gateway2", "uid": "g2"}),
        (GATEWAY | {"apiVersion": "vpc-egress-gateway.io/v1"},),
        (GATEWAY | {"kind": "Vpc"},),
    ],
)
def test_a_deployment_has_one_gateway(owners: tuple[dict[str, Any], ...]) -> None:
    with pytest.raises(DeniedError, match=r"belongs to (no|2) VpcEgressGateway of kubeovn.io"):
        identity.gateway_of(found("d1", *owners), Ref(kind="Deployment", name="d", uid="d1"), WHO, GROUP)


def test_a_gateway_has_one_deployment() -> None:
    gateway = Ref(kind="VpcEgressGateway", name="gateway1", uid="g1")
    there = found("g1", spec={"prefix": "out-"})
    own, other = (Ref(kind="Deployment", name=name, uid="d1") for name in ("out-gateway1", "gateway1"))
    assert identity.check_gateway(there, gateway, own, WHO) == "shop/gateway1"
    with pytest.raises(DeniedError, match="which is called out-gateway1"):
        identity.check_gateway(there, gateway, other, WHO)
    with pytest.raises(DeniedError, match="not there"):
        identity.check_gateway(found("g2"), gateway, own, WHO)
