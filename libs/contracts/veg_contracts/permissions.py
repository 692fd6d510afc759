"""What each role may publish and subscribe to on the bus: derived from the subjects, so it cannot drift from them.

Every role may use its own inbox prefix (`_INBOX_<role>`) only, so that no role reads another one's replies.
"""

from typing import Final

from veg_contracts import subjects

_JS: Final = "$JS.API"
ROLES: Final = ("watcher", "planner", "ovn-writer", "kube-writer", "gw-agent", "reader")


def inbox_prefix(role: str) -> str:
    """The prefix of the role's reply subjects (a connection option of the NATS client)."""
    return f"_INBOX_{role}"


def _consume(stream: str, consumer: str) -> list[str]:
    """Requests that a durable pull consumer makes: look, create or update, fetch; and acknowledge."""
    return [
        f"{_JS}.STREAM.INFO.{stream}",
        f"{_JS}.CONSUMER.INFO.{stream}.{consumer}",
        f"{_JS}.CONSUMER.CREATE.{stream}.{consumer}",
        f"{_JS}.CONSUMER.CREATE.{stream}.{consumer}.>",
        f"{_JS}.CONSUMER.DURABLE.CREATE.{stream}.{consumer}",
        f"{_JS}.CONSUMER.MSG.NEXT.{stream}.{consumer}",
        f"$JS.ACK.{stream}.{consumer}.>",
    ]


def _read_config() -> list[str]:
    """Requests that a KV watch makes: an ephemeral consumer on the bucket's stream."""
    stream = subjects.CONFIG_STREAM
    return [
        f"{_JS}.STREAM.INFO.{stream}",
        f"{_JS}.CONSUMER.CREATE.{stream}",
        f"{_JS}.CONSUMER.CREATE.{stream}.>",
        f"{_JS}.CONSUMER.INFO.{stream}.>",
        f"{_JS}.CONSUMER.DELETE.{stream}.>",
        f"{_JS}.DIRECT.GET.{stream}.>",
        f"{_JS}.STREAM.MSG.GET.{stream}",
        "$JS.FC.>",
    ]


def _publish(role: str) -> list[str]:
    events, commands = subjects.EVENT_STREAM, subjects.COMMAND_STREAM
    match role:
        case "watcher":
            return [subjects.K8S_EVENTS, f"{_JS}.STREAM.INFO.{events}"]
        case "planner":
            acknowledge = [f"$JS.ACK.{stream}.>" for stream in (events, subjects.AGENT_EVENT_STREAM)]
            return [subjects.COMMANDS, subjects.CONFIG_KEYS, f"{_JS}.>", *acknowledge]
        case "ovn-writer":
            consume = _consume(commands, subjects.OVN_WRITER_CONSUMER)
            return [subjects.OVN_EVENTS, f"{_JS}.STREAM.INFO.{events}", *consume]
        case "kube-writer":
            consume = _consume(commands, subjects.KUBE_WRITER_CONSUMER)
            return [subjects.KUBE_EVENTS, f"{_JS}.STREAM.INFO.{events}", *consume]
        case "gw-agent":
            return [subjects.AGENT_EVENTS, f"{_JS}.STREAM.MSG.GET.{subjects.CONFIG_STREAM}"]
        case "reader":
            return [f"{_JS}.STREAM.INFO.>", f"{_JS}.STREAM.LIST", f"{_JS}.STREAM.NAMES", *_read_config()]
        case _:
            raise ValueError(f"unknown role {role!r}; known are {', '.join(ROLES)}")


def nats_permissions(role: str) -> dict[str, dict[str, list[str]]]:
    """The `permissions` block of a NATS user of that role.

    Raises:
        ValueError: the role is unknown.
    """
    subscribe = [f"{inbox_prefix(role)}.>"]
    if role == "gw-agent":
        subscribe += [subjects.CONFIG_KEYS]
    if role == "reader":
        subscribe += [subjects.EVENTS, subjects.COMMANDS, subjects.CONFIG_KEYS]
    return {"publish": {"allow": _publish(role)}, "subscribe": {"allow": subscribe}}
