"""Attachments, external subnets, and the VPCs that gateways are to be in. Pure."""

import json
from collections.abc import Iterator
from typing import Any, Final

from vegctl.preflight import kube_ovn, ovn, way
from vegctl.preflight.facts import Asked, Attachment, Cluster, Northbound, Subnet, Unreached, Vpc
from vegctl.preflight.findings import Finding, Severity, blocker, limit, ok
from vegctl.preflight.values import Values

_KUBE_OVN_CNI: Final = "kube-ovn"
_DEFAULT_ROUTES: Final = ("0.0.0.0/0", "::/0")


def external(cluster: Cluster, management_network: str) -> tuple[Subnet, ...]:
    """The Subnets that a gateway may name as its externalSubnet: those of an attachment outside the overlay."""
    return tuple(
        each
        for each in cluster.subnets
        if "." in each.provider
        and not way.is_overlay(each.provider)
        and (not management_network or way.attachment_of(each.provider) != management_network)
    )


def judge(
    asked: Asked, cluster: Cluster, northbound: Northbound | Unreached | None, given: Values
) -> Iterator[Finding]:
    """What follows from the networks, under the settings that are given."""
    yield from _external(cluster, given)
    yield from _vpcs(asked, cluster, northbound, given)


# External subnets.


def _external(cluster: Cluster, given: Values) -> Iterator[Finding]:
    if {"subnets", "attachments"} & cluster.unread.keys():
        return
    found = external(cluster, given.management_network)
    if not found:
        text = "no Subnet has a NetworkAttachmentDefinition outside the overlay as its provider"
        follows = "no gateway can have an externalSubnet before there is one"
        yield limit("network.external", "external subnets", text, follows)
    known = {each.key: each for each in cluster.attachments}
    for subnet in found:
        yield _subnet(subnet, known.get(way.attachment_of(subnet.provider)))


def _subnet(subnet: Subnet, attachment: Attachment | None) -> Finding:
    identity, thing = "network.external", f"Subnet {subnet.name}"
    key = way.attachment_of(subnet.provider)
    if attachment is None:
        text = f"its provider {subnet.provider} is NetworkAttachmentDefinition {key or '(none)'}, which does not exist"
        return limit(identity, thing, text, "a gateway with this externalSubnet waits for it")
    ipam = _config(attachment).get("ipam")
    ipam = ipam if isinstance(ipam, dict) else {}
    if ipam.get("type") != _KUBE_OVN_CNI or ipam.get("provider") != subnet.provider:
        text = f"NetworkAttachmentDefinition {key} does not take its addresses from provider {subnet.provider}"
        follows = f'the default route of gateway pods stays on eth0: set ipam of its config to type "{_KUBE_OVN_CNI}"'
        return limit(identity, thing, text, f'{follows}, provider "{subnet.provider}"')
    return ok(identity, thing, f"{subnet.cidr} on NetworkAttachmentDefinition {key}", "fit as an externalSubnet")


def _config(attachment: Attachment) -> dict[str, Any]:
    try:
        found = json.loads(attachment.config)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


# VPCs.


def _vpcs(
    asked: Asked, cluster: Cluster, northbound: Northbound | Unreached | None, given: Values
) -> Iterator[Finding]:
    if "vpcs" in cluster.unread:
        return
    used = {each.vpc or given.default_vpc for each in cluster.gateways if each.group == given.api_group}
    wanted = {given.default_vpc, *asked.vpcs, *used}
    known = {vpc.name: vpc for vpc in cluster.vpcs}
    for name in sorted({*known, *wanted}, key=lambda name: (name != given.default_vpc, name)):
        worst = Severity.BLOCKER if name in wanted else Severity.LIMIT
        if (vpc := known.get(name)) is None:
            yield _missing(name, cluster, given)
            continue
        yield _vpc(vpc, worst)
        if name != given.default_vpc:
            yield from _hits(vpc, northbound, given)
        yield way.judge(vpc, worst, asked.agent_nats_url, cluster, given)


def _missing(name: str, cluster: Cluster, given: Values) -> Finding:
    follows = "a gateway in it waits for it"
    if name == given.default_vpc:
        flag = kube_ovn.flag(cluster, "cluster-router")
        follows = f"set VEG_DEFAULT_VPC to {flag or 'what --cluster-router of its controller says'}"
    return blocker("vpc", f"Vpc {name}", "does not exist", follows)


def _vpc(vpc: Vpc, worst: Severity) -> Finding:
    thing = f"Vpc {vpc.name}"
    if not vpc.router:
        found, follows = "has no logical router (status.router is empty)", "a gateway in it waits for Kube-OVN"
        return Finding(id="vpc", severity=worst, object=thing, found=found, follows=follows)
    if not vpc.default_subnet:
        return ok("vpc", thing, "has no default subnet", "set spec.internalSubnet of its gateways")
    return ok("vpc", thing, f"has router {vpc.router} and default subnet {vpc.default_subnet}")


def _hits(vpc: Vpc, northbound: Northbound | Unreached | None, given: Values) -> Iterator[Finding]:
    """A policy acts on what a route has led somewhere, and only on that."""
    if given.custom_vpc_routing != "policy" or not isinstance(northbound, Northbound) or not vpc.router:
        return
    default = any(each.router == vpc.router and each.prefix in _DEFAULT_ROUTES for each in northbound.routes)
    if not default and not ovn.strange(northbound.routes, vpc.router):
        text = "has neither a default route nor src-ip routes, and VEG_CUSTOM_VPC_ROUTING=policy"
        follows = "what leaves it is dropped before a policy sees it: set VEG_CUSTOM_VPC_ROUTING=auto"
        yield limit("vpc.routing", f"Vpc {vpc.name}", text, follows)
