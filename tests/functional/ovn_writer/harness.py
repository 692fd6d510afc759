"""The writer as a process, commands as the planner sends them, and what the streams and the database say."""

import shlex
from pathlib import Path
from typing import Any, TypeVar

from functional.ovsdb import Ovsdb
from functional.servers import Nats, Service, wait_for
from nats.js import JetStreamContext

from veg_contracts import subjects
from veg_contracts.commands import ChangeMembers, EnsureMembers, EnsureNb
from veg_contracts.envelope import Envelope, to_body, to_headers, type_name
from veg_contracts.events import ChassisObserved, MembersObserved, RoutesObserved, RowsListed, RowsObserved
from veg_contracts.intent import NbRows, RoutePolicy, StaticRoute
from veg_contracts.names import port_group
from veg_planner.bus.streams import ensure_streams
from veg_runtime import clock

T = TypeVar("T")
GATEWAY = "default/gateway1"
ROUTER = "ovn-cluster"
TRACE = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"


def policy(source: str, *nexthops: str, family: str = "4", priority: int = 29100) -> RoutePolicy:
    return RoutePolicy(
        family=family, priority=priority, match=f"ip{family}.src == {source}", action="reroute", nexthops=nexthops
    )


def rows(*policies: RoutePolicy, router: str = ROUTER) -> NbRows:
    return NbRows(router=router, policies=policies)


DOCUMENT = rows(policy("10.16.0.0/16", "10.16.0.12"))
SCALED = rows(policy("10.16.0.0/16", "10.16.0.12", "10.16.0.15"))


GROUP = port_group(GATEWAY)
SELECTING = NbRows(
    router=ROUTER,
    policies=(
        RoutePolicy(
            family="4", priority=29160, match=f"ip4.src == ${GROUP}_ip4", action="reroute", nexthops=("10.16.0.12",)
        ),
    ),
    port_groups=(GROUP,),
)


def route(prefix: str, nexthop: str, family: str = "4") -> StaticRoute:
    """As the document has it: one of a source and a gateway pod."""
    selection = ("ip_src",) if family == "4" else ("ipv6_src",)
    return StaticRoute(
        family=family, ip_prefix=prefix, nexthop=nexthop, symmetric_reply=True, selection_fields=selection
    )


def command(generation: int, wanted: NbRows, gateway: str = GATEWAY, number: str = "") -> Envelope:
    """As the planner's relay sends it."""
    data = EnsureNb(gateway=gateway, gateway_uid=f"uid-{gateway}", generation=generation, rows=wanted)
    return _envelope(data, f"nb{number}", wanted.router)


def members(generation: int, *ports: str, gateway: str = GATEWAY, group: str = GROUP, number: str = "") -> Envelope:
    """The whole membership."""
    data = EnsureMembers(
        gateway=gateway, gateway_uid=f"uid-{gateway}", generation=generation, port_group=group, ports=ports
    )
    return _envelope(data, f"members{number}", ROUTER)


def change(base: int, added: tuple[str, ...] = (), removed: tuple[str, ...] = (), number: str = "") -> Envelope:
    """A change of the membership of the generation `base`."""
    data = ChangeMembers(
        gateway=GATEWAY,
        gateway_uid=f"uid-{GATEWAY}",
        generation=base + 1,
        base=base,
        port_group=GROUP,
        added=added,
        removed=removed,
    )
    return _envelope(data, f"members{number}", ROUTER)


def _envelope(data: EnsureNb | EnsureMembers | ChangeMembers, what: str, router: str) -> Envelope:
    return Envelope(
        id=f"{data.gateway_uid}/{data.generation}/{what}",
        source="veg/planner",
        type=type_name(data),
        subject=subjects.ovn_command(router, data.gateway),
        time=clock.now(),
        data=data,
        correlation_id="story",
        causation_id="cause",
        traceparent=TRACE,
    )


class Bus:
    """The streams, seen by somebody who may do everything."""

    def __init__(self, server: Nats) -> None:
        self.server = server
        self.server.ask(ensure_streams)

    def send(self, *envelopes: Envelope) -> None:
        for envelope in envelopes:
            self.send_raw(envelope.subject, to_body(envelope), to_headers(envelope))

    def send_raw(self, subject: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.server.publish(subject, body, headers)

    def events(self) -> list[Envelope]:
        """All events, in the order of the stream."""
        return self.server.events()

    def event(self, identity: str) -> Envelope | None:
        """The one event with that id."""
        found = [envelope for envelope in self.events() if envelope.id == identity]
        assert len(found) <= 1
        return found[0] if found else None

    def wait_event(self, identity: str, deadline_s: float = 20.0) -> Any:
        """The data of the event with that id, once it is there."""
        wait_for(f"event {identity}", lambda: self.event(identity) is not None, deadline_s)
        found = self.event(identity)
        assert found is not None
        return found.data

    def observed(self, reason: str) -> list[RowsObserved]:
        events = (envelope.data for envelope in self.events())
        return [event for event in events if isinstance(event, RowsObserved) and event.reason == reason]

    def wait_observed(self, reason: str, number: int = 1) -> RowsObserved:
        """The `number`th observation for that reason."""
        wait_for(f"{number} rows observed ({reason})", lambda: len(self.observed(reason)) >= number)
        return self.observed(reason)[number - 1]

    def members_observed(self) -> list[MembersObserved]:
        return [envelope.data for envelope in self.events() if isinstance(envelope.data, MembersObserved)]

    def wait_members_observed(self, number: int = 1) -> MembersObserved:
        """The `number`th observation of a group."""
        wait_for(f"{number} members observed", lambda: len(self.members_observed()) >= number)
        return self.members_observed()[number - 1]

    def routes_observed(self) -> list[RoutesObserved]:
        return [envelope.data for envelope in self.events() if isinstance(envelope.data, RoutesObserved)]

    def wait_routes_observed(self, number: int = 1) -> RoutesObserved:
        """The `number`th observation of routes of others."""
        wait_for(f"{number} routes observed", lambda: len(self.routes_observed()) >= number)
        return self.routes_observed()[number - 1]

    def chassis_observed(self) -> list[ChassisObserved]:
        return [envelope.data for envelope in self.events() if isinstance(envelope.data, ChassisObserved)]

    def wait_chassis_observed(self, number: int = 1) -> ChassisObserved:
        """The `number`th observation of silent chassis."""
        wait_for(f"{number} chassis observed", lambda: len(self.chassis_observed()) >= number)
        return self.chassis_observed()[number - 1]

    def listed(self) -> list[RowsListed]:
        return [envelope.data for envelope in self.events() if isinstance(envelope.data, RowsListed)]

    def wait_listed(self, number: int = 1) -> RowsListed:
        wait_for(f"{number} rows listed", lambda: len(self.listed()) >= number)
        return self.listed()[number - 1]

    def unacknowledged(self) -> int:
        """Commands that were handed out and not acknowledged, and those that were not handed out."""

        async def read(js: JetStreamContext) -> int:
            info = await js.consumer_info(subjects.COMMAND_STREAM, subjects.OVN_WRITER_CONSUMER)
            return (info.num_ack_pending or 0) + (info.num_pending or 0)

        return self.server.ask(read)

    def handed_out(self) -> int:
        """Commands that were handed out and not acknowledged."""

        async def read(js: JetStreamContext) -> int:
            info = await js.consumer_info(subjects.COMMAND_STREAM, subjects.OVN_WRITER_CONSUMER)
            return info.num_ack_pending or 0

        return self.server.ask(read)


class Writer(Service):
    """The service as it runs in production."""

    def __init__(self, server: Nats, nb: Ovsdb, log: Path, **settings: str) -> None:
        environment = {
            **server.environment("ovn-writer"),
            "VEG_NB_REMOTE": nb.remote,
            "VEG_TRANSACT_TIMEOUT_S": "3",
            **settings,
        }
        super().__init__("veg_ovn_writer", environment, log)

    def says(self, text: str) -> bool:
        """Whether the log holds that."""
        return text in self.log.read_text()

    def wait_says(self, text: str) -> None:
        wait_for(f"{text!r} in {self.log}", lambda: self.says(text))


def found(nb: Ovsdb) -> dict[str, list[dict[str, Any]]]:
    """The policies of each router, without uuids and versions, sorted."""
    by_uuid = {row.pop("_uuid"): row for row in nb.rows("Logical_Router_Policy") if row.pop("_version")}
    return {
        router["name"]: sorted(
            (by_uuid[uuid] for uuid in _list(router["policies"])), key=lambda row: (row["priority"], row["match"])
        )
        for router in nb.rows("Logical_Router", "name", "policies")
    }


def told_to(message: str) -> list[str]:
    """The words for ovn-nbctl that the message of a failure tells somebody to say, as a shell would take them."""
    return shlex.split(message.partition("ovn-nbctl ")[2])


def add_ports(nb: Ovsdb, *names: str, switch: str = "subnet1") -> None:
    """Logical switch ports, as Kube-OVN makes one for each pod."""
    words = [word for name in names for word in ("--", "lsp-add", switch, name)]
    nb.nbctl("--may-exist", "ls-add", switch, *words)


def grouped(nb: Ovsdb, group: str = GROUP) -> set[str]:
    """The names of the ports in a group."""
    names = {row["_uuid"]: row["name"] for row in nb.rows("Logical_Switch_Port", "_uuid", "name")}
    (row,) = [row for row in nb.rows("Port_Group", "name", "ports") if row["name"] == group]
    return {names[uuid] for uuid in _list(row["ports"])}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
