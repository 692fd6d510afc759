"""The objects that a fresh cluster has: the nodes, the default VPC and its two subnets. No I/O."""

from dataclasses import dataclass
from ipaddress import ip_address

from veg_lab.mini_kube_ovn.changes import Create
from veg_lab.mini_kube_ovn.model import Json
from veg_lab.mini_kube_ovn.names import DEFAULT_SUBNET, DEFAULT_VPC, JOIN_SUBNET


@dataclass(frozen=True)
class BaseNode:
    name: str
    internal_ip: str
    join_ip: str


# Name, address and join address as in the document's example.
BASE_NODES = (
    BaseNode("kube-ovn-control-plane", "172.18.0.3", "100.64.0.2"),
    BaseNode("kube-ovn-worker", "172.18.0.2", "100.64.0.3"),
    BaseNode("kube-ovn-worker2", "172.18.0.4", "100.64.0.4"),
)
_CONDITION_TIME = "2024-01-01T00:00:00Z"


def base_objects() -> list[Create]:
    """In the order in which they are to be made."""
    return [
        Create("Vpc", _object("Vpc", DEFAULT_VPC, {"defaultSubnet": DEFAULT_SUBNET})),
        Create("Subnet", _object("Subnet", DEFAULT_SUBNET, _subnet("10.16.0.0/16", "10.16.0.1", default=True))),
        Create("Subnet", _object("Subnet", JOIN_SUBNET, _subnet("100.64.0.0/16", "100.64.0.1", default=False))),
        *(Create("Node", node_object(node)) for node in BASE_NODES),
    ]


def _object(kind: str, name: str, spec: Json) -> Json:
    return {"apiVersion": "kubeovn.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def _subnet(cidr: str, gateway: str, *, default: bool) -> Json:
    return {
        "vpc": DEFAULT_VPC,
        "provider": "ovn",
        "protocol": "IPv4",
        "cidrBlock": cidr,
        "gateway": gateway,
        "excludeIps": [gateway],
        "default": default,
        "gatewayType": "distributed",
        "natOutgoing": default,
    }


def next_node(name: str, nodes: list[Json]) -> BaseNode:
    """One more node beside these, with the next address of the node network and of the join network."""
    internal = [
        ip_address(item["address"])
        for node in nodes
        for item in node["status"]["addresses"]
        if item["type"] == "InternalIP"
    ]
    join = [ip_address(node["metadata"]["annotations"]["ovn.kubernetes.io/ip_address"]) for node in nodes]
    return BaseNode(name, str(max(internal) + 1), str(max(join) + 1))


def node_object(node: BaseNode) -> Json:
    """A node as its kubelet would register it, ready."""
    capacity = {"cpu": "64", "memory": "256Gi", "pods": "500", "ephemeral-storage": "1Ti"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": node.name,
            "labels": {
                "kubernetes.io/hostname": node.name,
                "kubernetes.io/os": "linux",
                "beta.kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
            },
            "annotations": {"ovn.kubernetes.io/ip_address": node.join_ip},
        },
        "status": {
            "capacity": capacity,
            "allocatable": capacity,
            "addresses": [
                {"type": "InternalIP", "address": node.internal_ip},
                {"type": "Hostname", "address": node.name},
            ],
            "conditions": [
                {
                    "type": "Ready",
                    "status": "True",
                    "reason": "KubeletReady",
                    "message": "the lab's node agent is posting ready status",
                    "lastHeartbeatTime": _CONDITION_TIME,
                    "lastTransitionTime": _CONDITION_TIME,
                }
            ],
        },
    }
