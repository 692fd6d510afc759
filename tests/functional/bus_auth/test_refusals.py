"""What a gateway pod's credential is refused, by the server itself and with the accounts that are shipped."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from functional.bus_auth.conftest import Json, World
from functional.servers import wait_for
from nats.aio.client import Client
from nats.js import JetStreamContext

from veg_contracts import permissions, subjects

_KV = subjects.CONFIG_STREAM

# {ns} is the pod's namespace, {pod} its name, {uid} its uid; gateway1 its gateway, and gateway2 somebody else's there.
PUBLISHED = {
    "read another gateway's config": f"$JS.API.DIRECT.GET.{_KV}.$KV.veg-config.{{ns}}.gateway2",
    "read a gateway's config of another namespace": f"$JS.API.DIRECT.GET.{_KV}.$KV.veg-config.default.gateway1",
    "read by number": f"$JS.API.DIRECT.GET.{_KV}",
    "read as a stream's owner": f"$JS.API.STREAM.MSG.GET.{_KV}",
    "read an event": "$JS.API.STREAM.MSG.GET.VEG_EVENTS",
    "write its own config": "$KV.veg-config.{ns}.gateway1",
    "write another config": "$KV.veg-config.{ns}.gateway2",
    "publish as another pod": "veg.evt.agent.{ns}.gateway1.other",
    "publish as a pod of another gateway": "veg.evt.agent.{ns}.gateway2.{pod}",
    "publish as a pod of another namespace": "veg.evt.agent.default.gateway1.{pod}",
    "publish below its own subject": "veg.evt.agent.{ns}.gateway1.{pod}.more",
    "publish as the watcher": "veg.evt.k8s.pod.{ns}.{pod}",
    "publish as the ovn-writer": "veg.evt.ovn.gateway.{ns}.gateway1",
    "publish as the kube-writer": "veg.evt.kube.{ns}.gateway1",
    "command the ovn-writer": "veg.cmd.ovn.ovn-cluster.{ns}.gateway1",
    "command the kube-writer": "veg.cmd.kube.{ns}.gateway1",
    "create an ephemeral consumer": f"$JS.API.CONSUMER.CREATE.{_KV}",
    "create a push consumer": "$JS.API.CONSUMER.CREATE.VEG_EVENTS.mine",
    "create a consumer of one subject": f"$JS.API.CONSUMER.CREATE.{_KV}.mine.$KV.veg-config.{{ns}}.gateway1",
    "create a durable consumer": f"$JS.API.CONSUMER.DURABLE.CREATE.{_KV}.mine",
    "re-point the planner's consumer": "$JS.API.CONSUMER.CREATE.VEG_EVENTS.planner.veg.evt.k8s.>",
    "re-point the planner's durable": "$JS.API.CONSUMER.DURABLE.CREATE.VEG_AGENT_EVENTS.planner",
    "delete the planner's consumer": "$JS.API.CONSUMER.DELETE.VEG_AGENT_EVENTS.planner",
    "take the planner's messages": "$JS.API.CONSUMER.MSG.NEXT.VEG_AGENT_EVENTS.planner",
    "acknowledge for the planner": "$JS.ACK.VEG_AGENT_EVENTS.planner.1.1.1.1.0",
    "list consumers": "$JS.API.CONSUMER.LIST.VEG_EVENTS",
    "list keys": f"$JS.API.STREAM.INFO.{_KV}",
    "list streams": "$JS.API.STREAM.LIST",
    "list names of streams": "$JS.API.STREAM.NAMES",
    "create a stream": "$JS.API.STREAM.CREATE.MINE",
    "change a stream": "$JS.API.STREAM.UPDATE.VEG_AGENT_EVENTS",
    "delete a stream": "$JS.API.STREAM.DELETE.VEG_AGENT_EVENTS",
    "purge a stream": "$JS.API.STREAM.PURGE.VEG_AGENT_EVENTS",
    "purge a key": f"$JS.API.STREAM.PURGE.{_KV}",
    "delete a message": "$JS.API.STREAM.MSG.DELETE.VEG_AGENT_EVENTS",
    "take a snapshot": f"$JS.API.STREAM.SNAPSHOT.{_KV}",
    "look at the account": "$JS.API.INFO",
    "answer into another pod's inbox": f"{permissions.agent_inbox_prefix('other')}.x",
    "answer into the planner's inbox": f"{permissions.inbox_prefix('planner')}.x",
    "ask the system for its clients": "$SYS.REQ.SERVER.PING.CONNZ",
    "ask the system for accounts": "$SYS.REQ.ACCOUNT.VEG.CONNZ",
    "pass as a server that asks who somebody is": "$SYS.REQ.USER.AUTH",
}
HEARD = {
    "hear another gateway's config": "$KV.veg-config.{ns}.gateway2",
    "hear all configs": "$KV.veg-config.>",
    "hear the configs of a namespace": "$KV.veg-config.{ns}.*",
    "hear another pod's inbox": f"{permissions.agent_inbox_prefix('other')}.>",
    "hear all pods' inboxes": f"{permissions.inbox_prefix(permissions.AGENT)}.>",
    "hear the planner's inbox": f"{permissions.inbox_prefix('planner')}.>",
    "hear everything": ">",
    "hear events": "veg.evt.>",
    "hear its own events": "veg.evt.agent.{ns}.gateway1.{pod}",
    "hear commands": "veg.cmd.>",
    "hear the API of JetStream": "$JS.API.>",
    "hear the system": "$SYS.>",
    "hear who asks to come in": "$SYS.REQ.USER.AUTH",
}


@dataclass(frozen=True)
class Inside:
    """A gateway pod that is let in."""

    world: World
    ns: str
    pod: Json
    token: str

    def fill(self, subject: str) -> str:
        return subject.format(ns=self.ns, pod=self.pod["name"], uid=self.pod["uid"])

    def refused(self, kind: str, subject: str) -> None:
        """Do it, and find that the server refused exactly that."""

        async def work(client: Client, said: list[str]) -> list[str]:
            if kind == "publish":
                await client.publish(subject, b"{}", reply=f"{permissions.agent_inbox_prefix(self.pod['uid'])}.x")
            else:
                await client.subscribe(subject)
            await _until(lambda: bool(said))  # a flush can overtake what was published before it
            return said

        said = self.world.as_pod(self.token, self.pod["uid"], work)
        assert len(said) == 1, said
        assert f'permissions violation for {kind} to "{subject}"' in said[0].lower().replace(subject.lower(), subject)


@pytest.fixture(scope="module")
def inside(world: World) -> Inside:
    space = world.space()
    pod = space.chain()
    space.chain("gateway2")
    return Inside(world, space.name, pod, space.token(pod))


@pytest.mark.parametrize("what", PUBLISHED)
def test_it_may_not(inside: Inside, what: str) -> None:
    inside.refused("publish", inside.fill(PUBLISHED[what]))


@pytest.mark.parametrize("what", HEARD)
def test_it_does_not(inside: Inside, what: str) -> None:
    inside.refused("subscription", inside.fill(HEARD[what]))


@pytest.mark.parametrize(
    "subject",
    [
        "$KV.veg-config.{ns}.gateway2",
        "veg.evt.agent.{ns}.gateway2.other",
        "veg.evt.k8s.pod.{ns}.victim",
        "veg.cmd.kube.{ns}.gateway1",
        "$JS.API.STREAM.PURGE.VEG_EVENTS",
        "$JS.API.STREAM.DELETE.VEG_EVENTS",
    ],
)
@pytest.mark.parametrize("stored", ["its config", "nothing"])
def test_a_reply_of_the_server_goes_nowhere_else(inside: Inside, subject: str, stored: str) -> None:
    """The server replies where a request says: here, where the pod may not publish itself."""
    server, victim = inside.world.server, inside.fill(subject)
    own = subjects.config_subject(f"{inside.ns}/gateway1")
    server.publish(subjects.config_subject(f"{inside.ns}/gateway2"), b"theirs")
    server.publish(subjects.k8s_event("Pod", inside.ns, "kept"), b"{}")

    async def empty(js: JetStreamContext) -> None:
        await js.purge_stream(subjects.CONFIG_STREAM, subject=own)

    if stored == "nothing":
        server.ask(empty)  # the reply is then an empty message, which many requests of the API are
    else:
        server.publish(own, b"ours")
    before = _states(inside.world)

    async def work(client: Client, _: list[str]) -> None:
        await client.publish(f"$JS.API.DIRECT.GET.{_KV}.{own}", b"", reply=victim)
        await client.flush(5)
        await asyncio.sleep(0.2)

    inside.world.as_pod(inside.token, inside.pod["uid"], work)
    assert _states(inside.world) == before


def _states(world: World) -> dict[str, tuple[int, int]]:
    async def states(js: JetStreamContext) -> dict[str, tuple[int, int]]:
        found = {}
        for name in subjects.STREAMS:
            state = (await js.stream_info(name)).state
            found[name] = (state.messages, state.last_seq)
        return found

    return world.server.ask(states)


def test_it_fills_no_more_than_its_own_share(inside: Inside) -> None:
    other = subjects.agent_event(f"{inside.ns}/gateway2", "other")
    own = subjects.agent_event(f"{inside.ns}/gateway1", inside.pod["name"])
    inside.world.server.publish(other, b"theirs")

    async def work(client: Client, said: list[str]) -> None:
        for _ in range(400):
            await client.publish(own, b"x" * 60_000)
        await client.jetstream(timeout=10).publish(own, b"last")
        assert said == []

    async def held(js: JetStreamContext) -> dict[str, int]:
        info = await js.stream_info(subjects.AGENT_EVENT_STREAM, subjects_filter=f"veg.evt.agent.{inside.ns}.>")
        return info.state.subjects or {}

    inside.world.as_pod(inside.token, inside.pod["uid"], work)
    assert inside.world.server.ask(held) == {other: 1, own: 256}


def test_a_message_over_the_limit_is_refused(inside: Inside) -> None:
    async def work(client: Client, _: list[str]) -> None:
        body = b"x" * (subjects.AGENT_MESSAGE_BYTES_MAX + 1)
        client._max_payload = 2 * len(body)  # or the library itself would not send it
        await client.publish(subjects.agent_event(f"{inside.ns}/gateway1", inside.pod["name"]), body)
        await _until(lambda: client.is_closed)

    before = _states(inside.world)
    inside.world.as_pod(inside.token, inside.pod["uid"], work)
    assert _states(inside.world) == before
    log = inside.world.server.process.log
    wait_for("the server to say why", lambda: "maximum payload" in log.read_text().lower())


def test_it_listens_in_few_places_only(inside: Inside) -> None:
    async def work(client: Client, _: list[str]) -> None:
        for number in range(permissions.AGENT_SUBSCRIPTIONS_MAX + 1):
            await client.subscribe(f"{permissions.agent_inbox_prefix(inside.pod['uid'])}.{number}")
        await _until(lambda: client.is_closed)

    inside.world.as_pod(inside.token, inside.pod["uid"], work)
    log = inside.world.server.process.log
    wait_for("the server to say why", lambda: "maximum subscriptions exceeded" in log.read_text().lower())


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # the library tells nobody
            await asyncio.sleep(0.01)
