"""What Kube-OVN writes back into Kubernetes objects: annotations, defaults and statuses, as patches. No I/O.

Only differences yield a patch, so a pass over an unchanged cluster writes nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from veg_lab.mini_kube_ovn.assign import Assignment, Interface
from veg_lab.mini_kube_ovn.behaviours import Behaviour
from veg_lab.mini_kube_ovn.changes import Patch
from veg_lab.mini_kube_ovn.ipam import Ipam, Lease
from veg_lab.mini_kube_ovn.model import Json, Range, Subnet
from veg_lab.mini_kube_ovn.names import (
    DEFAULT_SUBNET,
    DEFAULT_VPC,
    JOIN_SUBNET,
    OVN_PROVIDER,
    annotation,
    node_port,
)
from veg_lab.mini_kube_ovn.snapshot import Snapshot
from veg_lab.mini_kube_ovn.vpcs import bfd_status, wanted_bfd_port

# JSON numbers are exact up to here; an IPv6 subnet has more addresses than that.
MAX_COUNT = 2**53


def patches(
    found: tuple[Snapshot, Assignment, Ipam], chassis: Mapping[str, str], behaviour: Behaviour, now: str
) -> list[Patch]:
    """All writes that are missing; those to pods last, since a pod starts as soon as its own are there."""
    snapshot, assignment, ipam = found
    return [
        *_subnet_patches(snapshot, ipam, now),
        *_vpc_patches(snapshot, chassis, behaviour),
        *_node_patches(snapshot, assignment, chassis),
        *_namespace_patches(snapshot),
        *_pod_patches(snapshot, assignment),
    ]


def interface_annotations(interface: Interface) -> dict[str, str]:
    """The annotations of one interface of a pod."""
    subnet, lease = interface.subnet, interface.lease
    values = {
        "allocated": "true",
        "ip_address": ",".join(map(str, lease.addresses)),
        "cidr": subnet.cidr,
        "gateway": subnet.gateway,
        "logical_switch": subnet.name,
    }
    if subnet.in_ovn:
        # Another attachment has the MAC address that its own plugin gives it; Kube-OVN only manages its addresses.
        values |= {"mac_address": lease.mac, "logical_router": subnet.vpc, "pod_nic_type": "veth-pair"}
    return {annotation(interface.provider, field): value for field, value in values.items()}


def _pod_patches(snapshot: Snapshot, assignment: Assignment) -> Iterable[Patch]:
    wanted: dict[str, dict[str, str]] = defaultdict(dict)
    for interface in assignment.interfaces:
        wanted[interface.pod.uid] |= interface_annotations(interface)
    for pod in snapshot.cluster.pods:
        missing = _missing(pod.annotations, wanted[pod.uid])
        if missing:
            meta = {"uid": pod.uid, "annotations": missing}
            yield Patch("Pod", pod.namespace, pod.name, {"metadata": meta})


def _namespace_patches(snapshot: Snapshot) -> Iterable[Patch]:
    for space in snapshot.objects["Namespace"]:
        name = space["metadata"]["name"]
        subnet = snapshot.cluster.subnets.get(snapshot.cluster.namespace_subnets[name])
        if subnet is None or space["metadata"].get("deletionTimestamp"):
            continue
        wanted = {
            annotation(OVN_PROVIDER, "logical_switch"): subnet.name,
            annotation(OVN_PROVIDER, "cidr"): subnet.cidr,
        }
        missing = _missing(space["metadata"].get("annotations") or {}, wanted)
        if missing:
            yield Patch("Namespace", "", name, {"metadata": {"annotations": missing}})


def _node_patches(snapshot: Snapshot, assignment: Assignment, chassis: Mapping[str, str]) -> Iterable[Patch]:
    join = snapshot.cluster.subnets.get(JOIN_SUBNET)
    for node in snapshot.objects["Node"]:
        name, lease = node["metadata"]["name"], assignment.nodes.get(node["metadata"]["name"])
        if lease is not None and join is not None:
            wanted = _node_annotations(name, lease, join, chassis.get(name))
            missing = _missing(node["metadata"].get("annotations") or {}, wanted)
            if missing:
                yield Patch("Node", "", name, {"metadata": {"annotations": missing}})


def _node_annotations(node: str, lease: Lease, join: Subnet, chassis: str | None) -> dict[str, str]:
    values = {
        "allocated": "true",
        "port_name": node_port(node),
        "ip_address": ",".join(map(str, lease.addresses)),
        "mac_address": lease.mac,
        "cidr": join.cidr,
        "gateway": join.gateway,
        "logical_switch": join.name,
    }
    if chassis is not None:
        values["chassis"] = chassis
    return {annotation(OVN_PROVIDER, field): value for field, value in values.items()}


def _vpc_patches(snapshot: Snapshot, chassis: Mapping[str, str], behaviour: Behaviour) -> Iterable[Patch]:
    for vpc in snapshot.objects["Vpc"]:
        name = vpc["metadata"]["name"]
        subnets = sorted(s.name for s in snapshot.cluster.subnets.values() if s.in_ovn and s.vpc == name)
        stated = (vpc.get("spec") or {}).get("defaultSubnet") or (DEFAULT_SUBNET if name == DEFAULT_VPC else "")
        primary = (s.name for s in snapshot.cluster.subnets.values() if s.is_primary)
        oldest = next((subnet for subnet in primary if subnet in subnets), "")
        wanted: Json = {
            "router": name,
            "standby": True,
            "default": name == DEFAULT_VPC,
            "defaultLogicalSwitch": stated if stated in subnets else oldest if behaviour.finds_default_subnet else "",
            "subnets": subnets,
        }
        if behaviour.makes_bfd_ports:
            wanted["bfdPort"] = bfd_status(wanted_bfd_port(vpc, snapshot, chassis, behaviour))
        # All in one write: who waits for a change of the object must find its BFD port in the first one.
        missing = _missing(vpc.get("status") or {}, wanted)
        if missing:
            yield Patch("Vpc", "", name, {"status": missing}, status=True)


def _subnet_patches(snapshot: Snapshot, ipam: Ipam, now: str) -> Iterable[Patch]:
    for obj in snapshot.objects["Subnet"]:
        name, subnet = obj["metadata"]["name"], snapshot.cluster.subnets.get(obj["metadata"]["name"])
        missing = _missing(obj.get("spec") or {}, _subnet_defaults(obj, subnet)) if subnet else {}
        if missing:
            yield Patch("Subnet", "", name, {"spec": missing})
        status = obj.get("status") or {}
        wanted = _counts(subnet, ipam) if subnet else {}
        wanted["conditions"] = _conditions(status.get("conditions") or [], snapshot.invalid.get(name, ""), now)
        missing = _missing(status, wanted)
        if missing:
            yield Patch("Subnet", "", name, {"status": missing}, status=True)


def _subnet_defaults(obj: Json, subnet: Subnet) -> Json:
    spec = obj.get("spec") or {}
    versions = [network.version for network in subnet.networks]
    excludes = list(spec.get("excludeIps") or [])
    excludes += [str(g) for g in subnet.gateways if not any(g in r for r in subnet.excludes)]
    defaults: Json = {
        "cidrBlock": subnet.cidr,
        "gateway": subnet.gateway,
        "provider": subnet.provider,
        "protocol": "Dual" if len(versions) > 1 else f"IPv{versions[0]}",
        "default": spec.get("default", False),
        "excludeIps": excludes,
        "gatewayType": spec.get("gatewayType") or "distributed",
    }
    return defaults | ({"vpc": subnet.vpc} if subnet.vpc else {})


def _counts(subnet: Subnet, ipam: Ipam) -> Json:
    counts: Json = {"v4usingIPs": 0, "v4availableIPs": 0, "v6usingIPs": 0, "v6availableIPs": 0}
    for network in subnet.networks:
        # Network and broadcast address are never given out.
        free = network.num_addresses - 2
        never = (*subnet.excludes, *(Range(gateway, gateway) for gateway in subnet.gateways))
        spans = sorted((int(r.first), int(r.last)) for r in never if r.first.version == network.version)
        at = int(network[0]) + 1
        for first, last in spans:
            free -= max(0, min(last, int(network[-1]) - 1) - max(first, at) + 1)
            at = max(at, last + 1)
        used = ipam.used(subnet.name, network.version)
        counts[f"v{network.version}usingIPs"] = used
        counts[f"v{network.version}availableIPs"] = min(max(0, free - used), MAX_COUNT)
    return counts


def _conditions(present: list[Json], error: str, now: str) -> list[Json]:
    """Conditions keep their times while nothing but time has changed."""
    old = {condition["type"]: condition for condition in present}
    status, reason = ("False", "ValidateLogicalSwitchFailed") if error else ("True", "ValidateLogicalSwitchSuccess")
    wanted = [("Validated", status, reason, error)]
    if not error:
        wanted.append(("Ready", "True", "ResetLogicalSwitchAclSuccess", ""))
    elif "Ready" in old:
        wanted.append(("Ready", "False", reason, error))
    result = []
    for kind, state, why, message in wanted:
        fields = {"type": kind, "status": state, "reason": why, "message": message}
        before = old.get(kind, {})
        if all(before.get(key) == value for key, value in fields.items()):
            result.append(before)
            continue
        since = before.get("lastTransitionTime", now) if before.get("status") == state else now
        result.append({**fields, "lastUpdateTime": now, "lastTransitionTime": since})
    return result


def _missing(present: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in wanted.items() if present.get(key) != value}
