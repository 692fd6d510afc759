"""The one registry of names that we write to, or read from, Kubernetes and OVN.

Sources: the user's document (VPC Egress Gateway of Kube-OVN) and Kube-OVN's own labels and annotations.
"""

import hashlib
from typing import Final, Literal, TypeAlias

# Vpc, Subnet and IPPool are always of Kube-OVN's group. VpcEgressGateway is in the one that the operator chooses: that
# one too, or our own where Kube-OVN runs a reconciler of its own for its group (docs/decisions/0014).
KUBE_OVN_GROUP: Final = "kubeovn.io"
OWN_GROUP: Final = "vpc-egress-gateway.io"
ApiGroup: TypeAlias = Literal["kubeovn.io", "vpc-egress-gateway.io"]
VERSION: Final = "v1"
KIND: Final = "VpcEgressGateway"
PLURAL: Final = "vpc-egress-gateways"

DEFAULT_VPC: Final = "ovn-cluster"

# The same in either group. Not Kube-OVN's own, which says that its reconciler has taken the object.
FINALIZER: Final = f"{OWN_GROUP}/finalizer"
KUBE_OVN_FINALIZER: Final = "kubeovn.io/kube-ovn-controller"
FIELD_MANAGER: Final = "vpc-egress-gateway"
# People who repair something by hand. No controller calls itself that.
KUBECTL: Final = "kubectl"
# The condition of a gateway that another controller reconciles too, and its reason.
CONFLICT: Final = "Conflict"
REASON_OTHER: Final = "OtherReconciler"

LABEL_APP: Final = "app"
APP: Final = "vpc-egress-gateway"
LABEL_GATEWAY: Final = "ovn.kubernetes.io/vpc-egress-gateway"

ANNOTATION_ALLOCATED: Final = "ovn.kubernetes.io/allocated"
ANNOTATION_LOGICAL_ROUTER: Final = "ovn.kubernetes.io/logical_router"
ANNOTATION_LOGICAL_SWITCH: Final = "ovn.kubernetes.io/logical_switch"
ANNOTATION_CHASSIS: Final = "ovn.kubernetes.io/chassis"
ANNOTATION_PORT_NAME: Final = "ovn.kubernetes.io/port_name"
ANNOTATION_NETWORKS: Final = "k8s.v1.cni.cncf.io/networks"
ANNOTATION_NETWORK_STATUS: Final = "k8s.v1.cni.cncf.io/network-status"
# On a Vpc: the addresses of its BFD port, where Kube-OVN is too old (1.13 and older) to have `spec.bfdPort`.
ANNOTATION_BFD_PORT: Final = "vpc-egress-gateway.io/bfd-port"
# Beside it: labels of the nodes that may run that port, as `key=value,key=value`.
ANNOTATION_BFD_PORT_NODES: Final = "vpc-egress-gateway.io/bfd-port-node-selector"

# Priorities of Logical_Router_Policy rows. Kube-OVN's own are 29000 (node gateway), 30000 (node), 31000 (subnet).
# Below the drop, so that what stands there takes nothing, whatever becomes of the row above it.
PRIORITY_SPARE: Final = 29080
PRIORITY_DROP: Final = 29090
PRIORITY_CLUSTER: Final = 29100
PRIORITY_LOCAL: Final = 29150
# Pods selected by labels are the closer choice than a subnet or CIDR, of this gateway or another one.
PRIORITY_SELECTOR: Final = 29160
PRIORITY_SELECTOR_LOCAL: Final = 29170

# Above all of Kube-OVN's: what a pod says to a BFD port by its relay must get there, whoever is forbidden to leave.
PRIORITY_BFD_RELAY: Final = 31500

# Where routes stand that only keep a BFD session running: no port and no policy leads into that table.
ANCHOR_TABLE: Final = "veg-bfd"

# Where pods send what is for a BFD port, unless the operator says otherwise: link-local and unique local addresses of
# random parts, that nobody uses by accident. They are seen in VPCs with a BFD port only, and never outside.
BFD_RELAY_IPS: Final = "169.254.37.84,fd37:84::1"

# Not spelled like the key below: the name of an OVSDB lock is an <id> (RFC 7047, 3.1), which has no hyphens.
OVSDB_LOCK: Final = "vpc_egress_gateway"
# The key of external_ids by which alone a row is ours, in every table (docs/decisions/0013): nobody else writes it.
OWNER_KEY: Final = "vpc-egress-gateway.io/owner"
# What the reference shows on its rows. Kube-OVN's own gateways write it as well, so it says nothing of an owner.
GATEWAY_KEY: Final = "vpc-egress-gateway"
_VENDOR: Final = "kube-ovn"

# Why a gateway is not ready, in its condition Ready: these are worth a warning.
REASON_REFUSED: Final = "ReconcileRefused"
REASON_PANIC: Final = "PanicMode"

_LABEL_VALUE_LENGTH_MAX: Final = 63  # Kubernetes: "Labels and Selectors", syntax and character set
_LABEL_PREFIX_LENGTH: Final = 54  # + "-" + 8 hex digits = 63


def api_version(group: str) -> str:
    """What objects of that API group carry: `<group>/v1`."""
    return f"{group}/{VERSION}"


def routes_annotation(provider: str) -> str:
    """The annotation with a pod's extra routes on the network of `provider` ("ovn", or "<nad>.<namespace>")."""
    return f"{provider}.kubernetes.io/routes"


def ip_pool_annotation(provider: str) -> str:
    """The annotation with the addresses a pod may get on the network of `provider`."""
    return f"{provider}.kubernetes.io/ip_pool"


def label_value(name: str) -> str:
    """A valid label value for any object name: itself up to 63 characters, else a prefix and a hash of the whole."""
    if len(name) <= _LABEL_VALUE_LENGTH_MAX:
        return name
    return f"{name[:_LABEL_PREFIX_LENGTH]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def workload_labels(gateway_name: str) -> dict[str, str]:
    """The labels of a gateway's Deployment and pods. They are its selector too, so they never change."""
    return {LABEL_APP: APP, LABEL_GATEWAY: label_value(gateway_name)}


def label_selector(gateway_name: str) -> str:
    """`status.labelSelector`: the labels above, as the scale subresource wants them."""
    return ",".join(f"{key}={value}" for key, value in workload_labels(gateway_name).items())


def _owned_by(owner: str) -> dict[str, str]:
    return {OWNER_KEY: owner, GATEWAY_KEY: owner}


def owner_ids(gateway: str, family: str) -> dict[str, str]:
    """The external_ids of a policy of a gateway (`namespace/name`) for the address family "4" or "6"."""
    return {"vendor": _VENDOR, **_owned_by(gateway), "af": family}


def route_owner_ids(gateway: str, family: str) -> dict[str, str]:
    """Those of a static route: without the vendor, since Kube-OVN removes routes of its vendor that it did not make."""
    return {**_owned_by(gateway), "af": family}


def port_group_owner_ids(gateway: str) -> dict[str, str]:
    """Those of a port group, which holds ports of both families."""
    return {"vendor": _VENDOR, **_owned_by(gateway)}


def port_group(gateway: str) -> str:
    """The name of a gateway's Port_Group. OVN makes the address sets `<name>_ip4` and `<name>_ip6` of it.

    Kube-OVN calls those of its own gateways `VEG.` and the same hash: ours must not meet them.
    """
    return f"veg.{hashlib.sha256(gateway.encode()).hexdigest()[:12]}"


def logical_switch_port(namespace: str, pod: str) -> str:
    """The name of the logical switch port of a pod's primary interface, as Kube-OVN has it."""
    return f"{pod}.{namespace}"


def node_port_group(gateway: str, node: str) -> str:
    """The name of the Port_Group with the pods of one node that may use a gateway, for trafficPolicy Local."""
    return f"{port_group(gateway)}.{hashlib.sha256(node.encode()).hexdigest()[:8]}"


def bfd_port(vpc: str) -> str:
    """The name of the router port of `Vpc.spec.bfdPort`, and of its HA_Chassis_Group and stub switch."""
    return f"bfd@{vpc}"


def bfd_port_mac(vpc: str) -> str:
    """Its Ethernet address: locally administered, unicast, the same each time it is made."""
    return _mac(bfd_port(vpc))


def _mac(name: str) -> str:
    digest = hashlib.sha256(name.encode()).digest()
    return ":".join(f"{byte:02x}" for byte in (0x02, *digest[:5]))


def bfd_relay(vpc: str) -> str:
    """The name of the router that relays packets to the BFD port of a Vpc, and of that router's one port.

    No Vpc can have it, nor a BFD port. Kube-OVN may offer a router that it does not know as a Vpc
    (--enable-external-vpc): the API server takes no name with "@".
    """
    return f"bfd-relay@{vpc}"


def bfd_relay_mac(vpc: str) -> str:
    """The Ethernet address of its port."""
    return _mac(bfd_relay(vpc))


def bfd_peer(router_port: str) -> str:
    """The name of the port on the stub switch that is the peer of this router port."""
    return f"{router_port}.peer"


def bfd_port_owner_ids(vpc: str) -> dict[str, str]:
    """The external_ids of the router port of a BFD port that is ours."""
    return {"vendor": _VENDOR, "lr": vpc, **_owned_by(vpc)}


def chassis_group_owner_ids(vpc: str) -> dict[str, str]:
    """Those of its HA_Chassis_Group."""
    return {"vendor": _VENDOR, "lrp": bfd_port(vpc), **_owned_by(vpc)}


def chassis_owner_ids(vpc: str) -> dict[str, str]:
    """Those of each HA_Chassis of that group."""
    return {"vendor": _VENDOR, "group": bfd_port(vpc), **_owned_by(vpc)}


def stub_switch_owner_ids(vpc: str) -> dict[str, str]:
    """Those of its stub switch and of the port there: no vendor, or Kube-OVN removes a switch that it does not know."""
    return {"lr": vpc, **_owned_by(vpc)}


def bfd_relay_owner_ids(vpc: str) -> dict[str, str]:
    """Those of its relay's router and of the port there: no vendor, for the same reason."""
    return {"lr": vpc, **_owned_by(vpc)}
