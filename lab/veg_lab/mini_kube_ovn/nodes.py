"""Nodes as network namespaces: `ovn0` on the join network, `eth0` on the nodes' own network, and the way out.

Pods that no egress gateway serves leave through their node here, with the node's address, as in a real cluster.
"""

import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

from ovsdbapp import exceptions
from ovsdbapp.schema.open_vswitch import impl_idl

from veg_lab.mini_kube_ovn.assign import Assignment, Cluster
from veg_lab.mini_kube_ovn.names import DEFAULT_VPC, JOIN_SUBNET, node_port
from veg_lab.mini_kube_ovn.ovsdb import connect

NODE_BRIDGE = "br-node"
NODE_BRIDGE_ADDRESS = "172.18.0.1/16"
JOIN_MTU = 1400


class NodeError(Exception):
    """A node's namespace could not be made; the message holds the command and what it said."""


@dataclass(frozen=True)
class NodePlan:
    """All that a node's namespace needs. Equal plans need no second run."""

    name: str
    number: int
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
        number = int(lease.addresses[0]) - int(network[0])
        address = f"{lease.addresses[0]}/{network.prefixlen}"
        own = f"{internal[0]}/{NODE_BRIDGE_ADDRESS.rpartition('/')[2]}"
        plans.append(NodePlan(node.name, number, lease.mac, address, own, str(join.gateways[0]), pods))
    return plans


class NodeNetworks:
    """Ensures the namespaces. One call of a tool per node and change, so that an idle lab costs nothing."""

    def __init__(self, lab: str, ovs_remote: str) -> None:
        self._lab = lab
        self._done: dict[str, NodePlan] = {}
        self._ovs = impl_idl.OvsdbIdl(connect(ovs_remote, "Open_vSwitch"))

    def ensure(self, plans: Iterable[NodePlan]) -> None:
        """Idempotent. Raises NodeError."""
        for plan in plans:
            namespace = f"{self._lab}.node.{plan.name}"
            if self._done.get(plan.name) == plan and (Path("/run/netns") / namespace).exists():
                continue
            if not self._done:
                self._ensure_bridge()
            self._ensure_node(plan, namespace)
            self._done[plan.name] = plan

    def _ensure_bridge(self) -> None:
        _run(
            [
                _unless(f"ip link show {NODE_BRIDGE}", f"ip link add {NODE_BRIDGE} type bridge"),
                f"ip address replace {NODE_BRIDGE_ADDRESS} dev {NODE_BRIDGE}",
                f"ip link set {NODE_BRIDGE} up",
            ]
        )

    def _ensure_node(self, plan: NodePlan, namespace: str) -> None:
        ovn, eth = f"node{plan.number}-ovn", f"node{plan.number}-eth"
        inside = f"ip -n {namespace}"
        _run(
            [
                _unless(f"test -e /run/netns/{namespace}", f"ip netns add {namespace}"),
                _unless(f"{inside} link show ovn0", _veth(ovn, "ovn0", namespace, f"mtu {JOIN_MTU}")),
                _unless(f"{inside} link show eth0", _veth(eth, "eth0", namespace, "")),
                f"ip link set {ovn} mtu {JOIN_MTU} up",
                f"ip link set {eth} master {NODE_BRIDGE} up",
                f"{inside} link set lo up",
                f"{inside} link set ovn0 address {plan.mac} up",
                f"{inside} link set eth0 up",
                f"{inside} address replace {plan.join_address} dev ovn0",
                f"{inside} address replace {plan.node_address} dev eth0",
            ]
        )
        self._ensure_port(ovn, node_port(plan.name))
        masquerade = f"POSTROUTING -o eth0 ! -s {plan.node_address.partition('/')[0]} -j MASQUERADE"
        _run(
            [
                "sysctl -qw net.ipv4.ip_forward=1",
                # Checksums of the userspace datapath would stay empty.
                "ethtool -K ovn0 tx off >/dev/null",
                f"ip route replace default via {ip_interface(NODE_BRIDGE_ADDRESS).ip} dev eth0",
                *(f"ip route replace {cidr} via {plan.gateway} dev ovn0 proto static" for cidr in plan.pod_networks),
                _unless(f"iptables -w -t nat -C {masquerade}", f"iptables -w -t nat -A {masquerade}"),
            ],
            namespace,
        )
        self._remove_stale_routes(plan, namespace)

    def _ensure_port(self, port: str, iface_id: str) -> None:
        try:
            with self._ovs.transaction(check_error=True, log_errors=False) as transaction:
                transaction.add(self._ovs.add_port("br-int", port, may_exist=True))
                ids = {"iface-id": iface_id}
                transaction.add(self._ovs.db_set("Interface", port, ("external_ids", ids)))
        except (RuntimeError, exceptions.TimeoutException) as error:
            raise NodeError(f"port {port} of br-int: {error}") from error

    def _remove_stale_routes(self, plan: NodePlan, namespace: str) -> None:
        shown = _run([f"ip -n {namespace} -j route show dev ovn0 proto static"])
        routes: list[dict[str, Any]] = json.loads(shown or "[]")
        stale = [route["dst"] for route in routes if route["dst"] not in plan.pod_networks]
        if stale:
            _run([f"ip -n {namespace} route del {dst} dev ovn0 proto static" for dst in stale])


def _veth(outside: str, inside: str, namespace: str, options: str) -> str:
    # An end left over from a namespace that is gone goes first; its peer went with the namespace, or goes with it.
    add = f"ip link add {outside} type veth peer name {inside} {options} netns {namespace}"
    return f"{{ ip link del {outside} 2>/dev/null || true; {add}; }}"


def _unless(condition: str, command: str) -> str:
    return f"{condition} >/dev/null 2>&1 || {command}"


def _run(script: list[str], namespace: str = "") -> str:
    enter = ["nsenter", f"--net=/run/netns/{namespace}"] if namespace else []
    lines = "\n".join(script)
    done = subprocess.run([*enter, "sh", "-euc", lines], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NodeError(f"{namespace or 'machine'}: {done.stderr.strip()} (one of: {lines})")
    return done.stdout
