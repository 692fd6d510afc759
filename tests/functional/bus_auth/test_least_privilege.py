"""Each right that somebody has on the bus is needed: take it away, and what he is there for is refused.

One server for all; its accounts are rendered without the one right, and reloaded. A gateway pod is here a user with a
password in the account of the pods, with the rights that bus-auth gives.
"""

import asyncio
import copy
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import nats
import nats.errors
import pytest
from functional.servers import Nats
from nats.aio.client import Client
from nats.js import JetStreamContext, api

from veg_contracts import accounts, permissions, subjects
from veg_planner.bus.streams import ensure_streams
from veg_runtime import bus

Rights = dict[str, dict[str, Any]]
GATEWAY, POD, UID = "default/gateway1", "gateway1-abc", "7e1c"
PLAYED = (*permissions.ROLES, permissions.AGENT)
SPOKEN = (
    subjects.k8s_event("Pod", "default", "p"),
    subjects.agent_event(GATEWAY, POD),
    subjects.kube_command(GATEWAY),
    subjects.ovn_command("ovn-cluster", GATEWAY),
    subjects.config_subject(GATEWAY),
)


def rights() -> Rights:
    given: Rights = {user: permissions.nats_permissions(user) for user in permissions.USERS}
    return copy.deepcopy(given | {permissions.AGENT: permissions.agent_permissions(GATEWAY, POD, UID)})


CASES = [
    (user, verb, subject)
    for user in PLAYED
    for verb in ("publish", "subscribe")
    for subject in rights()[user][verb]["allow"]
]


async def watcher(client: Client) -> None:
    await client.jetstream(timeout=2).publish(subjects.k8s_event("Pod", "default", "p"), b"{}")


async def planner(client: Client) -> None:
    js, name = bus.jetstream(client), subjects.PLANNER_CONSUMER
    for stream in subjects.STREAMS:
        config = (await js.stream_info(stream)).config
        await js.add_stream(config)  # it is there: that changes nothing
        await js.update_stream(config)
    for stream in (subjects.EVENT_STREAM, subjects.AGENT_EVENT_STREAM):
        await js.add_consumer(stream, api.ConsumerConfig(durable_name=name, ack_policy=api.AckPolicy.EXPLICIT))
        await js.consumer_info(stream, name)
        subscription = await js.pull_subscribe_bind(name, stream)
        await (await subscription.fetch(1, timeout=3))[0].ack_sync()
        await js.delete_consumer(stream, name)
    await js.publish(subjects.kube_command(GATEWAY), b"{}")
    await js.publish(subjects.config_subject(GATEWAY), b"{}")


async def ovn_writer(client: Client) -> None:
    js = bus.jetstream(client)
    await js.publish(subjects.ovn_event(GATEWAY), b"{}")
    await _take(js, subjects.OVN_COMMANDS, subjects.OVN_WRITER_CONSUMER)


async def kube_writer(client: Client) -> None:
    js = bus.jetstream(client)
    await js.publish(subjects.kube_event(GATEWAY), b"{}")
    await _take(js, subjects.KUBE_COMMANDS, subjects.KUBE_WRITER_CONSUMER)


async def _take(js: JetStreamContext, filtered: str, durable: str) -> None:
    consumer = await bus.pull_subscription(js, subjects.COMMAND_STREAM, filtered, durable, in_flight_max=1)
    message = await consumer.next()
    assert message is not None
    await message.ack_sync()


async def reader(client: Client) -> None:
    js = client.jetstream(timeout=2)
    await js.streams_info()
    for stream in subjects.STREAMS:
        await js.stream_info(stream)
    keys = (await js.stream_info(subjects.CONFIG_STREAM, subjects_filter=subjects.CONFIG_KEYS)).state.subjects
    assert keys is not None
    for key in keys:
        await js.get_last_msg(subjects.CONFIG_STREAM, key, direct=True)
    for subject in (subjects.EVENTS, subjects.COMMANDS, subjects.CONFIG_KEYS):
        await client.subscribe(subject)
    await js.streams_info()


async def gw_agent(client: Client) -> None:
    js = client.jetstream(timeout=2)
    await client.subscribe(subjects.config_subject(GATEWAY))
    await js.get_last_msg(subjects.CONFIG_STREAM, subjects.config_subject(GATEWAY), direct=True)
    await js.publish(subjects.agent_event(GATEWAY, POD), b"{}")


WORK: dict[str, Callable[[Client], Awaitable[None]]] = {
    "watcher": watcher,
    "planner": planner,
    "ovn-writer": ovn_writer,
    "kube-writer": kube_writer,
    "reader": reader,
    permissions.AGENT: gw_agent,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nats]:
    made = Nats(tmp_path_factory.mktemp("bus"))
    made.configure(rendered(rights()))
    made.start()
    made.ask(ensure_streams)
    yield made
    made.kill()


def rendered(given: Rights) -> str:
    """The accounts that are shipped, with these rights, and the gateway pod in its account."""
    text = accounts.render(given)
    own = json.dumps(given[permissions.AGENT])
    pod = f"users: [{{ user: {permissions.AGENT}, password: {Nats.PASSWORD}, permissions: {own} }}]"
    mark = f"  {permissions.AGENT_ACCOUNT} {{\n"
    assert mark in text
    return text.replace(mark, f"{mark}    {pod}\n", 1).replace("auth_users: [", f"auth_users: [{permissions.AGENT}, ")


def refusals(server: Nats, user: str) -> list[str]:
    """What the server said no to while the user did all that he is there for; and whether he could do it."""

    async def speak(js: JetStreamContext) -> None:
        for subject in SPOKEN:
            await js.publish(subject, b"{}")

    async def play() -> list[str]:
        said: list[str] = []
        refused = asyncio.Event()

        async def note(error: Exception) -> None:
            said.append(str(error))
            refused.set()

        prefix = permissions.agent_inbox_prefix(UID) if user == permissions.AGENT else permissions.inbox_prefix(user)
        client = await nats.connect(
            server.url, user=user, password=server.PASSWORD, inbox_prefix=prefix.encode(), error_cb=note
        )
        work = asyncio.ensure_future(WORK[user](client))
        await asyncio.wait([work, asyncio.ensure_future(refused.wait())], timeout=20, return_when="FIRST_COMPLETED")
        if not said:
            await work
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        await client.close()
        return said

    server.ask(speak)
    return asyncio.run(play())


@pytest.mark.parametrize("user", PLAYED)
def test_with_its_rights_it_works(server: Nats, user: str) -> None:
    server.configure(rendered(rights()))
    server.reload()
    assert refusals(server, user) == []


@pytest.mark.parametrize(("user", "verb", "subject"), CASES)
def test_without_one_of_them_it_does_not(server: Nats, user: str, verb: str, subject: str) -> None:
    less = rights()
    less[user][verb]["allow"].remove(subject)
    less[user][verb]["allow"] += ["nothing"]  # an empty list would allow everything
    server.configure(rendered(less))
    server.reload()
    assert any("permissions violation" in said.lower() for said in refusals(server, user))


@pytest.mark.parametrize("exported", [subject for listed in permissions.exports().values() for subject in listed])
def test_pods_need_all_that_services_export(server: Nats, exported: str) -> None:
    text = rendered(rights())
    lines = [line for line in text.splitlines() if f'"{exported}"' not in line or "account" not in line]
    assert len(lines) == len(text.splitlines()) - 2
    server.configure("\n".join(lines))
    server.reload()
    if exported == subjects.CONFIG_KEYS:
        assert not asyncio.run(_hears(server))
    else:
        with pytest.raises(Exception, match=r"(?i)no ?responders|timeout|unavailable|no response from stream"):
            refusals(server, permissions.AGENT)


def test_a_pod_hears_its_config(server: Nats) -> None:
    server.configure(rendered(rights()))
    server.reload()
    assert asyncio.run(_hears(server))


async def _hears(server: Nats) -> bool:
    client = await nats.connect(
        server.url,
        user=permissions.AGENT,
        password=server.PASSWORD,
        inbox_prefix=permissions.agent_inbox_prefix(UID).encode(),
    )
    changes = await client.subscribe(subjects.config_subject(GATEWAY))
    await client.flush()
    await asyncio.to_thread(server.publish, subjects.config_subject(GATEWAY), b"{}")
    try:
        await changes.next_msg(timeout=1)
    except nats.errors.TimeoutError:
        return False
    finally:
        await client.close()
    return True
