"""How gateway pods of a VPC reach the bus: judged by what is there, since trying would take a pod. Pure.

Pods of the default VPC reach ClusterIPs and what is outside by their own subnet. Pods of a custom VPC have a second
interface for that, in an overlay Subnet of the default VPC: the management network.
"""

from ipaddress import ip_address
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from veg_contracts import addresses
from vegctl.preflight import kube_ovn
from vegctl.preflight.facts import Cluster, Subnet, Vpc
from vegctl.preflight.findings import Finding, Severity
from vegctl.preflight.values import Values

_OVERLAY: Final = "ovn"


class Way(NamedTuple):
    """How it is: OK for a way that is there, BLOCKER for none."""

    severity: Severity
    found: str
    follows: str = ""


def attachment_of(provider: str) -> str:
    """`namespace/name` of the attachment of a Subnet's provider `<name>.<namespace>[.ovn]`; empty for none."""
    parts = provider.split(".")
    return f"{parts[1]}/{parts[0]}" if len(parts) > 1 and all(parts[:2]) else ""


def is_overlay(provider: str) -> bool:
    """Whether the interfaces of that provider are OVN's own, and not those of a network of the nodes."""
    return provider.endswith(f".{_OVERLAY}")


def management(cluster: Cluster, default_vpc: str) -> str:
    """The one attachment that is fit for a management network; empty if there is none, or more than one."""
    fit = {
        attachment_of(subnet.provider)
        for subnet in cluster.subnets
        if is_overlay(subnet.provider) and (subnet.vpc or default_vpc) == default_vpc
    }
    found = fit & {each.key for each in cluster.attachments}
    return found.pop() if len(found) == 1 else ""


def judge(vpc: Vpc, worst: Severity, url: str, cluster: Cluster, given: Values) -> Finding:
    """The way from a VPC to `url`. `worst`: how much it matters if there is none."""
    found = None if vpc.name == given.default_vpc else _management(cluster, given)
    if found is None or found.severity is Severity.OK:
        last = _to(url, cluster, given)
        found = last if found is None or last.severity is not Severity.OK else _joined(found, last)
    severity = worst if found.severity is Severity.BLOCKER else found.severity
    return Finding(id="vpc.bus", severity=severity, object=f"Vpc {vpc.name}", found=found.found, follows=found.follows)


def _joined(one: Way, other: Way) -> Way:
    return Way(Severity.OK, f"{one.found}; {other.found}")


def _management(cluster: Cluster, given: Values) -> Way:
    """From a gateway pod of a custom VPC into the default one."""
    key = given.management_network
    if not key:
        follows = "name an attachment by VEG_MANAGEMENT_NETWORK, or let the chart make one (managementNetwork.create)"
        return Way(Severity.BLOCKER, "gateway pods have no management network, and so no way to NATS", follows)
    thing = f"management network {key}"
    if {"attachments", "subnets"} & cluster.unread.keys():
        return Way(Severity.UNKNOWN, f"{thing} could not be seen", "see the finding on what could not be read")
    if key not in {each.key for each in cluster.attachments}:
        return Way(Severity.BLOCKER, f"{thing} does not exist", "make this NetworkAttachmentDefinition and its Subnet")
    subnets = [each for each in cluster.subnets if attachment_of(each.provider) == key]
    if not subnets:
        namespace, _, name = key.partition("/")
        follows = f"make one with provider {name}.{namespace}.{_OVERLAY}"
        return Way(Severity.BLOCKER, f"{thing} has no Subnet, and so no addresses", follows)
    return _of_subnet(thing, subnets[0], given)


def _of_subnet(thing: str, subnet: Subnet, given: Values) -> Way:
    where = f"{thing} is Subnet {subnet.name}"
    if not is_overlay(subnet.provider):
        text = f"{where} of provider {subnet.provider}, which is a network of the nodes"
        follows = f"whether it leads to NATS cannot be seen; an overlay's provider ends in .{_OVERLAY}"
        return Way(Severity.UNKNOWN, text, follows)
    if (vpc := subnet.vpc or given.default_vpc) != given.default_vpc:
        return Way(Severity.BLOCKER, f"{where} of Vpc {vpc}", f"it must be of the default VPC, {given.default_vpc}")
    return Way(Severity.OK, where)


def _to(url: str, cluster: Cluster, given: Values) -> Way:
    """From a pod in the default VPC to the bus."""
    name = _host(url)
    if not name:
        found, severity = "the address of NATS for gateway pods is not given", Severity.UNKNOWN
        if url:
            found, severity = f"VEG_AGENT_NATS_URL={url} names no host", Severity.BLOCKER
        return Way(severity, found, "set VEG_AGENT_NATS_URL")
    ip = address(url)
    if not ip:
        follows = "it must resolve and be reached in each gateway pod, which cannot be seen: an IP address needs no DNS"
        return Way(Severity.UNKNOWN, f"NATS is {name}, a name", follows)
    if ip_address(ip).is_loopback or ip_address(ip).is_unspecified:
        return Way(Severity.BLOCKER, f"NATS is {ip}, which is each pod itself", "set VEG_AGENT_NATS_URL")
    if cluster.service is not None:
        return _service(cluster)
    if "service" in cluster.unread:
        return Way(Severity.UNKNOWN, f"whether {ip} is a ClusterIP could not be seen", "see what could not be read")
    return _plain(ip, cluster, given)


def _service(cluster: Cluster) -> Way:
    service = cluster.service
    found = f"NATS is Service {service.key} ({service.cluster_ip})" if service is not None else ""
    if kube_ovn.flag(cluster, "enable-lb") == "false":
        follows = "packets to ClusterIPs go by the nodes, and need kube-proxy there"
        return Way(Severity.LIMIT, f"{found}, and Kube-OVN runs with --enable-lb=false", follows)
    return Way(Severity.OK, found)


def _plain(ip: str, cluster: Cluster, given: Values) -> Way:
    """An address that is no ClusterIP."""
    around = next((each for each in cluster.subnets if _contains(each, ip)), None)
    if around is None:
        return Way(Severity.OK, f"NATS is {ip}, outside the cluster's Subnets: packets go by the nodes")
    where = f"NATS is {ip}, in Subnet {around.name}"
    if "." in around.provider and not is_overlay(around.provider):
        follows = "pods that have no interface there need a way through the nodes, which cannot be seen"
        return Way(Severity.UNKNOWN, f"{where} of provider {around.provider}", follows)
    if (vpc := around.vpc or given.default_vpc) != given.default_vpc:
        return Way(Severity.BLOCKER, f"{where} of Vpc {vpc}", "the default VPC has no way into a custom one")
    return Way(Severity.OK, where)


def _contains(subnet: Subnet, ip: str) -> bool:
    found = [part for part in addresses.split(subnet.cidr) if addresses.are_valid(part)]
    return any(addresses.contains(part, ip) for part in found)


def _host(url: str) -> str:
    """Of the first of several URLs; empty if there is none."""
    try:
        return urlsplit(url.partition(",")[0].strip()).hostname or ""
    except ValueError:
        return ""


def address(url: str) -> str:
    """The IP address of the host in a URL; empty if it is none."""
    try:
        return str(ip_address(_host(url)))
    except ValueError:
        return ""
