"""Which nodes the lab has, and where each has its place. A node is known by its directory."""

import json
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address
from pathlib import Path

from veg_lab import ovn
from veg_lab.errors import LabError
from veg_lab.paths import MACHINE_ADDRESS, Lab

NODE_PREFIX = 16
# A network for tunnels alone.
_TUNNELS = "172.19.0.0"
# With these addresses, as in the document's example: on the node network, and on the join network.
CONTROL_PLANE = "kube-ovn-control-plane"
BASE = {
    CONTROL_PLANE: ("172.18.0.3", "100.64.0.2"),
    "kube-ovn-worker": ("172.18.0.2", "100.64.0.3"),
    "kube-ovn-worker2": ("172.18.0.4", "100.64.0.4"),
}

# Where pods find the API server and the bus, as in a cluster that has them on a node. They run on the machine.
CONTROL_PLANE_ADDRESS = BASE[CONTROL_PLANE][0]


@dataclass(frozen=True)
class Node:
    """One node: its name and its address decide everything else."""

    lab: Lab
    name: str
    address: str
    """On the node network, without prefix length."""

    @property
    def number(self) -> int:
        """Tells the machine's links to the nodes apart."""
        return int(IPv4Address(self.address)) - int(IPv4Address(MACHINE_ADDRESS)) + 1

    @property
    def tunnel_address(self) -> str:
        """Where its tunnels end."""
        return str(IPv4Address(_TUNNELS) + self.number)

    @property
    def tunnel_hardware_address(self) -> str:
        """That of the bridge on which its tunnels end: a name of the lab's own, so that all know it from the start."""
        return f"02:76:65:67:{self.number >> 8 & 255:02x}:{self.number & 255:02x}"

    @property
    def directory(self) -> Path:
        """Its files that are gone with the lab's run directory."""
        return self.lab.run / "nodes" / self.name

    @property
    def run(self) -> Path:
        """What the node sees as /run."""
        return self.directory / "run"

    @property
    def storage(self) -> Path:
        """Its disk: beside the cache, where images can be shared by hard links."""
        return self.lab.storage / self.name

    @property
    def init(self) -> Path:
        """The record of the process that holds the node's mount namespace, once that is as it should be."""
        return self.directory / "init"

    @property
    def namespace(self) -> str:
        """Its network namespace."""
        return self.lab.namespace("node", self.name)

    @property
    def cgroup(self) -> str:
        """The path of its cgroup below each controller."""
        return f"{self.lab.cgroup}/{self.name}"

    @property
    def ovs_directory(self) -> Path:
        """Where its Open vSwitch has database and sockets."""
        return ovn.ovs_directory(self.lab, self.name)

    @property
    def cni_socket(self) -> Path:
        """What the node's CNI plugins know as /run/openvswitch/kube-ovn-daemon.sock."""
        return self.ovs_directory / "kube-ovn-daemon.sock"

    @property
    def cni_records(self) -> Path:
        """What was made for each sandbox."""
        return self.directory / "cni"

    @property
    def ovs_remote(self) -> str:
        """The database of its Open vSwitch."""
        return f"unix:{self.ovs_directory}/db.sock"


def nodes(lab: Lab) -> list[Node]:
    """All nodes of the lab, in the order of their names."""
    found = sorted((lab.run / "nodes").glob("*/node.json"))
    return [Node(lab, path.parent.name, json.loads(path.read_text())["address"]) for path in found]


def find(lab: Lab, name: str) -> Node:
    """The node of that name.

    Raises:
        LabError: there is none; the message names those that are.
    """
    known = {node.name: node for node in nodes(lab)}
    if name not in known:
        raise LabError(f"node {name!r} does not exist; there are {', '.join(known)}")
    return known[name]


def keep(node: Node) -> None:
    """Let the lab have this node from now on."""
    node.run.mkdir(parents=True, exist_ok=True)
    draft = node.directory / "node.json.new"
    draft.write_text(json.dumps({"address": node.address}) + "\n")
    draft.rename(node.directory / "node.json")


def base(lab: Lab) -> list[Node]:
    """The nodes that every lab has."""
    return [Node(lab, name, address) for name, (address, _) in BASE.items()]


def another(lab: Lab, name: str) -> Node:
    """One more node, with the next address of the node network."""
    taken = [ip_address(node.address) for node in [*base(lab), *nodes(lab)]]
    return Node(lab, name, str(max(taken) + 1))
