"""A node's link into OVN: `ovn0` on the join network, the routes to the pods, and the way out for them.

Pods that no egress gateway serves leave through their node here, with the node's address, as in a real cluster.
"""

import json
import shlex
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from veg_lab import netns, ovn
from veg_lab.mini_kube_ovn.assign import Assignment, Cluster
from veg_lab.mini_kube_ovn.names import DEFAULT_VPC, JOIN_SUBNET, node_port
from veg_lab.paths import Lab


class NodeError(Exception):
    """A node's link could not be made; the message holds the command and what it said."""


@dataclass(frozen=True)
class NodePlan:
    """All that a node needs. Equal plans need no second run."""

    name: str
    mac: str
    join_address: str
    node_address: str
    gateway: str
    pod_networks: tuple[str, ...]


def plan_nodes(cluster: Cluster, assignment: Assignment) -> list[NodePlan]:
    """IPv4 only, as the join network of the document is."""
    join = cluster.subnets.get(JOIN_SUBNET)
    if join is None:
        return []
    network = join.networks[0]
    pods = tuple(
        str(n)
        for subnet in cluster.subnets.values()
        if subnet.in_ovn and subnet.vpc == DEFAULT_VPC and subnet.name != JOIN_SUBNET
        for n in subnet.networks
        if n.version == network.version
    )
    plans = []
    for node in cluster.nodes:
        lease = assignment.nodes.get(node.name)
        internal = [address for address in node.internal_ips if address.version == network.version]
        if lease is None or not internal:
            continue
        address = f"{lease.addresses[0]}/{network.prefixlen}"
        plans.append(NodePlan(node.name, lease.mac, address, str(internal[0]), str(join.gateways[0]), pods))
    return plans


class NodeNetworks:
    """Ensures the links. One call of a tool per node and change, so that an idle lab costs nothing."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._done: dict[str, NodePlan] = {}

    def ensure(self, plans: Iterable[NodePlan]) -> None:
        """Idempotent; a node that has no network yet is left for later. Raises NodeError."""
        for plan in plans:
            namespace = self._lab.namespace("node", plan.name)
            if netns.exists(namespace) and self._done.get(plan.name) != plan:
                self._ensure_node(plan, namespace)
                self._done[plan.name] = plan

    def _ensure_node(self, plan: NodePlan, namespace: str) -> None:
        interface = [f'mac="{plan.mac}"', "type=internal", "mtu_request=1400"]
        port = ["--may-exist", "add-port", "br-int", "ovn0", "--", "set", "Interface", "ovn0", *interface]
        words = ovn.vsctl(self._lab, plan.name, "--timeout=5", *port, f"external_ids:iface-id={node_port(plan.name)}")
        masquerade = f"POSTROUTING -o eth0 ! -s {plan.node_address} -j MASQUERADE"
        _run(
            [
                _unless("ip link show ovn0", shlex.join(words)),
                "ip link set ovn0 up",
                f"ip address replace {plan.join_address} dev ovn0",
                # Checksums of the userspace datapath would stay empty.
                "ethtool -K ovn0 tx off >/dev/null",
                *(f"ip route replace {cidr} via {plan.gateway} dev ovn0 proto static" for cidr in plan.pod_networks),
                _unless(f"iptables -w -t nat -C {masquerade}", f"iptables -w -t nat -A {masquerade}"),
            ],
            namespace,
        )
        self._remove_stale_routes(plan, namespace)

    def _remove_stale_routes(self, plan: NodePlan, namespace: str) -> None:
        shown = _run(["ip -j route show dev ovn0 proto static"], namespace)
        routes: list[dict[str, Any]] = json.loads(shown or "[]")
        stale = [route["dst"] for route in routes if route["dst"] not in plan.pod_networks]
        if stale:
            _run([f"ip route del {dst} dev ovn0 proto static" for dst in stale], namespace)


def _unless(condition: str, command: str) -> str:
    return f"{condition} >/dev/null 2>&1 || {command}"


def _run(script: list[str], namespace: str) -> str:
    enter = ["nsenter", f"--net=/run/netns/{namespace}"]
    lines = "\n".join(script)
    done = subprocess.run([*enter, "sh", "-euc", lines], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NodeError(f"{namespace}: {done.stderr.strip()} (one of: {lines})")
    return done.stdout
