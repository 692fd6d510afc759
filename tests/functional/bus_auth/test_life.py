"""What happens to those who are in, and to those who want to come in, when something is away."""

import asyncio
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from pathlib import Path
from typing import Any

import nats
import pytest
from functional.bus_auth.conftest import BusAuth, Json, Space, World, running
from functional.control_plane import ControlPlane
from functional.servers import free_port, wait_for
from nats.aio.client import Client

from veg_contracts import accounts, permissions, subjects
from veg_gw_agent.settings import AgentSettings
from veg_runtime import bus, nkeys
from veg_runtime.nkeys import Kind


def agent(world: World, space: Space, token: Path) -> AgentSettings:
    """Settings of a gateway pod's agent."""
    return AgentSettings(
        nats_url=world.server.url, nats_token_path=str(token), gateway=f"{space.name}/gateway1", gateway_uid="1"
    )


def as_agent(
    settings: AgentSettings, pod: Json, work: Callable[[Client], Coroutine[Any, Any, None]], within_s: float = 60
) -> None:
    """Do something with a connection that the agent's own code has made."""

    async def connected() -> None:
        async with asyncio.timeout(within_s):
            inbox = permissions.agent_inbox_prefix(pod["uid"])
            client = await bus.connect(settings, permissions.AGENT, inbox=inbox, token=settings.token)
            try:
                await work(client)
            finally:
                await client.close()

    asyncio.run(connected())


async def speak(client: Client, settings: AgentSettings, pod: Json) -> None:
    await client.jetstream(timeout=2).publish(subjects.agent_event(settings.gateway, pod["name"]), b"{}")


def test_who_is_in_stays_in_without_bus_auth(plane: ControlPlane, tmp_path: Path) -> None:
    with running(plane, tmp_path) as world:
        space = world.space()
        pod, file = space.chain(), tmp_path / "token"
        file.write_text(space.token(pod))
        settings = agent(world, space, file)

        async def work(client: Client) -> None:
            world.service.kill()
            for _ in range(5):
                await asyncio.sleep(0.5)
                await speak(client, settings, pod)
            # Nobody else comes in meanwhile, and everybody when it is back.
            inbox = permissions.agent_inbox_prefix(pod["uid"])
            coming = asyncio.create_task(bus.connect(settings, permissions.AGENT, inbox=inbox, token=settings.token))
            await asyncio.sleep(12)  # longer than the server waits for an answer
            assert not coming.done()
            await asyncio.to_thread(world.service.start)
            second = await coming
            await speak(second, settings, pod)
            await second.close()
            await speak(client, settings, pod)

        as_agent(settings, pod, work)


def test_a_pod_comes_in_again_when_its_time_is_over(own_world: World, tmp_path: Path) -> None:
    space = own_world.space()
    pod, file = space.chain(), tmp_path / "token"
    file.write_text(space.token(pod))
    settings = agent(own_world, space, file)

    async def until_it_ends(client: Client) -> None:
        await speak(client, settings, pod)
        while not client.is_closed:  # noqa: ASYNC110  # the library tells nobody
            await asyncio.sleep(0.1)

    as_agent(settings, pod, until_it_ends, 20)
    space.plane.delete(f"{space.path('Pod')}/{pod['name']}?gracePeriodSeconds=0")
    assert own_world.refused(file.read_text())


def test_after_a_restart_of_the_bus_the_token_is_read_again(own_world: World, tmp_path: Path) -> None:
    space = own_world.space()
    pod, file = space.chain(), tmp_path / "token"
    file.write_text(space.token(pod))
    settings = agent(own_world, space, file)

    async def work(client: Client) -> None:
        await speak(client, settings, pod)
        file.write_text("no token any more")
        own_world.server.kill()
        await asyncio.to_thread(own_world.server.start)
        await asyncio.sleep(4)
        assert not client.is_connected
        file.write_text(space.token(pod, seconds=1800))
        while not client.is_connected:  # noqa: ASYNC110  # the library tells nobody
            await asyncio.sleep(0.1)
        await speak(client, settings, pod)

    as_agent(settings, pod, work)


def test_of_two_one_answers(own_world: World, tmp_path: Path) -> None:
    second = BusAuth(own_world.plane, own_world.server, tmp_path / "second.log")
    second.start()
    try:
        space = own_world.space()
        token = space.token(space.chain())
        services = (own_world.service, second)
        for _ in range(8):
            assert not own_world.refused(token)
        answers = [sum(line["event"] == "gateway pod let in" for line in service.said()) for service in services]
        assert sum(answers) == 8
        own_world.service.kill()
        assert not own_world.refused(token)
    finally:
        second.kill()


def test_without_an_api_server_nobody_comes_in_and_it_says_why(
    plane: ControlPlane, tmp_path: Path, own_world: World
) -> None:
    space = own_world.space()
    token = space.token(space.chain())
    nowhere = tmp_path / "nowhere.kubeconfig"
    nowhere.write_text(plane.kubeconfig("bus-auth").read_text().replace(plane.url, f"https://127.0.0.1:{free_port()}"))
    own_world.service.kill()
    lost = BusAuth(plane, own_world.server, tmp_path / "lost.log", KUBECONFIG=str(nowhere))
    super(BusAuth, lost).start()
    try:
        wait_for("bus-auth to say what it lacks", lambda: "API server" in lost.readiness()[1])
        assert lost.readiness()[0] == HTTPStatus.SERVICE_UNAVAILABLE
        assert own_world.refused(token)
        assert lost.reasons()[-1].startswith("POST /apis/authentication.k8s.io/v1/tokenreviews: ")
    finally:
        lost.kill()


@pytest.mark.parametrize("seed", ["VEG_ISSUER_SEED", "VEG_XKEY_SEED"])
def test_a_seed_that_is_none_is_named_and_not_repeated(plane: ControlPlane, own_world: World, seed: str) -> None:
    log = own_world.service.log.with_name("wrong.log")
    wrong = BusAuth(plane, own_world.server, log, **{seed: "SAAAAWRONG"})
    super(BusAuth, wrong).start()
    assert wrong._running is not None
    assert wrong._running.wait(20) == 2
    assert seed in log.read_text()
    assert "SAAAAWRONG" not in log.read_text()


def test_a_question_that_cannot_be_read_stops_nothing(own_world: World, tmp_path: Path) -> None:
    """A bus-auth with another xkey than the server's: it says so at each question, and the other one goes on."""
    space = own_world.space()
    token = space.token(space.chain())
    own_world.service.kill()
    other = BusAuth(own_world.plane, own_world.server, tmp_path / "other.log", VEG_XKEY_SEED=nkeys.new_seed(Kind.CURVE))
    other.start()
    try:
        assert own_world.refused(token)
        said = [line["reason"] for line in other.said() if line["event"] == "question not read"]
        assert said == ["the message is encrypted for another key, or broken"]
        assert other.readiness()[0] == HTTPStatus.OK
    finally:
        other.kill()
    own_world.service.start()
    assert not own_world.refused(token)


def test_answers_of_another_issuer_let_nobody_in(own_world: World, tmp_path: Path) -> None:
    space = own_world.space()
    token = space.token(space.chain())
    own_world.service.kill()
    seed = nkeys.new_seed(Kind.ACCOUNT)
    other = BusAuth(own_world.plane, own_world.server, tmp_path / "other.log", VEG_ISSUER_SEED=seed)
    other.start()
    try:
        assert own_world.refused(token)
    finally:
        other.kill()


def test_nobody_but_a_server_asks_who_somebody_is(own_world: World) -> None:
    """Whatever bus-auth's own user may do, as the one user of that account."""
    rights = {user: permissions.nats_permissions(user) for user in permissions.USERS}
    rights[permissions.BUS_AUTH]["publish"] = {"allow": [">"]}
    own_world.server.configure(accounts.render(rights))
    own_world.server.reload()
    said: list[str] = []

    async def note(error: Exception) -> None:
        said.append(str(error))

    async def ask() -> None:
        url, password = own_world.server.url, own_world.server.PASSWORD
        client = await nats.connect(url, user="bus-auth", password=password, error_cb=note)
        await client.publish(subjects.AUTH_REQUESTS, b"{}")
        async with asyncio.timeout(10):
            while not said:  # noqa: ASYNC110  # the library tells nobody
                await asyncio.sleep(0.01)
        await client.close()

    asyncio.run(ask())
    assert "permissions violation for publish" in said[0].lower()
    assert not any(line["event"] == "question not read" for line in own_world.service.said())
