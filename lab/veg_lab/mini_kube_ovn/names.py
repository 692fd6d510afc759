"""The names that Kube-OVN gives to rows and annotations. One place, so that a wrong name is wrong everywhere."""

from hashlib import sha256

DEFAULT_VPC = "ovn-cluster"
DEFAULT_SUBNET = "ovn-default"
JOIN_SUBNET = "join"
OVN_PROVIDER = "ovn"

VENDOR = {"vendor": "kube-ovn"}
# Rows with this key belong to an egress gateway, although they carry our vendor too. We never touch them.
FOREIGN_OWNER_KEY = "vpc-egress-gateway"

# A switch with load balancers tracks all connections. Without this option OVN would drop what it then finds invalid:
# packets of connections that began elsewhere, as after a failover.
GLOBAL_OPTIONS = {"use_ct_inv_match": "false"}

NETWORKS_ANNOTATION = "k8s.v1.cni.cncf.io/networks"


def annotation(provider: str, field: str) -> str:
    return f"{provider}.kubernetes.io/{field}"


def is_of_ovn(provider: str) -> bool:
    """Whether a provider's networks are switches of OVN: eth0's own, and `<attachment>.<namespace>.ovn`."""
    return provider == OVN_PROVIDER or provider.endswith(f".{OVN_PROVIDER}")


def pod_port(namespace: str, pod: str, provider: str = OVN_PROVIDER) -> str:
    return f"{pod}.{namespace}" if provider == OVN_PROVIDER else f"{pod}.{namespace}.{provider}"


def load_balancer(protocol: str, *, session: bool) -> str:
    """Of the default VPC; `session` is for Services whose clients stay with one endpoint."""
    return f"cluster-{protocol}-{'session-' if session else ''}loadbalancer"


def node_port(node: str) -> str:
    return f"node-{node}"


def node_port_group(node: str) -> str:
    """The group of all pods of the default VPC on that node."""
    return node_port(node).replace("-", ".")


def subnet_node_port_group(subnet: str, node: str) -> str:
    """The group of the pods of one subnet on one node. OVN derives the address set `<group>_ip4` from it."""
    return f"{subnet}.{node}".replace("-", ".")


def bfd_port(vpc: str) -> str:
    """The router port that speaks BFD; its HA group has the same name."""
    return f"bfd@{vpc}"


def router_port(vpc: str, subnet: str) -> str:
    return f"{vpc}-{subnet}"


def switch_router_port(vpc: str, subnet: str) -> str:
    return f"{subnet}-{vpc}"


def stable_mac(seed: str) -> str:
    """A locally administered unicast address that looks random and survives restarts, because the seed does."""
    raw = bytearray(sha256(seed.encode()).digest()[:6])
    raw[0] = raw[0] & 0xFC | 0x02
    return ":".join(f"{byte:02x}" for byte in raw)
