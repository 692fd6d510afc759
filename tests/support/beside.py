"""Versions of Kube-OVN beside which the product is tried (docs/support-matrix.md), and how we ask there."""

from dataclasses import dataclass
from typing import Any

from support import bfd
from support.lab import Lab, eventually
from support.vpcs import egress

KUBE_OVN_GROUP, OWN_GROUP = "kubeovn.io", "vpc-egress-gateway.io"
# The one node whose chassis may run a BFD port in these labs.
LIVE = ("kubernetes.io/hostname", "kube-ovn-control-plane")


@dataclass(frozen=True)
class World:
    """A version of Kube-OVN, the API group of our gateways beside it, and what follows from that."""

    version: str
    group: str
    by_routes: bool  # custom VPCs have the reference's static routes
    own_gateways: bool  # Kube-OVN has gateways of its own
    deletes: bool  # each reconcile of a Vpc deletes rows of ours in it

    def __str__(self) -> str:
        return f"{self.version}-{self.group}"

    @property
    def settings(self) -> dict[str, str]:
        """The variables of a lab that is so."""
        return {"VEG_LAB_KUBE_OVN": self.version, "VEG_API_GROUP": self.group}


WORLDS = {
    world.version: world
    for world in (
        World("1.13", KUBE_OVN_GROUP, by_routes=True, own_gateways=False, deletes=True),
        World("1.14", OWN_GROUP, by_routes=False, own_gateways=True, deletes=True),
        World("1.17", OWN_GROUP, by_routes=False, own_gateways=True, deletes=False),
    )
}


def ours(world: World, name: str, **spec: object) -> dict[str, Any]:
    """A gateway of ours."""
    return egress(name, **spec) | {"apiVersion": f"{world.group}/v1"}


def ask_for_port(lab: Lab, world: World, name: str, ip: str) -> None:
    """A BFD port of a Vpc, by the field of the reference where Kube-OVN has it, else by our annotation (CASES K7)."""
    if world.by_routes:
        key = "vpc-egress-gateway.io/bfd-port"
        lab.kubectl("annotate", "vpc", name, f"{key}={ip}", f"{key}-node-selector={LIVE[0]}={LIVE[1]}")
        return
    bfd.patch_vpc(lab, name, {"enabled": True, "ip": ip, "nodeSelector": {"matchLabels": dict([LIVE])}})
    eventually(lambda: bfd.status(lab, name).get("ip") == ip, 20, f"Vpc {name} has a BFD port")
