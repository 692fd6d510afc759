"""Manifests of networks for tests that need some of their own, and what a pod in them sees."""

import subprocess
from typing import Any

from support.clients import inside
from support.lab import Lab

SERVERS = {"4": "172.17.0.1", "6": "[fc00:172:17::1]"}


def vpc(name: str) -> dict[str, Any]:
    return {"apiVersion": "kubeovn.io/v1", "kind": "Vpc", "metadata": {"name": name}, "spec": {}}


def subnet(name: str, protocol: str, cidr: str, **spec: object) -> dict[str, Any]:
    """`protocol` is IPv4, IPv6 or Dual."""
    spec = {"protocol": protocol, "cidrBlock": cidr} | spec
    return {"apiVersion": "kubeovn.io/v1", "kind": "Subnet", "metadata": {"name": name}, "spec": spec}


def attachment(name: str) -> dict[str, Any]:
    """One more network on the external link, with addresses from Kube-OVN."""
    return {
        "apiVersion": "k8s.cni.cncf.io/v1",
        "kind": "NetworkAttachmentDefinition",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "config": '{"cniVersion": "0.3.0", "type": "macvlan", "master": "eth1", "mode": "bridge", '
            f'"ipam": {{"type": "kube-ovn", "provider": "{name}.default"}}}}'
        },
    }


def egress(name: str, **spec: object) -> dict[str, Any]:
    """A VpcEgressGateway with exactly these fields."""
    meta = {"name": name, "namespace": "default"}
    return {"apiVersion": "kubeovn.io/v1", "kind": "VpcEgressGateway", "metadata": meta, "spec": spec}


def fetch(lab: Lab, pod: str, family: str = "4") -> str:
    """Whom the external server sees when the pod (of namespace default) asks it; empty when there is no answer."""
    words = ["curl", "-s", "-g", "--max-time", "2", f"http://{SERVERS[family]}/"]
    done = subprocess.run(inside(lab, f"default/{pod}", *words), capture_output=True, text=True, check=False)
    return done.stdout.strip()


def route_list(lab: Lab, router: str) -> list[list[str]]:
    """The routes of a router as `lr-route-list` prints them, each as its words."""
    lines = [line.split() for line in lab.nbctl("lr-route-list", router).splitlines()]
    return [words for words in lines if words and words[0][0] in "0123456789abcdef:" and "/" in words[0]]
