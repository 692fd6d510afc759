"""Kubernetes, Kube-OVN, and whose CRD is there: what each version does to us (docs/support-matrix.md). Pure."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from veg_contracts import names
from vegctl.preflight.facts import Cluster
from vegctl.preflight.findings import Finding, blocker, limit, ok, unknown
from vegctl.preflight.values import Values

OLDEST_KUBERNETES: Final = (1, 28)
NEWEST_KUBERNETES: Final = (1, 36)
OLDEST: Final = (1, 13)
NEWEST: Final = (1, 17)
VPCS: Final = f"vpcs.{names.KUBE_OVN_GROUP}"
CONTROLLER: Final = "kube-ovn-controller"
_OWN_GATEWAYS_SINCE: Final = (1, 14)


class Version(NamedTuple):
    """Of Kube-OVN or Kubernetes; without a patch number where none is said."""

    major: int
    minor: int
    patch: int = 0

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    @property
    def release(self) -> tuple[int, int]:
        return self.major, self.minor


def parse(text: str) -> Version | None:
    """The version in "v1.28.3-eks", or in the tag of "registry:5000/kubeovn/kube-ovn:v1.14.0-x86"; None for none."""
    match = re.search(r"(?:^|:)v?(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?[^/:]*$", text.partition("@")[0])
    return Version(*(int(part or 0) for part in match.groups())) if match else None


def version(cluster: Cluster) -> Version | None:
    """Kube-OVN's, by the image of its controller."""
    return parse(cluster.controller.image) if cluster.controller is not None else None


def is_ours(cluster: Cluster, group: str) -> bool | None:
    """Whether the VpcEgressGateway of that API group is ours by its schema; None if there is none.

    Every text in our schema has a bound, and none in Kube-OVN's. A label could be left behind by whoever replaces it.
    """
    found = cluster.definition(f"{names.PLURAL}.{group}")
    if found is None:
        return None
    return "maxLength" in found.spec.get("properties", {}).get("vpc", {})


def has_own_gateways(cluster: Cluster) -> str:
    """By what it is seen that Kube-OVN reconciles VpcEgressGateways of its group; empty if it does not."""
    if is_ours(cluster, names.KUBE_OVN_GROUP) is False:
        return f"the CRD {names.PLURAL}.{names.KUBE_OVN_GROUP} is Kube-OVN's"
    found = version(cluster)
    if found is not None and found.release >= _OWN_GATEWAYS_SINCE:
        return f"version {found} has one"
    for gateway in cluster.gateways:
        if gateway.group == names.KUBE_OVN_GROUP and names.KUBE_OVN_FINALIZER in gateway.finalizers:
            return f"its finalizer is on VpcEgressGateway {gateway.key}"
    return ""


def has_bfd_port(cluster: Cluster) -> bool | None:
    """Whether Vpc has `spec.bfdPort`; None if the CRD was not seen."""
    vpc = cluster.definition(VPCS)
    return "bfdPort" in vpc.spec.get("properties", {}) if vpc is not None else None


def makes_bfd_ports(cluster: Cluster) -> bool:
    """Every version that has gateways of its own makes the router ports of `Vpc.spec.bfdPort` too."""
    return bool(has_own_gateways(cluster))


def flag(cluster: Cluster, name: str) -> str:
    """The value of a flag of its controller, "true" for one without a value; empty if it is not there."""
    for word in cluster.controller.words if cluster.controller is not None else ():
        # A shell may be what starts it, with all flags in one word.
        if match := re.search(rf"(?:^|\s)--{re.escape(name)}(?:=(\S*))?(?=\s|$)", word):
            return "true" if match[1] is None else match[1]
    return ""


def judge(cluster: Cluster, given: Values) -> Iterator[Finding]:
    """What follows from the versions, under the settings that are given."""
    yield _kubernetes(cluster)
    if "definitions" not in cluster.unread and cluster.definition(VPCS) is None:
        text = f"there is no CRD {VPCS}, so this is no cluster with Kube-OVN"
        yield blocker("kube-ovn.version", "Kube-OVN", text, "install Kube-OVN first: gateways stand in its VPCs")
        return
    yield _version(cluster)
    yield from _deletions(version(cluster))
    yield _own_gateways(cluster, given)
    yield _definition(cluster, given)
    yield _ports(cluster, given)


def _kubernetes(cluster: Cluster) -> Finding:
    identity, thing, text = "kubernetes.version", "Kubernetes", f"version {cluster.version}"
    found = parse(cluster.version)
    if found is None:
        return unknown(identity, thing, text, "the version could not be read")
    if found.release < OLDEST_KUBERNETES:
        return blocker(identity, thing, text, "1.28 or newer is needed: the CRD's rules have a fieldPath")
    if found.release > NEWEST_KUBERNETES:
        return unknown(identity, thing, text, "newer than 1.36, the newest that was tried")
    return ok(identity, thing, text)


def _version(cluster: Cluster) -> Finding:
    identity, thing, found = "kube-ovn.version", "Kube-OVN", version(cluster)
    if found is None:
        where = f"image {cluster.controller.image}" if cluster.controller else f"no Deployment {CONTROLLER} was seen"
        return unknown(identity, thing, where, "its version is not known: what it deletes of ours is not foreseen")
    text = f"version {found}, by the image of Deployment {cluster.controller.key if cluster.controller else ''}"
    if found.release < OLDEST:
        return blocker(identity, thing, text, "1.13 is the oldest that is supported")
    if found.release > NEWEST:
        return unknown(identity, thing, text, "newer than 1.17, the newest that was tried")
    return ok(identity, thing, text)


def _deletions(found: Version | None) -> Iterator[Finding]:
    """Rows of ours that Kube-OVN takes away, and we write again (docs/support-matrix.md)."""
    identity, thing = "kube-ovn.deletes", "Kube-OVN"
    again = "they are written again within a second, and the condition Stable says so from the third time on"
    if found is None or found.release < OLDEST:
        return
    if found.release < (1, 15):
        yield limit(identity, thing, "each change of a custom Vpc deletes our rows in it", again)
    elif found < (1, 15, 3):
        yield limit(identity, thing, "each change of a custom Vpc deletes our policies in it", again)
    if found.release < (1, 15) or (1, 15) <= found < (1, 15, 17) or (1, 16) <= found < (1, 16, 3):
        yield limit(identity, thing, "each start of its controller deletes our port groups", again)


def _own_gateways(cluster: Cluster, given: Values) -> Finding:
    identity, thing = "kube-ovn.gateways", "Kube-OVN"
    sign = has_own_gateways(cluster)
    if not sign and "definitions" in cluster.unread and version(cluster) is None:
        text = "whether it reconciles VpcEgressGateways itself could not be seen"
        return unknown(identity, thing, text, f"take API group {names.OWN_GROUP}, which is right in either case")
    if not sign:
        return ok(identity, thing, "has no reconciler for VpcEgressGateways of its own")
    text = f"reconciles VpcEgressGateways of {names.KUBE_OVN_GROUP} itself ({sign})"
    if given.api_group == names.KUBE_OVN_GROUP:
        follows = f"ours in that group get nothing but a condition Conflict: set VEG_API_GROUP={names.OWN_GROUP}"
        return blocker(identity, thing, text, follows)
    return ok(identity, thing, text, f"ours are in {names.OWN_GROUP} (kubectl get vegw), and its own are left alone")


def _definition(cluster: Cluster, given: Values) -> Finding:
    group = given.api_group
    identity, name = "crd", f"{names.PLURAL}.{group}"
    thing, install = f"CRD {name}", f"apply crds/{group}/, or let the chart do so (crds.create)"
    if "definitions" in cluster.unread:
        return unknown(identity, thing, "could not be seen", install)
    match is_ours(cluster, group):
        case None:
            return ok(identity, thing, "is not there yet", install)
        case True:
            return ok(identity, thing, "is ours")
        case _:
            return blocker(identity, thing, "is not ours", f"set VEG_API_GROUP={names.OWN_GROUP}, and {install}")


def _ports(cluster: Cluster, given: Values) -> Finding:
    identity, thing = "kube-ovn.bfd-port", "Vpc.spec.bfdPort"
    makes, ours = makes_bfd_ports(cluster), given.makes_bfd_ports
    match has_bfd_port(cluster):
        case None:
            return unknown(identity, thing, "could not be seen", "needed by gateways with spec.bfd only")
        case False:
            follows = f"gateways with spec.bfd need the annotation {names.ANNOTATION_BFD_PORT} on their Vpc"
            return ok(identity, thing, "this Kube-OVN has no such field", follows)
        case _ if makes and ours:
            text = "Kube-OVN makes these ports, and with VEG_MANAGE_BFD_PORTS=true we would too"
            return limit(identity, thing, text, "each undoes what the other one did: set VEG_MANAGE_BFD_PORTS=auto")
        case _ if not makes and not ours:
            text = f"nobody makes these ports with VEG_MANAGE_BFD_PORTS={given.manage_bfd_ports}"
            return limit(identity, thing, text, "gateways with spec.bfd wait: set VEG_MANAGE_BFD_PORTS=true")
        case _:
            return ok(identity, thing, f"these ports are made by {'us' if ours else 'Kube-OVN'}")
