"""Kubernetes objects as the values we decide on. Pure: JSON in, frozen values out."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from veg_lab.mini_kube_ovn.names import (
    DEFAULT_SUBNET,
    DEFAULT_VPC,
    JOIN_SUBNET,
    NETWORKS_ANNOTATION,
    OVN_PROVIDER,
    is_of_ovn,
)

Json = dict[str, Any]
Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class InvalidObjectError(ValueError):
    """The spec of an object is wrong; the message names field and value."""


@dataclass(frozen=True)
class Range:
    first: Address
    last: Address

    def __contains__(self, address: Address) -> bool:
        return address.version == self.first.version and int(self.first) <= int(address) <= int(self.last)


@dataclass(frozen=True)
class Subnet:
    name: str
    vpc: str
    provider: str
    networks: tuple[Network, ...]
    gateways: tuple[Address, ...]
    excludes: tuple[Range, ...]
    namespaces: frozenset[str]

    @property
    def in_ovn(self) -> bool:
        return is_of_ovn(self.provider)

    @property
    def is_primary(self) -> bool:
        """Whether pods have their eth0 there."""
        return self.provider == OVN_PROVIDER

    @property
    def cidr(self) -> str:
        return ",".join(map(str, self.networks))

    @property
    def gateway(self) -> str:
        return ",".join(map(str, self.gateways))


@dataclass(frozen=True)
class Pod:
    namespace: str
    name: str
    uid: str
    node: str
    annotations: Mapping[str, str]
    attachments: tuple[tuple[str, str], ...]

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class Node:
    name: str
    internal_ips: tuple[Address, ...]
    annotations: Mapping[str, str]


@dataclass(frozen=True)
class IpPool:
    name: str
    subnet: str
    ranges: tuple[Range, ...]


def parse_addresses(text: str) -> tuple[Address, ...]:
    """`v4`, `v6` or `v4,v6`."""
    try:
        return tuple(ip_address(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise InvalidObjectError(f"{text!r} is not an address list: {error}") from error


def parse_range(text: str) -> Range:
    """`a`, `a..b` or a CIDR."""
    try:
        if "/" in text:
            network = ip_network(text.strip(), strict=False)
            return Range(network[0], network[-1])
        first, _, last = text.partition("..")
        return Range(ip_address(first.strip()), ip_address((last or first).strip()))
    except ValueError as error:
        raise InvalidObjectError(f"{text!r} is not an address range: {error}") from error


def parse_networks(text: str) -> tuple[Network, ...]:
    try:
        networks = tuple(ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise InvalidObjectError(f"spec.cidrBlock {text!r}: {error}") from error
    if not networks or len({network.version for network in networks}) != len(networks):
        raise InvalidObjectError(f"spec.cidrBlock {text!r} must hold one CIDR for each address family")
    return networks


def parse_subnet(obj: Json) -> Subnet:
    """Applies Kube-OVN's defaults. Raises InvalidObjectError."""
    spec = obj.get("spec") or {}
    name = obj["metadata"]["name"]
    networks = parse_networks(spec.get("cidrBlock", ""))
    given = {address.version: address for address in parse_addresses(spec.get("gateway") or "")}
    gateways = tuple(given.get(network.version, network[1]) for network in networks)
    for network, gateway in zip(networks, gateways, strict=True):
        if gateway not in network:
            raise InvalidObjectError(f"spec.gateway {gateway} is not in spec.cidrBlock {network}")
    provider = spec.get("provider") or OVN_PROVIDER
    return Subnet(
        name=name,
        vpc=spec.get("vpc") or (DEFAULT_VPC if is_of_ovn(provider) else ""),
        provider=provider,
        networks=networks,
        gateways=gateways,
        excludes=tuple(parse_range(text) for text in spec.get("excludeIps") or ()),
        namespaces=frozenset(spec.get("namespaces") or ()),
    )


def parse_pod(obj: Json) -> Pod:
    meta = obj["metadata"]
    annotations = meta.get("annotations") or {}
    return Pod(
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        node=obj["spec"].get("nodeName") or "",
        annotations=annotations,
        attachments=parse_attachments(annotations.get(NETWORKS_ANNOTATION, ""), meta["namespace"]),
    )


def parse_attachments(text: str, namespace: str) -> tuple[tuple[str, str], ...]:
    """(namespace, name) of each NetworkAttachmentDefinition, from either form that Multus accepts."""
    if text.lstrip().startswith("["):
        try:
            return tuple((entry.get("namespace") or namespace, entry["name"]) for entry in json.loads(text))
        except (ValueError, KeyError, AttributeError, TypeError):
            return ()
    names = (part.strip().split("@")[0] for part in text.split(",") if part.strip())
    split = (name.partition("/") for name in names)
    return tuple((left, right) if slash else (namespace, left) for left, slash, right in split)


def parse_node(obj: Json) -> Node:
    addresses = (obj.get("status") or {}).get("addresses") or ()
    internal = tuple(ip_address(entry["address"]) for entry in addresses if entry["type"] == "InternalIP")
    return Node(obj["metadata"]["name"], internal, obj["metadata"].get("annotations") or {})


def parse_ip_pool(obj: Json) -> IpPool:
    spec = obj["spec"]
    return IpPool(obj["metadata"]["name"], spec["subnet"], tuple(parse_range(text) for text in spec["ips"]))


def provider_of(nad: Json) -> str | None:
    """The provider of a NetworkAttachmentDefinition whose addresses Kube-OVN manages; None for any other.

    Of one in OVN it follows from the name, whatever is written.
    """
    try:
        config = json.loads((nad.get("spec") or {}).get("config") or "{}")
        plugins = [config, *config.get("plugins", ())]
    except (ValueError, AttributeError):
        return None
    if any(plugin.get("type") == "kube-ovn" for plugin in plugins):
        return f"{nad['metadata']['name']}.{nad['metadata']['namespace']}.{OVN_PROVIDER}"
    for ipam in (plugin.get("ipam") or {} for plugin in plugins):
        if ipam.get("type") == "kube-ovn":
            provider: str | None = ipam.get("provider")
            return provider
    return None


def namespace_subnet(namespace: Json, subnets: Iterable[Subnet]) -> str:
    """The subnet of a namespace's pods: the first that claims it, else what its annotation says, else the default."""
    name = namespace["metadata"]["name"]
    known = [subnet for subnet in subnets if subnet.is_primary and subnet.name != JOIN_SUBNET]
    claims = sorted(subnet.name for subnet in known if name in subnet.namespaces)
    written = (namespace["metadata"].get("annotations") or {}).get("ovn.kubernetes.io/logical_switch", "")
    stated = [part for part in written.split(",") if part in {subnet.name for subnet in known}]
    return (claims or stated or [DEFAULT_SUBNET])[0]
