"""The PodDisruptionBudget beside a gateway's Deployment, against a real API server with the rights that we ship."""

from functional.kube_writer import given
from functional.kube_writer.conftest import Space, Writer
from functional.kube_writer.orders import Orders

from veg_contracts.events import CommandApplied
from veg_kube_writer.facts import dig


def test_it_is_made_changed_put_right_and_removed(orders: Orders, writer: Writer, space: Space) -> None:
    uid = space.create_gateway()
    (made,) = orders.carried_out(given.workload(space.name, uid, budget=given.budget(space.name, uid)))
    found = space.budget()
    assert isinstance(made, CommandApplied)
    assert made.detail["budget_uid"] == dig(found, "metadata", "uid")
    assert made.detail["budget_generation"] == "1"
    assert dig(found, "spec") == given.budget(space.name, uid)["spec"]
    assert [owner["uid"] for owner in dig(found, "metadata", "ownerReferences")] == [uid]

    space.cluster.kubectl(
        "patch", "pdb", "gateway1", "-n", space.name, "--type=merge", "-p", '{"spec":{"maxUnavailable":9}}'
    )
    (again,) = orders.carried_out(given.workload(space.name, uid, 2, budget=given.budget(space.name, uid)))
    assert isinstance(again, CommandApplied)
    assert again.detail["budget_generation"] == "3"
    assert dig(space.budget(), "spec", "maxUnavailable") == 1

    orders.carried_out(given.workload(space.name, uid, 3))
    assert space.budget() is None
    assert space.deployment() is not None

    orders.carried_out(given.workload(space.name, uid, 4, budget=given.budget(space.name, uid)))
    orders.carried_out(given.no_workload(space.name, uid, 5))
    assert (space.budget(), space.deployment()) == (None, None)
    assert writer.alive


def test_one_of_somebody_else_stays_and_is_told_of(orders: Orders, writer: Writer, space: Space) -> None:
    uid = space.create_gateway()
    theirs = given.budget(space.name, "another-uid", allowed=2)
    space.cluster.plane.create(space.budgets, theirs)
    before = space.budget()
    (made,) = orders.carried_out(given.workload(space.name, uid, budget=given.budget(space.name, uid)))
    assert isinstance(made, CommandApplied)
    name = f"{space.name}/gateway1"
    assert made.detail["budget"] == f"PodDisruptionBudget {name} is not owned by VpcEgressGateway {name}: it stays"
    assert space.deployment() is not None
    orders.carried_out(given.workload(space.name, uid, 2), given.no_workload(space.name, uid, 3))
    assert space.budget() == before
    assert writer.alive
