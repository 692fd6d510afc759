"""Projections of raw Kubernetes objects: pure, and total over any JSON object.

A malformed object must neither stop the watcher nor hide: each function takes what is there and leaves the rest at
its default, so that the planner sees the object and can say what it lacks.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from veg_contracts import addresses, names
from veg_contracts.objects import (
    AnyProjection,
    Attachment,
    BfdPort,
    Deployment,
    DisruptionBudget,
    EgressGateway,
    IPPool,
    Namespace,
    NetworkAttachment,
    Node,
    Pod,
    Subnet,
    Vpc,
)
from veg_watcher.fields import Json, at, integer, items, mapping, text, text_map, texts


def _name(raw: Json) -> str:
    return text(at(raw, "metadata", "name"))


def _namespace(raw: Json) -> str:
    return text(at(raw, "metadata", "namespace"))


def _labels(raw: Json) -> dict[str, str]:
    return text_map(at(raw, "metadata", "labels"))


def _annotation(raw: Json, key: str) -> str:
    return text(at(raw, "metadata", "annotations", key))


def _deleting(raw: Json) -> bool:
    return bool(text(at(raw, "metadata", "deletionTimestamp")))


def _condition(raw: Json, kind: str) -> bool:
    """Whether the status has the condition, and it is "True"."""
    conditions = items(at(raw, "status", "conditions"))
    return any(at(condition, "type") == kind and at(condition, "status") == "True" for condition in conditions)


def egress_gateway(raw: Json) -> EgressGateway:
    return EgressGateway(
        name=_name(raw),
        namespace=_namespace(raw),
        generation=integer(at(raw, "metadata", "generation")),
        created_at=text(at(raw, "metadata", "creationTimestamp")),
        deleting=_deleting(raw),
        finalizers=texts(at(raw, "metadata", "finalizers")),
        status_managers=_status_managers(raw),
        conflict=_condition(raw, names.CONFLICT),
        spec=mapping(raw.get("spec")),
    )


def _managers(raw: Json, subresource: str) -> set[str]:
    """Who wrote of the object, through that subresource or, if it is empty, the object itself. Names, and no times."""
    entries = items(at(raw, "metadata", "managedFields"))
    found = {text(at(entry, "manager")) for entry in entries if text(at(entry, "subresource")) == subresource}
    return found - {""}


def _status_managers(raw: Json) -> tuple[str, ...]:
    others = _managers(raw, "status") - {names.FIELD_MANAGER}
    return tuple(sorted(name for name in others if not name.startswith(names.KUBECTL)))


def vpc(raw: Json) -> Vpc:
    return Vpc(
        name=_name(raw),
        router=text(at(raw, "status", "router")),
        default_subnet=text(at(raw, "status", "defaultLogicalSwitch")),
        deleting=_deleting(raw),
        bfd_port=_bfd_port(raw),
    )


def _bfd_port(raw: Json) -> BfdPort | None:
    wanted, found = at(raw, "spec", "bfdPort"), at(raw, "status", "bfdPort")
    annotation = "" if isinstance(wanted, dict) else _annotation(raw, names.ANNOTATION_BFD_PORT)
    if not isinstance(wanted, dict) and not isinstance(found, dict) and not annotation:
        return None
    return BfdPort(
        enabled=bool(annotation) or at(wanted, "enabled") is True,
        annotated=bool(annotation),
        ip=_trimmed(annotation or text(at(wanted, "ip"))),
        node_selector=_labels_of(raw) if annotation else _node_selector(at(wanted, "nodeSelector")),
        status_name=text(at(found, "name")),
        status_ip=_trimmed(text(at(found, "ip"))),
    )


def _labels_of(raw: Json) -> Json | None:
    """The nodes that the annotation names; one that is no list of labels stands where the planner refuses it."""
    if not (annotation := _annotation(raw, names.ANNOTATION_BFD_PORT_NODES)):
        return None
    pairs = [part.strip().partition("=") for part in annotation.split(",")]
    labels = {key: value for key, _, value in pairs}
    return {"matchLabels": labels if all(key and sign for key, sign, _ in pairs) else annotation}


def _node_selector(raw: Any) -> Json | None:
    """One that is no object stands where the planner refuses it: dropped, it would select nodes that nobody chose."""
    return raw if raw is None or isinstance(raw, dict) else {"matchLabels": raw}


def _trimmed(several: str) -> str:
    """Without the spaces and empty members that people put into "v4,v6"; whatever else is wrong stays."""
    return ",".join(addresses.split(several))


def subnet(raw: Json) -> Subnet:
    spec = raw.get("spec")
    return Subnet(
        name=_name(raw),
        vpc=text(at(spec, "vpc")),
        provider=text(at(spec, "provider")),
        cidr=text(at(spec, "cidrBlock")),
        gateway=text(at(spec, "gateway")),
        validated=_condition(raw, "Validated"),
        deleting=_deleting(raw),
    )


def ip_pool(raw: Json) -> IPPool:
    return IPPool(name=_name(raw), subnet=text(at(raw, "spec", "subnet")), ips=texts(at(raw, "spec", "ips")))


def pod(raw: Json) -> Pod:
    return Pod(
        name=_name(raw),
        namespace=_namespace(raw),
        labels=_labels(raw),
        deployment=_deployment_of(raw),
        node=text(at(raw, "spec", "nodeName")),
        phase=text(at(raw, "status", "phase")),
        ready=_condition(raw, "Ready"),
        deleting=_deleting(raw),
        host_network=at(raw, "spec", "hostNetwork") is True,
        ips=_pod_ips(raw),
        allocated=_annotation(raw, names.ANNOTATION_ALLOCATED) == "true",
        logical_router=_annotation(raw, names.ANNOTATION_LOGICAL_ROUTER),
        logical_switch=_annotation(raw, names.ANNOTATION_LOGICAL_SWITCH),
        attachments=_attachments(_annotation(raw, names.ANNOTATION_NETWORK_STATUS)),
    )


def _deployment_of(raw: Json) -> str:
    """A ReplicaSet of a Deployment is named after it and the hash that its pods carry as a label."""
    suffix = f"-{text(at(raw, 'metadata', 'labels', 'pod-template-hash'))}"
    owners = items(at(raw, "metadata", "ownerReferences"))
    sets = (text(at(owner, "name")) for owner in owners if at(owner, "kind") == "ReplicaSet")
    return next((name.removesuffix(suffix) for name in sets if len(suffix) > 1 and name.endswith(suffix)), "")


def _pod_ips(raw: Json) -> tuple[str, ...]:
    """All addresses in the order of `status.podIPs`; `status.podIP` from an API server that knows no list of them."""
    several = texts([at(item, "ip") for item in items(at(raw, "status", "podIPs"))])
    return several or texts([at(raw, "status", "podIP")])


def _attachments(annotation: str) -> tuple[Attachment, ...]:
    """The entries of Multus's network-status. While Multus has not written it, or not well, there are none."""
    try:
        entries = msgspec.json.decode(annotation) if annotation else None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return ()
    return tuple(_attachment(entry) for entry in items(entries) if text(at(entry, "name")))


def _attachment(entry: Any) -> Attachment:
    return Attachment(
        network=text(at(entry, "name")), interface=text(at(entry, "interface")), ips=texts(at(entry, "ips"))
    )


def namespace(raw: Json) -> Namespace:
    return Namespace(name=_name(raw), labels=_labels(raw))


def node(raw: Json) -> Node:
    return Node(
        name=_name(raw),
        labels=_labels(raw),
        ready=_condition(raw, "Ready"),
        port_name=_annotation(raw, names.ANNOTATION_PORT_NAME),
        chassis=_annotation(raw, names.ANNOTATION_CHASSIS),
    )


def deployment(raw: Json) -> Deployment:
    status = raw.get("status")
    return Deployment(
        name=_name(raw),
        namespace=_namespace(raw),
        generation=integer(at(raw, "metadata", "generation")),
        observed_generation=integer(at(status, "observedGeneration")),
        owner_uid=_owner_uid(raw),
        foreign=bool(writers := _managers(raw, "")) and names.FIELD_MANAGER not in writers,
        labels=_labels(raw),
        deleting=_deleting(raw),
        replicas_wanted=integer(at(raw, "spec", "replicas")),
        replicas=integer(at(status, "replicas")),
        updated=integer(at(status, "updatedReplicas")),
        available=integer(at(status, "availableReplicas")),
    )


def disruption_budget(raw: Json) -> DisruptionBudget:
    return DisruptionBudget(
        name=_name(raw),
        namespace=_namespace(raw),
        generation=integer(at(raw, "metadata", "generation")),
        labels=_labels(raw),
    )


def _owner_uid(raw: Json) -> str:
    """The uid of the VpcEgressGateway that owns the object, or the empty string.

    In whichever group: no two objects share a uid, so the planner takes the one of another group's for a stranger's.
    """
    for owner in items(at(raw, "metadata", "ownerReferences")):
        group = text(at(owner, "apiVersion")).partition("/")[0]
        if group in (names.KUBE_OVN_GROUP, names.OWN_GROUP) and at(owner, "kind") == names.KIND:
            return text(at(owner, "uid"))
    return ""


def network_attachment(raw: Json) -> NetworkAttachment:
    return NetworkAttachment(name=_name(raw), namespace=_namespace(raw), config=text(at(raw, "spec", "config")))


PROJECTORS: Final[dict[str, Callable[[Json], AnyProjection]]] = {
    EgressGateway.KIND: egress_gateway,
    Vpc.KIND: vpc,
    Subnet.KIND: subnet,
    IPPool.KIND: ip_pool,
    Pod.KIND: pod,
    Namespace.KIND: namespace,
    Node.KIND: node,
    Deployment.KIND: deployment,
    DisruptionBudget.KIND: disruption_budget,
    NetworkAttachment.KIND: network_attachment,
}
