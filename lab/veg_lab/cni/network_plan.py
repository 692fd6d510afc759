"""From a pod's annotations to its interfaces, addresses and routes. Pure.

The annotations are the ones that Kube-OVN writes (`ovn.kubernetes.io/…` for eth0, `<provider>.kubernetes.io/…` for
networks whose addresses Kube-OVN manages) and reads (`k8s.v1.cni.cncf.io/networks`, `…/routes`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import ip_address, ip_network
from typing import Any

Json = dict[str, Any]
NetworkKey = tuple[str, str]
"""Namespace and name of a NetworkAttachmentDefinition."""

NETWORKS_ANNOTATION = "k8s.v1.cni.cncf.io/networks"
PLUGIN = "kube-ovn"
OVN = "ovn"  # the provider of eth0's addresses; those of further interfaces in OVN end in `.ovn`
POD_MTU = 1400
_DEFAULTS = {4: "0.0.0.0/0", 6: "::/0"}
# What a configuration that names no version is read as. By the specification that would be 0.1.0, of which the answer
# names no interfaces.
_CNI_VERSION = "0.3.1"


class NetworkConfigError(Exception):
    """An annotation or a NetworkAttachmentDefinition cannot be understood; the message names it."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Kube-OVN has not given an address yet; the reason is shown in the pod's events."""

    reason: str


@dataclass(frozen=True, slots=True)
class Route:
    destination: str
    gateway: str


@dataclass(frozen=True, slots=True)
class Allocation:
    """What Kube-OVN gave to a pod in one network. IPv4 comes first; addresses have their prefix lengths."""

    addresses: tuple[str, ...]
    gateways: tuple[str, ...]
    routes: tuple[Route, ...]
    mac: str = ""
    """Only in a network of OVN: elsewhere the network's own plugin gives one."""

    def gateway_of(self, address: str) -> str | None:
        """The gateway of the address's family."""
        return next((gateway for gateway in self.gateways if family(gateway) == family(address)), None)


@dataclass(frozen=True, slots=True)
class Port:
    """An interface of the pod in OVN."""

    interface: str
    allocation: Allocation
    provider: str = OVN


@dataclass(frozen=True, slots=True)
class Attachment:
    """A further interface of the pod: in OVN, or of `plugins`, called in this order, each with its configuration."""

    interface: str
    network: NetworkKey
    plugins: tuple[Json, ...] = ()
    port: Port | None = None


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """`routes` go through eth0; those of an attachment of plugins are set by these."""

    eth0: Allocation
    attachments: tuple[Attachment, ...]
    routes: tuple[Route, ...]

    @property
    def ports(self) -> tuple[Port, ...]:
        """All interfaces in OVN, eth0 first."""
        return (Port("eth0", self.eth0), *(each.port for each in self.attachments if each.port is not None))


def attached_networks(pod: Json) -> list[tuple[NetworkKey, str]]:
    """The networks that the pod asks for beside its primary one, and their interfaces: net1, net2, or as it says."""
    text = _annotations(pod).get(NETWORKS_ANNOTATION, "")
    found: list[tuple[NetworkKey, str]] = []
    for position, item in enumerate(_list(text), start=1):
        network, _, interface = item.partition("@")
        namespace, _, name = network.rpartition("/")
        found.append(((namespace or pod["metadata"]["namespace"], name), interface or f"net{position}"))
    return found


def plugins_of(definition: Json) -> tuple[Json, ...]:
    """The CNI configurations in a NetworkAttachmentDefinition, as each plugin is to read its own.

    All of them have a name and a version, and name the provider of the addresses that they have from Kube-OVN.

    Raises:
        NetworkConfigError: they cannot be understood.
    """
    namespace, name = definition["metadata"]["namespace"], definition["metadata"]["name"]
    try:
        config = json.loads(definition.get("spec", {}).get("config", ""))
    except json.JSONDecodeError as error:
        raise NetworkConfigError(f"network {namespace}/{name}: spec.config is not JSON: {error}") from error
    listed = config.get("plugins", [config]) if isinstance(config, dict) else []
    if not listed or not all(isinstance(plugin, dict) and _is_program(plugin.get("type")) for plugin in listed):
        raise NetworkConfigError(f"network {namespace}/{name}: spec.config names no plugin type")
    common = {"cniVersion": config.get("cniVersion") or _CNI_VERSION, "name": config.get("name") or name}
    return tuple(_with_provider({**plugin, **common}, f"{name}.{namespace}") for plugin in listed)


def _is_program(kind: Any) -> bool:
    return isinstance(kind, str) and kind != "" and "/" not in kind


def _with_provider(plugin: Json, default: str) -> Json:
    ipam = plugin.get("ipam") or {}
    if ipam.get("type") != PLUGIN:
        return plugin
    return {**plugin, "ipam": {**ipam, "provider": ipam.get("provider") or default}}


def providers(attachment: Attachment) -> list[str]:
    """The providers of the addresses that this attachment's plugins have from Kube-OVN: one as a rule, or none.

    Of a network in OVN it follows from the name, as with Kube-OVN itself.
    """
    if attachment.plugins[0]["type"] == PLUGIN:
        namespace, name = attachment.network
        return [f"{name}.{namespace}.{OVN}"]
    ipams = [plugin.get("ipam") or {} for plugin in attachment.plugins]
    return [str(ipam["provider"]) for ipam in ipams if ipam.get("type") == PLUGIN]


def plan_network(pod: Json, definitions: Mapping[NetworkKey, Json]) -> NetworkPlan | Waiting:
    """All of the pod's network, or what it waits for. `definitions` are the NetworkAttachmentDefinitions it names.

    Raises:
        NetworkConfigError: there is something wrong with it.
    """
    eth0 = allocation(pod, OVN)
    if isinstance(eth0, Waiting):
        return eth0
    attachments: list[Attachment] = []
    elsewhere: list[Route] = []
    for key, interface in attached_networks(pod):
        attachment = Attachment(interface, key, plugins_of(definitions[key]))
        for provider in providers(attachment):
            allocated = allocation(pod, provider)
            if isinstance(allocated, Waiting):
                return allocated
            elsewhere += allocated.routes
            if attachment.plugins[0]["type"] == PLUGIN:
                attachment = Attachment(interface, key, port=Port(interface, allocated, provider))
        attachments.append(attachment)
    return NetworkPlan(eth0, tuple(attachments), _routes_of_eth0(eth0, elsewhere))


def _routes_of_eth0(eth0: Allocation, elsewhere: list[Route]) -> tuple[Route, ...]:
    """A default route in each family that has none by way of an attachment, then what the annotation asks for."""
    covered = {family(route.destination) for route in elsewhere if route.destination in _DEFAULTS.values()}
    defaults = [
        Route(_DEFAULTS[family(gateway)], gateway) for gateway in eth0.gateways if family(gateway) not in covered
    ]
    return tuple(dict.fromkeys([*defaults, *eth0.routes]))


def allocation(pod: Json, provider: str) -> Allocation | Waiting:
    """What Kube-OVN gave to the pod in the network of this provider, or that it waits for it.

    Raises:
        NetworkConfigError: the annotations do not fit together.
    """
    annotations = _annotations(pod)
    if annotations.get(f"{provider}.kubernetes.io/allocated") != "true":
        return Waiting(
            f"waits for an address of subnet provider {provider} (annotation {provider}.kubernetes.io/allocated)"
        )
    return Allocation(
        addresses=tuple(sorted(_addresses(annotations, provider), key=family)),
        gateways=tuple(_list(annotations.get(f"{provider}.kubernetes.io/gateway", ""))),
        routes=_routes(annotations, provider),
        mac=_value(annotations, provider, "mac_address") if provider == OVN or provider.endswith(f".{OVN}") else "",
    )


def _annotations(pod: Json) -> Mapping[str, str]:
    return pod["metadata"].get("annotations") or {}


def _value(annotations: Mapping[str, str], provider: str, field: str) -> str:
    key = f"{provider}.kubernetes.io/{field}"
    if not annotations.get(key):
        raise NetworkConfigError(f"annotation {key} is missing")
    return annotations[key]


def _addresses(annotations: Mapping[str, str], provider: str) -> list[str]:
    addresses, cidrs = (_list(_value(annotations, provider, field)) for field in ("ip_address", "cidr"))
    try:
        prefixes = {network.version: network.prefixlen for network in map(_network, cidrs)}
        return [f"{address}/{prefixes[family(address)]}" for address in addresses]
    except (ValueError, KeyError) as error:
        raise NetworkConfigError(f"provider {provider}: addresses {addresses} do not fit the subnet {cidrs}") from error


def _network(text: str) -> Any:
    return ip_network(text, strict=False)


def _routes(annotations: Mapping[str, str], provider: str) -> tuple[Route, ...]:
    key = f"{provider}.kubernetes.io/routes"
    text = annotations.get(key)
    if not text:
        return ()
    try:
        return tuple(Route(str(_network(item["dst"])), item["gw"]) for item in json.loads(text))
    except (ValueError, KeyError, TypeError) as error:
        raise NetworkConfigError(f'annotation {key}: not a list of {{"dst": …, "gw": …}}: {error}') from error


def family(text: str) -> int:
    """4 or 6: the version of an address, with or without a prefix length."""
    return ip_address(text.partition("/")[0]).version


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def host_interface(container: str, interface: str) -> str:
    """The node's end of a sandbox's interface, at most 15 characters."""
    return f"{sha256(container.encode()).hexdigest()[:9]}_{interface}"


def port_name(namespace: str, pod: str, provider: str) -> str:
    """The logical switch port of an interface in OVN."""
    return f"{pod}.{namespace}" if provider == OVN else f"{pod}.{namespace}.{provider}"


def port_commands(container: str, namespace: str, port: Port) -> tuple[str, str]:
    """Two `ip -batch` scripts that make an interface: one for the node, one for inside the pod's `namespace`.

    Both ends are made on the node, and one of them is moved: it keeps its index there, as that of a real pod does.
    """
    outer, inner = host_interface(container, port.interface), host_interface(container, "new")
    size = f"mtu {POD_MTU} txqueuelen 0"
    outside = [
        f"link add {outer} {size} type veth peer name {inner} address {port.allocation.mac} {size}",
        f"link set {inner} netns {namespace} name {port.interface}",
        f"link set {outer} up",
    ]
    name = port.interface
    adds = [
        f"addr add {address}{' nodad' if ':' in address else ' brd +'} dev {name}"
        for address in port.allocation.addresses
    ]
    return _script(outside), _script([*adds, f"link set {name} up"])


def route_commands(plan: NetworkPlan) -> str:
    """The `ip -batch` script that sets the routes through the interfaces in OVN."""
    routes = [(route, "eth0") for route in plan.routes]
    routes += [(route, port.interface) for port in plan.ports[1:] for route in port.allocation.routes]
    return _script([f"route replace {route.destination} via {route.gateway} dev {name}" for route, name in routes])


def _script(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
