"""What our services may do in Kubernetes, as the chart's RBAC grants it, and whether they may. Pure."""

from collections.abc import Iterator, Mapping
from itertools import groupby

from veg_contracts import names
from vegctl.preflight.facts import Answer, Asked, Cluster, Right
from vegctl.preflight.findings import Finding, blocker, ok, unknown


def _rights(group: str, verbs: str, resources: str) -> list[Right]:
    """Each verb on each resource."""
    return [
        Right(verb=verb, resource=resource, group=group) for verb in verbs.split() for resource in resources.split()
    ]


def needed(group: str) -> Mapping[str, tuple[Right, ...]]:
    """By role, for the API group of our gateways: what charts/vpc-egress-gateway/files/rbac.yaml.in grants."""
    plural, kube_ovn, networks = names.PLURAL, names.KUBE_OVN_GROUP, "k8s.cni.cncf.io"
    return {
        "watcher": (
            *_rights(group, "list watch", plural),
            *_rights(kube_ovn, "list watch", "vpcs subnets ippools"),
            *_rights("", "list watch", "pods namespaces nodes"),
            *_rights("apps", "list watch", "deployments"),
            *_rights("policy", "list watch", "poddisruptionbudgets"),
            *_rights(networks, "list watch", "network-attachment-definitions"),
        ),
        "kube-writer": (
            *_rights(group, "get patch", plural),
            *_rights(group, "patch", f"{plural}/status"),
            *_rights(group, "update", f"{plural}/finalizers"),
            *_rights(kube_ovn, "get", "vpcs"),
            *_rights(kube_ovn, "patch", "vpcs/status"),
            *_rights("apps", "get create patch delete", "deployments"),
            *_rights("policy", "get create patch delete", "poddisruptionbudgets"),
            *_rights("", "create", "events"),
            *_rights("", "get", "/readyz"),
        ),
        "bus-auth": (
            *_rights("authentication.k8s.io", "create", "tokenreviews"),
            *_rights("", "get", "pods"),
            *_rights("apps", "get", "replicasets deployments"),
            *_rights(group, "get", plural),
            *_rights("", "get", "/readyz"),
        ),
    }


def user(asked: Asked, role: str) -> str:
    """As whom a service of the chart speaks to the API server."""
    return f"system:serviceaccount:{asked.namespace}:veg-{role}"


def judge(cluster: Cluster) -> Iterator[Finding]:
    """One finding for each role."""
    if "rights" in cluster.unread:
        return
    for role, group in groupby(sorted(cluster.rights, key=lambda each: each.role), key=lambda each: each.role):
        yield _role(role, tuple(group))


def _role(role: str, answers: tuple[Answer, ...]) -> Finding:
    identity, thing = f"rights.{role}", answers[0].user
    lacking = sorted(answer.right for answer in answers if not answer.allowed)
    if not lacking:
        return ok(identity, thing, f"has all {len(answers)} rights that {role} needs")
    if len(lacking) == len(answers):
        follows = "the chart grants them, and so does charts/vpc-egress-gateway/files/rbac/<group>.yaml"
        return unknown(identity, thing, f"has none of the rights that {role} needs", follows)
    follows = "a half of its rights is of no use: apply the RBAC of this version"
    return blocker(identity, thing, f"may not {', '.join(map(str, lacking))}", follows)
