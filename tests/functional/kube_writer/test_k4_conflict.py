"""K4: beside another controller that reconciles the same gateways, nothing of what it writes is touched."""

from functional.control_plane import ControlPlane
from functional.kube_writer import given
from functional.kube_writer.conftest import Space, Writer
from functional.kube_writer.orders import Orders

from veg_contracts import names
from veg_contracts.events import CommandApplied, CommandFailed

OTHER = "kube-ovn-controller"


def write(plane: ControlPlane, path: str, body: dict[str, object]) -> None:
    """As the other controller does: by merge patch, under its own name."""
    plane.request("PATCH", f"{path}?fieldManager={OTHER}", body, "application/merge-patch+json")


def test_k4_a_condition_stands_beside_the_status_of_another_one(writer: Writer, orders: Orders, space: Space) -> None:
    uid = space.create_gateway()
    theirs = {
        "type": "Init",
        "status": "Unknown",
        "reason": "Processing",
        "message": "",
        "observedGeneration": 1,
        "lastTransitionTime": given.AT,
        "lastUpdateTime": given.AT,
    }
    status = {"phase": "Processing", "ready": False, "internalIPs": ["10.16.0.9"], "conditions": [theirs]}
    plane, path = space.cluster.plane, f"{space.gateways}/gateway1"
    write(plane, f"{path}/status", {"status": status})
    (made,) = orders.carried_out(given.conflict(space.name, uid))
    assert isinstance(made, CommandApplied)
    found = space.gateway()["status"]
    assert [condition["type"] for condition in found["conditions"]] == ["Init", "Conflict"]
    assert found["conditions"][0] == theirs
    assert {name: found[name] for name in status if name != "conditions"} == {
        name: status[name] for name in status if name != "conditions"
    }
    before = space.gateway()["metadata"]["resourceVersion"]
    orders.carried_out(given.conflict(space.name, uid, 2))
    assert space.gateway()["metadata"]["resourceVersion"] == before
    managers = {entry["manager"] for entry in space.gateway()["metadata"]["managedFields"] if "subresource" in entry}
    assert managers == {OTHER, names.FIELD_MANAGER}, "what the watcher looks at"
    assert writer.alive


def test_k4_a_condition_is_there_before_there_is_any_status(writer: Writer, orders: Orders, space: Space) -> None:
    uid = space.create_gateway()
    (made,) = orders.carried_out(given.conflict(space.name, uid))
    assert isinstance(made, CommandApplied)
    status = space.gateway()["status"]
    assert (status["phase"], status["ready"]) == ("Pending", False)
    assert [condition["type"] for condition in status["conditions"]] == ["Conflict"]
    assert writer.alive


def test_k4_a_deployment_that_another_one_made_is_neither_applied_over_nor_removed(
    writer: Writer, orders: Orders, space: Space
) -> None:
    uid = space.create_gateway()
    body = given.manifest(space.name, uid, env={"THEIRS": "1"})
    space.cluster.plane.create(f"{space.deployments}?fieldManager={OTHER}", body)
    before = space.deployment()
    failed, removed = orders.carried_out(
        given.workload(space.name, uid, replicas=7), given.no_workload(space.name, uid)
    )
    name = f"{space.name}/gateway1"
    assert isinstance(failed, CommandFailed)
    said = f"Deployment {name} names VpcEgressGateway {name} as its owner and was made by another one"
    assert failed.message == said
    assert isinstance(removed, CommandApplied)
    assert removed.detail == {"skipped": "it was made by another one"}
    assert space.deployment() == before
    assert writer.alive


def test_k4_a_deployment_of_ours_that_another_one_edits_is_still_ours(
    writer: Writer, orders: Orders, space: Space
) -> None:
    uid = space.create_gateway()
    orders.carried_out(given.workload(space.name, uid))
    write(space.cluster.plane, f"{space.deployments}/gateway1", {"spec": {"replicas": 5}})
    (again,) = orders.carried_out(given.workload(space.name, uid))
    assert isinstance(again, CommandApplied)
    deployment = space.deployment()
    assert deployment is not None
    assert deployment["spec"]["replicas"] == 1
    assert writer.alive
