"""The networks of the lab, as switches of one machine with a cable to each node, and a node's ends of the cables.

| switch on the machine | end in the node | what it is |
|---|---|---|
| `br-nodes` | `eth0` | the node network: API server, southbound database, and the nodes' way out |
| `br-tunnels` | `phy`, a port of `br-phy` | tunnels alone: a dead switch silences them and not the kubelet |
| `br-ext` | `eth1` | the external network: parent of the gateways' macvlans |
"""

from veg_lab import netns
from veg_lab.nodes.inventory import CONTROL_PLANE, NODE_PREFIX, Node
from veg_lab.paths import MACHINE_ADDRESS, Lab

TUNNEL_BRIDGE = "br-phy"
TUNNEL_NETWORK = "172.19.0.0/16"
TUNNEL_PORT = "phy"
# What pods reach on the control plane's node and is on the machine: API server and NATS.
_PORTS = "6443,4222"
# Switch -> the node's end.
_CABLES = {"br-nodes": "eth0", "br-tunnels": TUNNEL_PORT, "br-ext": "eth1"}
SWITCHES = tuple(_CABLES)
SYSCTLS = (
    "net.ipv4.ip_forward=1",
    "net.ipv6.conf.all.forwarding=1",
    # Addresses are usable at once: nobody else can have them.
    "net.ipv6.conf.all.accept_dad=0",
    "net.ipv6.conf.default.accept_dad=0",
)
# Linux answers for an address of another link: others would learn the cable of the tunnels in the place of its bridge.
_OF_NODES = ("net.ipv4.conf.all.arp_ignore=1", "net.ipv4.conf.default.arp_ignore=1")


def ensure(node: Node) -> None:
    """Make the node's namespace and its links; what is there stays as it is."""
    netns.ensure(node.namespace)
    netns.run_in(node.namespace, ["sysctl", "-q", "-w", *SYSCTLS, *_OF_NODES])
    present = links(node.namespace)
    machine = []
    for switch, inner in _CABLES.items():
        outer = cable(node, switch)
        if inner not in present:
            machine.append(f"link add {outer} type veth peer name {inner} netns {node.namespace}")
        machine += [f"link set {outer} master {switch}", f"link set {outer} up"]
    batch(node.lab.namespace(), machine)
    inside = [f"link set {link} up" for link in _CABLES.values()]
    inside.append(f"addr replace {node.address}/{NODE_PREFIX} brd + dev eth0")
    inside.append(f"route replace default via {MACHINE_ADDRESS} dev eth0")
    batch(node.namespace, inside)
    if node.name == CONTROL_PLANE:
        _hand_on(node)
    # Userspace switches take packets as they are: nobody would fill in a checksum left to the hardware.
    netns.run_in(node.namespace, ["ethtool", "-K", TUNNEL_PORT, "tx", "off"])
    netns.run_in(node.lab.namespace(), ["ethtool", "-K", cable(node, "br-tunnels"), "tx", "off"])


def _hand_on(node: Node) -> None:
    """What comes to the node for a daemon of the machine goes there; Kube-OVN's masquerading leads the answers back."""
    match = f"-d {node.address} -p tcp -m multiport --dports {_PORTS}"
    rule = f"PREROUTING {match} -j DNAT --to-destination {MACHINE_ADDRESS}"
    ensure_rule = f"iptables -w -t nat -C {rule} 2>/dev/null || iptables -w -t nat -A {rule}"
    netns.run_in(node.namespace, ["sh", "-c", ensure_rule])


def address_tunnels(node: Node) -> None:
    """Give the bridge of the tunnels its address, once the node's switch has made the bridge."""
    up = [f"addr replace {node.tunnel_address}/16 brd + dev {TUNNEL_BRIDGE}", f"link set {TUNNEL_BRIDGE} up"]
    batch(node.namespace, up)


def connect(node: Node, *, connected: bool) -> None:
    """Plug all cables of the node in, or pull them: its ends lose their carrier."""
    state = "up" if connected else "down"
    batch(node.lab.namespace(), [f"link set {cable(node, switch)} {state}" for switch in _CABLES])


def cable(node: Node, switch: str) -> str:
    """The machine's end of the cable from this switch to the node."""
    return f"n{node.number}-{_CABLES[switch]}"


def ensure_switches(lab: Lab) -> None:
    """The machine's switches."""
    present = links(lab.namespace())
    missing = [switch for switch in SWITCHES if switch not in present]
    batch(lab.namespace(), [f"link add {switch} type bridge" for switch in missing])
    batch(lab.namespace(), [f"link set {switch} up" for switch in SWITCHES])


def links(namespace: str) -> set[str]:
    """The names of the links in a namespace."""
    shown = netns.run_in(namespace, ["ip", "-o", "link", "show"])
    return {line.split(": ", 2)[1].partition("@")[0] for line in shown.splitlines()}


def batch(namespace: str, commands: list[str]) -> None:
    """Run these commands of `ip` in one go."""
    netns.run_in(namespace, ["ip", "-batch", "-"], stdin="".join(f"{line}\n" for line in commands))
