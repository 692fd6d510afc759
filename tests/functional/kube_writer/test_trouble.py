"""What may go wrong around the kube-writer: servers that die, garbage, missing rights, its own death."""

import itertools
import threading
from functools import partial

import pytest
from functional.kube_writer import given
from functional.kube_writer.conftest import Space, Writer
from functional.kube_writer.orders import Orders
from functional.servers import wait_for

from veg_contracts import names, subjects
from veg_contracts.events import CommandApplied, CommandFailed
from veg_kube_writer.facts import dig


def test_it_is_ready_when_both_servers_answer_and_says_which_one_does_not(
    orders: Orders, space: Space, writer: Writer
) -> None:
    assert writer.wait_until(ready=True) == "ready\n"
    orders.server.kill()
    assert writer.wait_until(ready=False) == "bus lost\n"
    orders.server.start()
    writer.wait_until(ready=True)
    uid = space.create_gateway()
    (outcome,) = orders.carried_out(given.workload(space.name, uid))
    assert isinstance(outcome, CommandApplied)


def test_an_api_server_that_is_away_is_waited_for_and_the_order_is_kept(
    orders: Orders, space: Space, writer: Writer
) -> None:
    writer.wait_until(ready=True)
    uid = space.create_gateway()
    space.cluster.plane.kill_api_server()
    try:
        given_ids = orders.give(*(given.workload(space.name, uid, n, replicas=n) for n in (1, 2, 3)))
        assert writer.wait_until(ready=False).startswith("API server: ")
        assert orders.outcomes() == []
    finally:
        space.cluster.plane.start()
    outcomes = [orders.outcome(command_id) for command_id in given_ids]
    assert [type(outcome) for outcome in outcomes] == [CommandApplied] * 3
    assert [said.data.generation for said in orders.outcomes()] == [1, 2, 3]
    assert dig(space.deployment(), "spec", "replicas") == 3


def test_killed_at_any_moment_it_ends_where_it_would_have(orders: Orders, space: Space, writer: Writer) -> None:
    uid = space.create_gateway()
    ids = []
    for generation in range(1, 9):
        ids += orders.give(
            given.finalizer(space.name, uid, present=True, generation=generation),
            given.workload(space.name, uid, generation, replicas=generation),
            given.status(space.name, uid, generation, ips=(f"10.16.0.{generation}",)),
            given.kube_event(space.name, uid, f"generation {generation}", generation),
        )
    for carried_out in (1, 11):
        wait_for("some progress", partial(_at_least, orders, carried_out))
        writer.kill()
        assert len(orders.outcomes()) < len(ids), "it was killed in its middle"
        writer.start()
    orders.outcome(ids[-1])
    assert {said.data.command_id for said in orders.outcomes()} == set(ids)
    assert len({said.id for said in orders.outcomes()}) == len(orders.outcomes())
    assert dig(space.deployment(), "spec", "replicas") == 8
    assert space.gateway()["status"]["internalIPs"] == ["10.16.0.8"]
    assert space.gateway()["metadata"]["finalizers"] == [names.FINALIZER]
    assert sorted(event["message"] for event in space.events()) == [f"generation {n}" for n in range(1, 9)]
    assert writer.stop() == 0


def _at_least(orders: Orders, count: int) -> bool:
    return len(orders.outcomes()) >= count


def test_garbage_is_dropped_with_a_reason_and_holds_up_nothing(orders: Orders, space: Space, writer: Writer) -> None:
    uid = space.create_gateway()
    subject = subjects.kube_command(f"{space.name}/gateway1")
    orders.give_raw(subject, b"\xff\x00 no message")
    orders.give_raw(subject, b"{}", {"ce-specversion": "1.0", "ce-id": "x", "ce-source": "x", "ce-time": "x"})
    orders.give_again("cmd/odd", given.finalizer("../..", uid, present=True))
    (outcome,) = orders.carried_out(given.finalizer(space.name, uid, present=True))
    assert isinstance(outcome, CommandApplied)
    dropped = [line for line in writer.said() if line["event"] == "message dropped"]
    assert [line["reason"] for line in dropped] == [
        "attribute ce-specversion: None, expected '1.0'",
        "attribute ce-type is missing",
    ]
    assert dropped[0]["subject"] == subject
    odd = orders.outcome("cmd/odd")
    assert isinstance(odd, CommandFailed)
    assert odd.message == "'../../gateway1' names no object: '..' is no name in Kubernetes"


def test_what_one_namespace_refuses_fails_with_the_reason_and_the_others_go_on(
    orders: Orders, space: Space, writer: Writer
) -> None:
    writer.wait_until(ready=True)
    uid = space.create_gateway()
    ending = f"{space.name}-ending"
    space.cluster.plane.create("/api/v1/namespaces", {"metadata": {"name": ending}})
    space.cluster.plane.delete(f"/api/v1/namespaces/{ending}")
    failed, missing, applied = orders.carried_out(
        given.workload(ending, "some-uid"),
        given.workload(f"{space.name}-absent", "some-uid"),
        given.workload(space.name, uid),
    )
    assert isinstance(failed, CommandFailed)
    assert f"namespace {ending} because it is being terminated" in failed.message
    assert isinstance(missing, CommandFailed)
    assert f'namespaces "{space.name}-absent" not found' in missing.message
    assert isinstance(applied, CommandApplied)


@pytest.mark.usefixtures("writer")
def test_a_right_that_is_missing_fails_and_is_asked_for_by_name(orders: Orders, space: Space) -> None:
    uid = space.create_gateway()
    binding = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/veg-kube-writer"
    before = space.cluster.plane.request("GET", binding)
    space.cluster.plane.delete(binding)
    try:
        (failed,) = orders.carried_out(given.finalizer(space.name, uid, present=True))
    finally:
        del before["metadata"]["resourceVersion"]
        space.cluster.plane.create(binding.rpartition("/")[0], before)
    assert isinstance(failed, CommandFailed)
    assert 'User "kube-writer" cannot get resource "vpc-egress-gateways"' in failed.message
    wait_for("the right to come back", lambda: _applied(orders, space, uid))


def _applied(orders: Orders, space: Space, uid: str) -> bool:
    (outcome,) = orders.carried_out(given.finalizer(space.name, uid, present=True))
    return isinstance(outcome, CommandApplied)


def test_a_gateway_that_others_keep_changing_still_gets_its_finalizer(
    orders: Orders, space: Space, writer: Writer
) -> None:
    writer.wait_until(ready=True)
    uid = space.create_gateway()
    stop, path = threading.Event(), f"{space.gateways}/gateway1"

    def change() -> None:
        number = itertools.count()
        while not stop.is_set():
            space.cluster.plane.patch(path, {"metadata": {"labels": {"n": str(next(number))}}})

    changing = threading.Thread(target=change)
    changing.start()
    try:
        (command_id,) = orders.give(given.finalizer(space.name, uid, present=True))
        assert isinstance(orders.outcome(command_id), CommandApplied)
        assert changing.is_alive()
    finally:
        stop.set()
        changing.join()
    assert space.gateway()["metadata"]["finalizers"] == [names.FINALIZER]
