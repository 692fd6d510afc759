"""K4: a mark of another controller on a gateway of our group: it is left alone, and that is said beside its status."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support.lab import Lab, conditions, eventually
from support.vpcs import egress

THEIRS = "kubeovn.io/kube-ovn-controller"
NAMES = ("before", "theirs", "later")


def gateway(number: int) -> dict[str, Any]:
    block = f"10.16.24{number}.0/24"
    policies = [{"snat": True, "ipBlocks": [block]}]
    return egress(NAMES[number], replicas=1, externalSubnet="macvlan1", policies=policies)


@pytest.fixture
def marked(lab: Lab) -> Iterator[str]:
    """A gateway that carries the finalizer of Kube-OVN's reconciler, and one that served before it came."""
    lab.apply(gateway(0))
    lab.ready("before", 1)
    made = gateway(1)
    made["metadata"]["finalizers"] = [THEIRS]
    lab.apply(made)
    yield "theirs"
    release(lab)
    lab.kubectl("delete", "veg", *NAMES, "--ignore-not-found", "--timeout=60s")


def release(lab: Lab) -> None:
    if lab.exists("veg", "theirs"):
        lab.kubectl("patch", "veg", "theirs", "--type=merge", "-p", json.dumps({"metadata": {"finalizers": []}}))


def conflict(lab: Lab, name: str) -> str:
    said = eventually(lambda: conditions(lab.gateway(name)).get("Conflict"), 10, f"{name} is refused")
    return str(said)


def test_k4_a_gateway_with_a_mark_of_another_controller_is_left_alone_and_no_other_is(lab: Lab, marked: str) -> None:
    said = conflict(lab, marked)
    assert f"the finalizer {THEIRS} is on VpcEgressGateway default/{marked}" in said
    assert "set VEG_API_GROUP=vpc-egress-gateway.io" in said
    lab.apply(gateway(2))
    lab.ready("later", 1)
    found = lab.gateway(marked)
    assert found["metadata"].get("finalizers", []) == [THEIRS]
    assert list(conditions(found)) == ["Conflict"]
    assert not lab.exists("deployment", marked)
    assert lab.owned_rows(f"default/{marked}") == ""
    assert lab.gateway("before")["status"]["ready"], "what served goes on"
    release(lab)
    for name in NAMES:
        lab.ready(name, 1)
        assert "Conflict" not in conditions(lab.gateway(name))
