"""Each command against a real API server, over a real bus, by the real service with its real rights."""

from collections.abc import Iterator
from typing import Any

import pytest
from functional.kube_writer import given
from functional.kube_writer.conftest import Cluster, Space, serving
from functional.kube_writer.orders import TRACE, Orders
from functional.servers import Nats

from veg_contracts import names
from veg_contracts.events import CommandApplied, CommandFailed, CommandRefused
from veg_kube_writer.facts import dig


@pytest.fixture(scope="module")
def orders(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orders]:
    """One bus and one writer for all: each test has a namespace of its own."""
    directory = tmp_path_factory.mktemp("commands")
    server = Nats(directory)
    server.start()
    made = Orders(server)
    made.create_streams()
    with serving(cluster, made, directory):
        yield made
    server.kill()


def test_a_workload_is_made_changed_and_removed(orders: Orders, space: Space) -> None:
    uid = space.create_gateway()
    (made,) = orders.carried_out(given.workload(space.name, uid, env={"A": "1", "B": "2"}))
    deployment = space.deployment()
    assert deployment is not None
    assert isinstance(made, CommandApplied)
    assert made.detail == {"uid": deployment["metadata"]["uid"], "generation": "1"}
    assert (made.part, made.generation, made.gateway_uid) == ("workload", 1, uid)

    (changed,) = orders.carried_out(given.workload(space.name, uid, 2, env={"B": "3"}, replicas=2))
    deployment = space.deployment()
    assert deployment is not None
    assert isinstance(changed, CommandApplied)
    assert changed.detail["generation"] == "2"
    assert deployment["spec"]["replicas"] == 2
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["env"] == [{"name": "B", "value": "3"}]  # what we no longer ask for is gone

    (removed,) = orders.carried_out(given.no_workload(space.name, uid, 3))
    assert isinstance(removed, CommandApplied)
    assert space.deployment() is None
    (again,) = orders.carried_out(given.no_workload(space.name, uid, 3))
    assert isinstance(again, CommandApplied)


def test_what_somebody_changed_by_hand_is_put_right_and_an_equal_apply_changes_nothing(
    orders: Orders, space: Space
) -> None:
    uid = space.create_gateway()
    order = given.workload(space.name, uid)
    orders.carried_out(order)
    space.cluster.kubectl("scale", "deployment", "gateway1", "--replicas=5", "-n", space.name)
    orders.carried_out(order)
    repaired = space.deployment()
    orders.carried_out(order)
    assert dig(repaired, "spec", "replicas") == 1
    # Not the resourceVersion: this API server notes the time of an equal apply in managedFields when a second passed.
    assert dig(space.deployment(), "metadata", "generation") == dig(repaired, "metadata", "generation")


def test_a_foreign_deployment_is_neither_overwritten_nor_removed(orders: Orders, space: Space) -> None:
    uid = space.create_gateway()
    space.cluster.plane.create(space.deployments, given.manifest(space.name, "another-uid"))
    before = space.deployment()
    failed, removed = orders.carried_out(
        given.workload(space.name, uid, replicas=7), given.no_workload(space.name, uid)
    )
    assert isinstance(failed, CommandFailed)
    name = f"{space.name}/gateway1"
    assert failed.message == f"Deployment {name} exists and is not owned by VpcEgressGateway {name}"
    assert isinstance(removed, CommandApplied)
    assert removed.detail == {"skipped": f"it is not owned by VpcEgressGateway {name}"}
    assert space.deployment() == before


def test_a_deployment_with_another_selector_is_made_anew(orders: Orders, space: Space) -> None:
    uid = space.create_gateway()
    orders.carried_out(given.workload(space.name, uid, labels={"app": "old"}))
    before = space.deployment()
    (made,) = orders.carried_out(given.workload(space.name, uid, 2))
    assert isinstance(made, CommandApplied)
    after = space.deployment()
    assert dig(after, "metadata", "uid") != dig(before, "metadata", "uid")
    assert dig(after, "spec", "selector", "matchLabels") == names.workload_labels("gateway1")


def test_the_finalizer_holds_a_gateway_until_it_is_removed(orders: Orders, space: Space) -> None:
    uid = space.create_gateway()
    space.cluster.plane.patch(f"{space.gateways}/gateway1", {"metadata": {"finalizers": ["example.com/theirs"]}})
    orders.carried_out(given.finalizer(space.name, uid, present=True))
    assert space.gateway()["metadata"]["finalizers"] == ["example.com/theirs", names.FINALIZER]
    space.cluster.plane.delete(f"{space.gateways}/gateway1")
    orders.carried_out(given.finalizer(space.name, uid, present=False, generation=2))
    assert space.gateway()["metadata"]["finalizers"] == ["example.com/theirs"]
    (late,) = orders.carried_out(given.finalizer(space.name, uid, present=True, generation=3))
    assert isinstance(late, CommandApplied)
    assert late.detail == {"skipped": "it is being deleted"}


def test_what_is_for_a_gateway_that_is_gone_does_not_touch_its_successor(orders: Orders, space: Space) -> None:
    space.create_gateway()
    before = space.gateway()
    outcomes = orders.carried_out(
        given.finalizer(space.name, "earlier-uid", present=True), given.status(space.name, "earlier-uid")
    )
    assert [getattr(outcome, "detail", None) for outcome in outcomes] == [{"skipped": "it is gone"}] * 2
    assert space.gateway() == before


def test_a_status_replaces_the_last_one_as_a_whole(orders: Orders, space: Space) -> None:
    uid = space.create_gateway()
    two = given.status(space.name, uid, ips=("10.16.0.12", "10.16.0.13"), phase="Processing")
    one = given.status(space.name, uid, 2, conditions=(given.condition("Ready"), given.condition("Validated")))
    orders.carried_out(two)
    assert space.gateway()["status"]["internalIPs"] == ["10.16.0.12", "10.16.0.13"]
    orders.carried_out(one)
    first = space.gateway()
    assert first["status"] == {
        "replicas": 1,
        "labelSelector": "app=vpc-egress-gateway,ovn.kubernetes.io/vpc-egress-gateway=gateway1",
        "ready": True,
        "phase": "Completed",
        "internalIPs": ["10.16.0.12"],
        "externalIPs": ["172.17.0.11"],
        "workload": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "gateway1", "nodes": ["kube-ovn-worker"]},
        "conditions": [
            {
                "type": kind,
                "status": "True",
                "reason": "ReconcileSuccess",
                "message": "1 pod serves",
                "observedGeneration": 1,
                "lastTransitionTime": given.AT,
                "lastUpdateTime": given.AT,
            }
            for kind in ("Ready", "Validated")
        ],
    }
    orders.carried_out(one)
    assert space.gateway()["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


def test_a_status_that_the_schema_refuses_fails_with_the_field(orders: Orders, space: Space) -> None:
    uid = space.create_gateway()
    (failed,) = orders.carried_out(given.status(space.name, uid, phase="Nearly"))
    assert isinstance(failed, CommandFailed)
    assert "status.phase" in failed.message


def test_an_event_is_recorded_once_and_kubectl_describes_it(orders: Orders, space: Space) -> None:
    uid = space.create_gateway()
    order = given.kube_event(space.name, uid)
    (command_id,) = orders.give(order)
    orders.give_again(command_id, order)
    orders.carried_out(given.kube_event(space.name, uid, "gateway1 waits"))
    first, second = sorted(space.events(), key=lambda event: str(event["message"]))
    assert (first["message"], second["message"]) == ("gateway1 is ready", "gateway1 waits")
    assert first["involvedObject"]["uid"] == uid
    described = space.cluster.kubectl("describe", "veg", "gateway1", "-n", space.name)
    assert "vpc-egress-gateway  gateway1 is ready" in described


def test_an_outcome_continues_the_story_of_its_command(orders: Orders, space: Space) -> None:
    uid = space.create_gateway()
    (command_id,) = orders.give(given.finalizer(space.name, uid, present=True))
    orders.outcome(command_id)
    (said,) = orders.outcomes(command_id)
    assert said.id == f"{command_id}/applied"
    assert said.source == "veg/kube-writer"
    assert said.correlation_id == "k8s/VpcEgressGateway/uid/7"
    assert said.causation_id == command_id
    assert said.traceparent.split("-")[1] == TRACE.split("-")[1]
    assert said.traceparent != TRACE


def test_an_older_generation_is_refused_and_an_equal_one_applied_again(orders: Orders, space: Space) -> None:
    uid = space.create_gateway()
    new, old = given.workload(space.name, uid, 5, replicas=2), given.workload(space.name, uid, 4, replicas=1)
    _, refused, again, other = orders.carried_out(new, old, new, given.finalizer(space.name, uid, present=True))
    assert isinstance(refused, CommandRefused)
    assert (refused.generation, refused.applied_generation) == (4, 5)
    assert isinstance(again, CommandApplied)
    assert isinstance(other, CommandApplied)  # each part has generations of its own
    assert dig(space.deployment(), "spec", "replicas") == 2


VPCS = "/apis/kubeovn.io/v1/vpcs"
PORT = {"name": "bfd@vpc1", "ip": "10.255.255.255", "nodes": ["a", "b"]}


@pytest.fixture
def vpc_uid(cluster: Cluster) -> Iterator[str]:
    """Of a Vpc, with what Kube-OVN says of it in its status."""
    wanted = {"enabled": True, "ip": PORT["ip"], "nodeSelector": {"matchLabels": {"bfd": "true"}}}
    body = {"apiVersion": "kubeovn.io/v1", "kind": "Vpc", "metadata": {"name": "vpc1"}, "spec": {"bfdPort": wanted}}
    made = cluster.plane.create(VPCS, body)
    assert made["spec"]["bfdPort"] == wanted
    cluster.plane.patch(f"{VPCS}/vpc1/status", {"status": {"router": "vpc1", "standby": True}})
    yield str(made["metadata"]["uid"])
    cluster.plane.delete(f"{VPCS}/vpc1")


def vpc_now(cluster: Cluster) -> dict[str, Any]:
    return cluster.plane.request("GET", f"{VPCS}/vpc1")


def test_the_bfd_port_of_a_vpc_comes_changes_and_goes_and_the_rest_of_its_status_stays(
    orders: Orders, cluster: Cluster, vpc_uid: str
) -> None:
    theirs = vpc_now(cluster)["status"]
    whole = given.vpc_status("vpc1", vpc_uid, name="bfd@vpc1", ip="10.255.255.255", nodes=("a", "b"))
    (made,) = orders.carried_out(whole)
    assert isinstance(made, CommandApplied)
    assert (made.part, made.gateway) == ("vpc_status", "vpc1")
    assert vpc_now(cluster)["status"] == theirs | {"bfdPort": PORT}

    before = vpc_now(cluster)
    orders.carried_out(whole)
    assert vpc_now(cluster) == before  # what is there already is not written again

    orders.carried_out(given.vpc_status("vpc1", vpc_uid, 2, name="bfd@vpc1", ip="10.255.255.255"))
    assert vpc_now(cluster)["status"] == theirs | {"bfdPort": PORT | {"nodes": []}}
    orders.carried_out(given.vpc_status("vpc1", vpc_uid, 3), given.vpc_status("vpc1", vpc_uid, 4))
    assert vpc_now(cluster)["status"] == theirs
    assert vpc_now(cluster)["spec"] == before["spec"]


def test_a_vpc_that_is_gone_or_another_one_is_left_alone(orders: Orders, cluster: Cluster, vpc_uid: str) -> None:
    before = vpc_now(cluster)
    outcomes = orders.carried_out(
        given.vpc_status("vpc1", f"not-{vpc_uid}", name="bfd@vpc1", ip="10.255.255.255"),
        given.vpc_status("vpc2", vpc_uid, name="bfd@vpc2", ip="10.255.255.255"),
    )
    assert [getattr(outcome, "detail", None) for outcome in outcomes] == [{"skipped": "it is gone"}] * 2
    assert vpc_now(cluster) == before
