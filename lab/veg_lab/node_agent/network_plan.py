"""From a pod's annotations to its interfaces, addresses and routes. Pure.

The annotations are the ones that Kube-OVN writes (`ovn.kubernetes.io/…` for eth0, `<provider>.kubernetes.io/…` for
networks whose addresses Kube-OVN manages) and reads (`k8s.v1.cni.cncf.io/networks`, `…/routes`).
"""

import json
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import ip_address, ip_network
from typing import Any, Literal

Json = dict[str, Any]
NetworkKey = tuple[str, str]
"""Namespace and name of a NetworkAttachmentDefinition."""

NETWORKS_ANNOTATION = "k8s.v1.cni.cncf.io/networks"
STATUS_ANNOTATION = "k8s.v1.cni.cncf.io/network-status"
POD_MTU = 1400
# The first host address that host-local networks of the lab give to a pod; those below belong to the lab.
FIRST_LEASE = 10
_DEFAULTS = {4: "0.0.0.0/0", 6: "::/0"}


@dataclass(frozen=True, slots=True)
class Waiting:
    """The network cannot be set up yet; the reason is shown in the pod's status."""

    reason: str


@dataclass(frozen=True, slots=True)
class Link:
    """An interface of the pod. `parent` is what it hangs on: integration bridge, macvlan master or bridge."""

    name: str
    kind: Literal["ovs", "macvlan", "bridge"]
    parent: str
    mac: str
    addresses: tuple[str, ...]
    mtu: int | None = None


@dataclass(frozen=True, slots=True)
class Route:
    destination: str
    gateway: str
    link: str


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """`links` are in the order of creation: net1 comes before eth0, as the interface indexes of a real pod show."""

    links: tuple[Link, ...]
    routes: tuple[Route, ...]
    addresses: tuple[str, ...]
    """The pod's addresses (status.podIPs), without prefix lengths."""
    status: str
    """The value of the network-status annotation."""


class NetworkConfigError(Exception):
    """An annotation or a NetworkAttachmentDefinition cannot be understood; the message names it."""


def attachments(pod: Json) -> list[NetworkKey]:
    """The networks that the pod asks for beside its primary one, in the order of net1, net2 and so on."""
    text = pod["metadata"].get("annotations", {}).get(NETWORKS_ANNOTATION, "")
    keys: list[NetworkKey] = []
    for item in filter(None, (part.strip() for part in text.split(","))):
        namespace, _, name = item.partition("@")[0].rpartition("/")
        keys.append((namespace or pod["metadata"]["namespace"], name))
    return keys


def network_config(nad: Json) -> Json:
    """The CNI configuration in a NetworkAttachmentDefinition; of a chain of plugins the first one."""
    name = f"{nad['metadata']['namespace']}/{nad['metadata']['name']}"
    try:
        config = json.loads(nad.get("spec", {}).get("config", ""))
    except json.JSONDecodeError as error:
        raise NetworkConfigError(f"network {name}: spec.config is not JSON: {error}") from error
    plugin = config.get("plugins", [config])[0] if isinstance(config, dict) else None
    if not isinstance(plugin, dict) or "type" not in plugin:
        raise NetworkConfigError(f"network {name}: spec.config names no plugin type")
    return plugin


def lease_subnet(config: Json) -> str | None:
    """The subnet from which the agent itself gives addresses in this network, if it is the one to do so."""
    ipam = config.get("ipam", {})
    if ipam.get("type") != "host-local":
        return None
    if "subnet" in ipam:
        return str(ipam["subnet"])
    return str(ipam["ranges"][0][0]["subnet"])


def lowest_free(subnet: str, taken: AbstractSet[str]) -> str:
    """The lowest address of the subnet that is not taken."""
    network = ip_network(subnet, strict=False)
    for offset in range(FIRST_LEASE, network.num_addresses - 1):
        candidate = str(network[offset])
        if candidate not in taken:
            return candidate
    raise NetworkConfigError(f"subnet {subnet}: no address is left")


def plan_network(
    pod: Json, configs: Mapping[NetworkKey, Json | None], leases: Mapping[NetworkKey, str]
) -> NetworkPlan | Waiting:
    """All of the pod's network, or what it waits for.

    `configs` has the configuration of each attachment (None if its definition does not exist), `leases` the address of
    each one that the agent gives addresses in. Raises NetworkConfigError.
    """
    annotations: Mapping[str, str] = pod["metadata"].get("annotations", {})
    if annotations.get("ovn.kubernetes.io/allocated") != "true":
        return Waiting("waits for an address of subnet provider ovn (annotation ovn.kubernetes.io/allocated)")
    eth0 = Link(
        "eth0", "ovs", "br-int", _value(annotations, "ovn", "mac_address"), _addresses(annotations, "ovn"), POD_MTU
    )
    attached: list[Link] = []
    routes: list[Route] = []
    for position, key in enumerate(attachments(pod), start=1):
        config = configs.get(key)
        if config is None:
            return Waiting(f"waits for NetworkAttachmentDefinition {key[0]}/{key[1]}, which does not exist")
        link = _attachment(pod, f"net{position}", key, config, leases)
        if isinstance(link, Waiting):
            return link
        attached.append(link)
        if provider := _kube_ovn_provider(key, config):
            routes += _annotated_routes(annotations, provider, link.name)
    covered = {_family(route.destination) for route in routes if route.destination in _DEFAULTS.values()}
    for gateway in _list(annotations.get("ovn.kubernetes.io/gateway", "")):
        if _family(gateway) not in covered:
            routes.append(Route(_DEFAULTS[_family(gateway)], gateway, "eth0"))
    routes += _annotated_routes(annotations, "ovn", "eth0")
    return NetworkPlan(
        links=(*attached[:1], eth0, *attached[1:]),
        routes=tuple(dict.fromkeys(routes)),
        addresses=_bare(eth0),
        status=_network_status(eth0, list(zip(attachments(pod), attached, strict=True))),
    )


def _attachment(
    pod: Json, name: str, key: NetworkKey, config: Json, leases: Mapping[NetworkKey, str]
) -> Link | Waiting:
    annotations: Mapping[str, str] = pod["metadata"].get("annotations", {})
    kind = config["type"]
    if kind not in ("macvlan", "bridge"):
        raise NetworkConfigError(
            f"network {key[0]}/{key[1]}: type {kind} is not supported in the lab, only macvlan and bridge"
        )
    parent = config.get("bridge") or config.get("master")
    if not parent:
        raise NetworkConfigError(f"network {key[0]}/{key[1]}: names neither a master nor a bridge")
    provider = _kube_ovn_provider(key, config)
    if provider is not None:
        if annotations.get(f"{provider}.kubernetes.io/allocated") != "true":
            return Waiting(
                f"waits for an address of subnet provider {provider} (annotation {provider}.kubernetes.io/allocated)"
            )
        # Kube-OVN writes no MAC address of an attachment; one that the user asks for is taken.
        mac = annotations.get(f"{provider}.kubernetes.io/mac_address") or stable_mac(pod["metadata"]["uid"], name)
        return Link(name, kind, parent, mac, _addresses(annotations, provider))
    subnet = lease_subnet(config)
    addresses = (f"{leases[key]}/{ip_network(subnet, strict=False).prefixlen}",) if subnet else ()
    return Link(name, kind, parent, stable_mac(pod["metadata"]["uid"], name), addresses)


def _kube_ovn_provider(key: NetworkKey, config: Json) -> str | None:
    ipam = config.get("ipam", {})
    return str(ipam.get("provider") or f"{key[1]}.{key[0]}") if ipam.get("type") == "kube-ovn" else None


def stable_mac(uid: str, link: str) -> str:
    """A locally administered address that a pod keeps when its network is set up again."""
    digest = sha256(f"{uid}/{link}".encode()).hexdigest()
    return ":".join(["0a", *(digest[at : at + 2] for at in range(0, 10, 2))])


def host_interface(uid: str, link: str) -> str:
    """The machine's end of a pod's interface, at most 15 characters."""
    return f"{sha256(uid.encode()).hexdigest()[:9]}_{link}"


def _value(annotations: Mapping[str, str], provider: str, field: str) -> str:
    key = f"{provider}.kubernetes.io/{field}"
    if not annotations.get(key):
        raise NetworkConfigError(f"annotation {key} is missing")
    return annotations[key]


def _addresses(annotations: Mapping[str, str], provider: str) -> tuple[str, ...]:
    addresses, cidrs = (_list(_value(annotations, provider, field)) for field in ("ip_address", "cidr"))
    try:
        prefixes = {network.version: network.prefixlen for network in map(_network, cidrs)}
        return tuple(f"{address}/{prefixes[_family(address)]}" for address in addresses)
    except (ValueError, KeyError) as error:
        raise NetworkConfigError(f"provider {provider}: addresses {addresses} do not fit the subnet {cidrs}") from error


def _network(text: str) -> Any:
    return ip_network(text, strict=False)


def _annotated_routes(annotations: Mapping[str, str], provider: str, link: str) -> list[Route]:
    key = f"{provider}.kubernetes.io/routes"
    text = annotations.get(key)
    if not text:
        return []
    try:
        return [Route(str(_network(item["dst"])), item["gw"], link) for item in json.loads(text)]
    except (ValueError, KeyError, TypeError) as error:
        raise NetworkConfigError(f'annotation {key}: not a list of {{"dst": …, "gw": …}}: {error}') from error


def _network_status(eth0: Link, attached: Sequence[tuple[NetworkKey, Link]]) -> str:
    entries: list[Json] = [
        {"name": "kube-ovn", "interface": "eth0", "ips": list(_bare(eth0)), "mac": eth0.mac, "default": True, "dns": {}}
    ]
    for (namespace, name), link in attached:
        entries.append(
            {
                "name": f"{namespace}/{name}",
                "interface": link.name,
                "ips": list(_bare(link)),
                "mac": link.mac,
                "dns": {},
            }
        )
    return json.dumps(entries)


def _bare(link: Link) -> tuple[str, ...]:
    return tuple(address.partition("/")[0] for address in link.addresses)


def _family(text: str) -> int:
    return ip_address(text.partition("/")[0]).version


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def setup_commands(namespace: str, uid: str, plan: NetworkPlan) -> tuple[str, str]:
    """Two `ip -batch` scripts: one for the machine (makes the namespace and the interfaces), one for inside the pod."""
    outside = [f"netns add {namespace}"]
    inside = ["link set lo up"]
    for link in plan.links:
        mtu = f" mtu {link.mtu}" if link.mtu else ""
        if link.kind == "macvlan":
            outside.append(
                f"link add {link.name} link {link.parent} netns {namespace} address {link.mac}{mtu} "
                "type macvlan mode bridge"
            )
        else:
            end = host_interface(uid, link.name)
            peer = f"name {link.name} netns {namespace} address {link.mac}{mtu} txqueuelen 0"
            outside.append(f"link add {end}{mtu} txqueuelen 0 type veth peer {peer}")
            master = f" master {link.parent}" if link.kind == "bridge" else ""
            outside.append(f"link set {end}{master} up")
        for address in link.addresses:
            extra = " nodad" if ":" in address else " brd +"
            inside.append(f"addr add {address}{extra} dev {link.name}")
        inside.append(f"link set {link.name} up")
    inside += [f"route replace {route.destination} via {route.gateway} dev {route.link}" for route in plan.routes]
    return "\n".join(outside) + "\n", "\n".join(inside) + "\n"
