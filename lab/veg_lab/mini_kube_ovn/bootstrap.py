"""The objects that a fresh Kube-OVN makes: the default VPC and its two subnets. No I/O."""

from veg_lab.mini_kube_ovn.changes import Create
from veg_lab.mini_kube_ovn.model import Json
from veg_lab.mini_kube_ovn.names import DEFAULT_SUBNET, DEFAULT_VPC, JOIN_SUBNET


def base_objects() -> list[Create]:
    """In the order in which they are to be made."""
    return [
        Create("Vpc", _object("Vpc", DEFAULT_VPC, {"defaultSubnet": DEFAULT_SUBNET})),
        Create("Subnet", _object("Subnet", DEFAULT_SUBNET, _subnet("10.16.0.0/16", "10.16.0.1", default=True))),
        Create("Subnet", _object("Subnet", JOIN_SUBNET, _subnet("100.64.0.0/16", "100.64.0.1", default=False))),
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
