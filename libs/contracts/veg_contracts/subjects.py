"""The one registry of streams, subjects and keys on the bus.

Kubernetes names may hold dots, which separate the tokens of a NATS subject; they cannot hold underscores. So a dot
travels as an underscore, and the empty namespace of a cluster-scoped object as a lone one.
"""

from typing import Final

EVENT_STREAM: Final = "VEG_EVENTS"
AGENT_EVENT_STREAM: Final = "VEG_AGENT_EVENTS"
COMMAND_STREAM: Final = "VEG_COMMANDS"
CONFIG_BUCKET: Final = "veg-config"
CONFIG_STREAM: Final = f"KV_{CONFIG_BUCKET}"
STREAMS: Final = (EVENT_STREAM, AGENT_EVENT_STREAM, COMMAND_STREAM, CONFIG_STREAM)

EVENTS: Final = "veg.evt.>"
COMMANDS: Final = "veg.cmd.>"
K8S_EVENTS: Final = "veg.evt.k8s.>"
OVN_EVENTS: Final = "veg.evt.ovn.>"
KUBE_EVENTS: Final = "veg.evt.kube.>"
AGENT_EVENTS: Final = "veg.evt.agent.>"
OVN_COMMANDS: Final = "veg.cmd.ovn.>"
KUBE_COMMANDS: Final = "veg.cmd.kube.>"
CONFIG_KEYS: Final = f"$KV.{CONFIG_BUCKET}.>"

# Where NATS asks who somebody is (auth callout), and by which header it says how to encrypt the answer.
AUTH_REQUESTS: Final = "$SYS.REQ.USER.AUTH"
AUTH_ENCRYPTION_HEADER: Final = "Nats-Server-Xkey"

# Durable consumers, one per reader and stream.
PLANNER_CONSUMER: Final = "planner"
OVN_WRITER_CONSUMER: Final = "ovn-writer"
KUBE_WRITER_CONSUMER: Final = "kube-writer"

# A message stays below this, whatever a server's max_payload (1 MiB by default) is lowered to by a few headers.
MESSAGE_BYTES_MAX: Final = 900_000
# What the stream of agents' events takes of a message, headers included.
AGENT_MESSAGE_BYTES_MAX: Final = 64 * 1024


def token(name: str) -> str:
    """A name as one token of a subject."""
    return name.replace(".", "_") or "_"


def _gateway_tokens(gateway: str) -> str:
    namespace, _, name = gateway.rpartition("/")
    return f"{token(namespace)}.{token(name)}"


def k8s_event(kind: str, namespace: str, name: str) -> str:
    return f"veg.evt.k8s.{token(kind.lower())}.{token(namespace)}.{token(name)}"


def k8s_listed(kind: str) -> str:
    return f"veg.evt.k8s.{token(kind.lower())}.listed"


def ovn_event(gateway: str) -> str:
    return f"veg.evt.ovn.gateway.{_gateway_tokens(gateway)}"


def ovn_routes() -> str:
    """One for all routers: a router's name may hold what a subject cannot."""
    return "veg.evt.ovn.routes"


def ovn_chassis() -> str:
    """One for all chassis: the name of one may hold what a subject cannot."""
    return "veg.evt.ovn.chassis"


def ovn_listed() -> str:
    return "veg.evt.ovn.listed"


def kube_event(gateway: str) -> str:
    return f"veg.evt.kube.{_gateway_tokens(gateway)}"


def agent_event(gateway: str, pod: str) -> str:
    return f"veg.evt.agent.{_gateway_tokens(gateway)}.{token(pod)}"


def ovn_command(vpc: str, gateway: str) -> str:
    return f"veg.cmd.ovn.{token(vpc)}.{_gateway_tokens(gateway)}"


def kube_command(gateway: str) -> str:
    return f"veg.cmd.kube.{_gateway_tokens(gateway)}"


def config_key(gateway: str) -> str:
    """The key of a gateway (`namespace/name`) in the KV bucket."""
    return _gateway_tokens(gateway)


def config_subject(gateway: str) -> str:
    """The subject behind that key: a put is a publish there, a delete one with the header `KV-Operation: DEL`."""
    return f"$KV.{CONFIG_BUCKET}.{config_key(gateway)}"
