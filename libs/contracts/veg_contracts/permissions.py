"""What each user of the bus may publish and subscribe to: derived from the subjects, so it cannot drift from them.

Nobody may use a wildcard over the API of JetStream: each stream, consumer and key that somebody needs is named. Every
user has an inbox of its own, so that nobody reads another one's replies.

Services have a user each, in the account VEG, which has the streams. Gateway pods are in the account AGENTS, which has
none, with a user each that bus-auth makes. It takes from VEG only what `exports` names. That is more than a second
fence: a server sends its reply wherever the request says, whoever may not publish there himself. In an account of
their own, pods can have replies sent to each other at most.
"""

from typing import Any, Final

from veg_contracts import subjects

_JS: Final = "$JS.API"
ROLES: Final = ("watcher", "planner", "ovn-writer", "kube-writer", "reader")
BUS_AUTH: Final = "bus-auth"
USERS: Final = (*ROLES, BUS_AUTH)
AGENT: Final = "gw-agent"
# What a gateway pod's token is made for: good for nothing else, and nothing else is good for it.
TOKEN_AUDIENCE: Final = "vpc-egress-gateway"  # noqa: S105  no token, but what one is for

SERVICE_ACCOUNT: Final = "VEG"
AGENT_ACCOUNT: Final = "AGENTS"
AUTH_ACCOUNT: Final = "AUTH"
SYSTEM_ACCOUNT: Final = "SYS"

# Its config, its inbox; and as many again for a moment in which it makes them anew.
AGENT_SUBSCRIPTIONS_MAX: Final = 8
# Of all gateway pods of a cluster.
AGENT_CONNECTIONS_MAX: Final = 4096


def inbox_prefix(user: str) -> str:
    """The prefix of a service's reply subjects (a connection option of the NATS client)."""
    return f"_INBOX_{user}"


def agent_inbox_prefix(pod_uid: str) -> str:
    """The prefix of a gateway pod's reply subjects: a pod's uid is no secret, and never comes again."""
    return f"{inbox_prefix(AGENT)}.{subjects.token(pod_uid)}"


def agent_permissions(gateway: str, pod: str, pod_uid: str) -> dict[str, dict[str, list[str]]]:
    """The permissions of one pod (its name, and its uid) of one gateway (`namespace/name`)."""
    config = subjects.config_subject(gateway)
    return {
        "publish": {"allow": [subjects.agent_event(gateway, pod), _direct_get(config)]},
        "subscribe": {"allow": [config, f"{agent_inbox_prefix(pod_uid)}.>"]},
    }


def exports() -> dict[str, list[str]]:
    """What gateway pods have of the account of the services: subjects to listen on, and subjects to speak to."""
    return {
        "stream": [subjects.CONFIG_KEYS],
        "service": [subjects.AGENT_EVENTS, _direct_get(subjects.CONFIG_KEYS)],
    }


def nats_permissions(user: str) -> dict[str, dict[str, Any]]:
    """The `permissions` block of a service's user in the configuration of a NATS server.

    Raises:
        ValueError: the user is unknown.
    """
    if user == BUS_AUTH:
        # It answers where the server asked, and says nothing by itself.
        return {
            "publish": {"deny": [">"]},
            "subscribe": {"allow": [subjects.AUTH_REQUESTS]},
            "allow_responses": {"max": 1, "expires": "1m"},
        }
    subscribe = [f"{inbox_prefix(user)}.>"]
    if user == "reader":
        subscribe += [subjects.EVENTS, subjects.COMMANDS, subjects.CONFIG_KEYS]
    return {"publish": {"allow": _publish(user)}, "subscribe": {"allow": subscribe}}


def _publish(user: str) -> list[str]:
    match user:
        case "watcher":
            return [subjects.K8S_EVENTS]
        case "planner":
            return [
                subjects.COMMANDS,
                subjects.CONFIG_KEYS,
                *(request for stream in subjects.STREAMS for request in _keep(stream)),
                *(
                    request
                    for stream in (subjects.EVENT_STREAM, subjects.AGENT_EVENT_STREAM)
                    for request in _lead(stream)
                ),
            ]
        case "ovn-writer":
            return [subjects.OVN_EVENTS, *_consume(subjects.OVN_WRITER_CONSUMER, subjects.OVN_COMMANDS)]
        case "kube-writer":
            return [subjects.KUBE_EVENTS, *_consume(subjects.KUBE_WRITER_CONSUMER, subjects.KUBE_COMMANDS)]
        case "reader":
            infos = (f"{_JS}.STREAM.INFO.{stream}" for stream in subjects.STREAMS)
            return [f"{_JS}.STREAM.LIST", *infos, _direct_get(subjects.CONFIG_KEYS)]
        case _:
            raise ValueError(f"unknown user {user!r}; known are {', '.join(USERS)}")


def _direct_get(subject: str) -> str:
    """The request for the last message on that subject, for which no consumer is made."""
    return f"{_JS}.DIRECT.GET.{subjects.CONFIG_STREAM}.{subject}"


def _keep(stream: str) -> list[str]:
    """Requests of whoever makes a stream and brings it to its configuration."""
    return [f"{_JS}.STREAM.{verb}.{stream}" for verb in ("INFO", "CREATE", "UPDATE")]


def _lead(stream: str) -> list[str]:
    """Requests of the planner, which makes its consumer anew when it begins to lead."""
    consumer = subjects.PLANNER_CONSUMER
    return [
        f"{_JS}.CONSUMER.INFO.{stream}.{consumer}",
        f"{_JS}.CONSUMER.DELETE.{stream}.{consumer}",
        f"{_JS}.CONSUMER.DURABLE.CREATE.{stream}.{consumer}",
        f"{_JS}.CONSUMER.MSG.NEXT.{stream}.{consumer}",
        f"$JS.ACK.{stream}.{consumer}.>",
    ]


def _consume(consumer: str, filtered: str) -> list[str]:
    """Requests of a writer, whose durable consumer of the commands has this filter and can get no other one."""
    stream = subjects.COMMAND_STREAM
    return [
        f"{_JS}.CONSUMER.CREATE.{stream}.{consumer}.{filtered}",
        f"{_JS}.CONSUMER.MSG.NEXT.{stream}.{consumer}",
        f"$JS.ACK.{stream}.{consumer}.>",
    ]
