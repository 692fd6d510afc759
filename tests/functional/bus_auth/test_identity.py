"""Who is let in, and who is not."""

import asyncio
import re
from http import HTTPStatus

import nats
import nats.errors
import pytest
from functional.bus_auth.conftest import Json, World
from nats.aio.client import Client

from veg_contracts import permissions, subjects
from veg_runtime import bus


def test_a_gateway_pod_comes_in_and_does_its_work(world: World) -> None:
    space = world.space()
    pod = space.chain()
    gateway = f"{space.name}/gateway1"
    config = subjects.config_subject(gateway)
    world.server.publish(config, b"first")

    async def work(client: Client, said: list[str]) -> tuple[bytes | None, bytes, int]:
        js = client.jetstream()
        changes = await client.subscribe(config)
        last = await js.get_last_msg(subjects.CONFIG_STREAM, config, direct=True)
        await asyncio.to_thread(world.server.publish, config, b"second")
        change = await changes.next_msg(timeout=5)
        stored = await js.publish(subjects.agent_event(gateway, pod["name"]), b"{}")
        assert said == []
        assert stored.stream == subjects.AGENT_EVENT_STREAM
        return last.data, change.data, stored.seq

    first, second, _ = world.as_pod(space.token(pod), pod["uid"], work)
    assert (first, second) == (b"first", b"second")


def test_many_pods_are_in_at_once(world: World) -> None:
    """Limits are of a connection, not of all pods together."""
    space = world.space()
    pods = [space.chain(f"gateway{number}") for number in range(12)]
    tokens = [space.token(pod) for pod in pods]
    said: list[str] = []

    async def note(error: Exception) -> None:
        said.append(str(error))

    async def one(number: int, token: str) -> Client:
        inbox = permissions.agent_inbox_prefix(pods[number]["uid"])
        client = bus._Client(tls=False)
        await client.connect(world.server.url, token=token, inbox_prefix=inbox, connect_timeout=20, error_cb=note)
        await client.subscribe(subjects.config_subject(f"{space.name}/gateway{number}"))
        subject = subjects.agent_event(f"{space.name}/gateway{number}", pods[number]["name"])
        await client.jetstream(timeout=20).publish(subject, b"{}")
        return client

    async def all_of_them() -> None:
        clients = await asyncio.gather(*(one(number, token) for number, token in enumerate(tokens)))
        await asyncio.gather(*(client.close() for client in clients))

    asyncio.run(all_of_them())
    assert said == []


def kept_out(world: World, token: str, reason: str) -> None:
    """It is, and bus-auth says why, in one line without the token."""
    before = len(world.service.reasons())
    assert world.refused(token)
    (said,) = world.service.reasons()[before:]
    assert re.search(reason, said), said
    assert token[-40:] not in world.service.log.read_text()
    assert token[-40:] not in world.server.process.log.read_text()


def test_a_token_for_somebody_else_is_refused(world: World) -> None:
    space = world.space()
    pod = space.chain()
    kept_out(world, space.token(pod, "https://kubernetes.default.svc"), "refuses the token|is not for audience")


def test_a_token_of_no_pod_is_refused(world: World) -> None:
    space = world.space()
    space.chain()
    kept_out(world, space.token(None), "is bound to no pod")


def test_the_token_of_a_pod_that_is_gone_is_refused(world: World) -> None:
    space = world.space()
    pod = space.chain()
    token = space.token(pod)
    assert not world.refused(token)
    space.plane.delete(f"{space.path('Pod')}/{pod['name']}?gracePeriodSeconds=0")
    assert world.refused(token)
    # Nor does a successor of the same name help, with the same owners.
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "gateway1-1"}
    owner["uid"] = space.plane.request("GET", f"{space.path('ReplicaSet')}/gateway1-1")["metadata"]["uid"]
    again = space.pod(owner, pod["name"])
    assert world.refused(token)
    assert not world.refused(space.token(again))


def test_a_finished_pod_is_refused(world: World) -> None:
    space = world.space()
    pod = space.chain()
    token = space.token(pod)
    space.plane.patch(f"{space.path('Pod')}/{pod['name']}/status", {"status": {"phase": "Failed"}})
    kept_out(world, token, f"pod {space.name}/{pod['name']}: it has finished")


def test_a_foreign_pod_of_the_namespace_is_refused(world: World) -> None:
    space = world.space()
    space.chain()
    kept_out(world, space.token(space.pod(None, "stranger")), "no ReplicaSet controls it")


def test_a_deployment_of_no_gateway_is_refused(world: World) -> None:
    space = world.space()
    pod = space.pod(space.replica_set(space.deployment(None)))
    kept_out(world, space.token(pod), "belongs to no VpcEgressGateway")


def test_a_second_deployment_that_names_the_gateway_is_refused(world: World) -> None:
    space = world.space()
    gateway = space.gateway()
    space.deployment(gateway)
    pod = space.pod(space.replica_set(space.deployment(gateway, "mine"), "mine-1"), "mine-1-a")
    kept_out(
        world, space.token(pod), "Deployment mine is not that of VpcEgressGateway gateway1, which is called gateway1"
    )


def test_the_prefix_of_a_gateway_is_part_of_the_name(world: World) -> None:
    space = world.space()
    gateway = space.gateway(prefix="out-")
    pod = space.pod(space.replica_set(space.deployment(gateway, "out-gateway1")))
    assert not world.refused(space.token(pod))


@pytest.mark.parametrize("forged", ["ReplicaSet", "Deployment", "VpcEgressGateway"])
def test_an_owner_of_another_uid_is_refused(world: World, forged: str) -> None:
    space = world.space()

    def owner(made: Json) -> Json:
        return {**made, "uid": "11111111-2222-3333-4444-555555555555"} if made["kind"] == forged else made

    deployment = space.deployment(owner(space.gateway()))
    pod = space.pod(owner(space.replica_set(owner(deployment))))
    kept_out(world, space.token(pod), f"its {forged} .* is not there")


def test_an_owner_by_the_name_of_a_path_is_refused(world: World) -> None:
    space = world.space()
    replica_set = space.replica_set(space.deployment(space.gateway()))
    pod = space.pod({**replica_set, "name": "../../../../../api/v1/namespaces/kube-system"})
    kept_out(world, space.token(pod), "that is no name")


def test_a_gateway_of_another_group_is_refused(world: World) -> None:
    space = world.space()
    other = {**space.gateway(), "apiVersion": "vpc-egress-gateway.io/v1"}
    kept_out(world, space.token(space.pod(space.replica_set(space.deployment(other)))), "belongs to no")


@pytest.mark.parametrize("token", ["nonsense", "a.b.c", "ey" + "x" * 3_000, "{}", "..", "é"])
def test_garbage_is_refused(world: World, token: str) -> None:
    assert world.refused(token)
    assert world.service.readiness()[0] == HTTPStatus.OK


def test_a_token_that_somebody_else_signed_is_refused(world: World) -> None:
    space = world.space()
    head, claims, signature = space.token(space.chain()).split(".")
    kept_out(world, f"{head}.{claims}.{signature[::-1]}", "the API server refuses the token")


def test_a_password_is_no_way_in(world: World) -> None:
    async def connect() -> None:
        await nats.connect(
            world.server.url, user="gw-agent", password="secret", connect_timeout=15, allow_reconnect=False
        )

    with pytest.raises(nats.errors.Error, match="Authorization Violation"):
        asyncio.run(connect())
