"""From facts to settings, and to the report with findings and verdict. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from veg_contracts import names
from vegctl.preflight import bus, kube_ovn, networks, ovn, rights, way
from vegctl.preflight.facts import Asked, Cluster, Facts, Northbound, Unreached
from vegctl.preflight.findings import Finding, Severity, Verdict, blocker, unknown, verdict
from vegctl.preflight.values import Values

_PATHS: Mapping[str, str] = {
    "controller": "Deployment kube-ovn-controller",
    "central": "Deployment ovn-central",
    "definitions": "CustomResourceDefinitions",
    "vpcs": "Vpcs",
    "subnets": "Subnets",
    "attachments": "NetworkAttachmentDefinitions",
    "gateways": "VpcEgressGateways",
    "service": "Services",
    "rights": "SubjectAccessReviews",
}


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What is printed: the verdict, the settings that follow, and why."""

    verdict: Verdict
    values: Values | None  # None: there is no API server to derive them from
    findings: tuple[Finding, ...]

    def as_json(self) -> dict[str, Any]:
        """For programs. `exit_code` says what `verdict` says."""
        return {
            "verdict": self.verdict.words,
            "exit_code": int(self.verdict),
            "values": self.values.chart if self.values else {},
            "settings": self.values.settings if self.values else {},
            "findings": [msgspec.to_builtins(finding) for finding in self.findings],
        }


def report(facts: Facts) -> Report:
    """What follows from the facts, the worst first.

    The settings that are given are judged as they are; those that follow are what they should be.
    """
    values = follow(facts)
    found = tuple(_findings(facts, _given(facts.asked, values or Values())))
    order = list(Severity)[::-1]
    return Report(
        verdict=verdict(found),
        values=values,
        findings=tuple(sorted(found, key=lambda finding: order.index(finding.severity))),
    )


def follow(facts: Facts) -> Values | None:
    """The settings that are right here; None where nobody can tell."""
    if isinstance(facts.cluster, Unreached):
        return None
    return of_cluster(facts.asked, facts.cluster, facts.northbound)


def of_cluster(asked: Asked, cluster: Cluster, northbound: Northbound | Unreached | None) -> Values:
    """The settings that are right in this cluster."""
    theirs = kube_ovn.makes_bfd_ports(cluster)
    group = names.OWN_GROUP if kube_ovn.has_own_gateways(cluster) else asked.api_group or names.KUBE_OVN_GROUP
    auto = Values(api_group=group)
    relay = "on" if theirs and not ovn.has_patches(cluster, northbound) else "auto"
    default = asked.default_vpc or kube_ovn.flag(cluster, "cluster-router") or names.DEFAULT_VPC
    return msgspec.structs.replace(
        auto,
        default_vpc=default,
        manage_bfd_ports="auto" if auto.makes_bfd_ports != theirs else "true",
        bfd_relay=relay,
        management_network=asked.management_network or way.management(cluster, default),
    )


def _given(asked: Asked, values: Values) -> Values:
    """What the services would be started with: the settings that are given, else those that follow."""
    fields = {field: getattr(asked, field) for field in Values.__struct_fields__ if getattr(asked, field)}
    return msgspec.structs.replace(values, **fields)


def _findings(facts: Facts, given: Values) -> Iterator[Finding]:
    asked, cluster = facts.asked, facts.cluster
    if isinstance(cluster, Unreached):
        text = f"no API server at {cluster.where}: {cluster.reason}"
        yield blocker("kubernetes", "Kubernetes", text, "set KUBECONFIG, or run in the cluster")
    else:
        yield from _unread(cluster)
        yield from kube_ovn.judge(cluster, given)
        yield from networks.judge(asked, cluster, facts.northbound, given)
        yield from rights.judge(cluster)
    yield from ovn.judge(cluster, facts.northbound, given)
    yield from bus.judge(facts.bus)


def _unread(cluster: Cluster) -> Iterator[Finding]:
    for part, reason in sorted(cluster.unread.items()):
        follows = "what depends on them is not judged: give preflight the right to see them"
        yield unknown(f"unread.{part}", _PATHS[part], f"could not be read: {reason}", follows)
