"""The kube-writer where gateways are in an API group of our own: all that it writes is there."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from functional.kube_writer import given
from functional.kube_writer.conftest import Cluster, Space, make_space, running, serving
from functional.kube_writer.orders import Orders
from functional.servers import Nats

from veg_contracts import names
from veg_contracts.events import CommandApplied


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running(tmp_path_factory.mktemp("own-group"), names.OWN_GROUP) as made:
        yield made


@pytest.fixture
def own_space(own: Cluster) -> Space:
    return make_space(own)


def test_a_gateway_gets_all_that_is_ours(own: Cluster, own_space: Space, nats_server: Nats, tmp_path: Path) -> None:
    orders = Orders(nats_server)
    orders.create_streams()
    uid = own_space.create_gateway()
    with serving(own, orders, tmp_path):
        outcomes = orders.carried_out(
            given.finalizer(own_space.name, uid, present=True),
            given.workload(own_space.name, uid, group=names.OWN_GROUP),
            given.status(own_space.name, uid),
            given.kube_event(own_space.name, uid),
        )
    assert all(isinstance(outcome, CommandApplied) for outcome in outcomes), outcomes
    found, deployment = own_space.gateway(), own_space.deployment()
    assert found["metadata"]["finalizers"] == ["vpc-egress-gateway.io/finalizer"]
    assert found["status"]["phase"] == "Completed"
    assert deployment is not None
    (owner,) = deployment["metadata"]["ownerReferences"]
    assert owner == {"apiVersion": "vpc-egress-gateway.io/v1", "kind": names.KIND, "name": "gateway1", "uid": uid}
    (event,) = own_space.events()
    assert event["involvedObject"]["apiVersion"] == "vpc-egress-gateway.io/v1"
    assert event["involvedObject"]["uid"] == uid


@pytest.mark.parametrize("short", ["veg", "vegw"])
def test_kubectl_knows_both_short_names(own: Cluster, own_space: Space, short: str) -> None:
    own_space.create_gateway()
    said = own.kubectl("get", short, "-n", own_space.name, "-o", "name").split()
    assert said == ["vpcegressgateway.vpc-egress-gateway.io/gateway1"]
    assert own.try_kubectl("get", short, "-n", own_space.name).stderr == ""
