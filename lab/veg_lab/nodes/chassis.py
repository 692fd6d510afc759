"""Open vSwitch and ovn-controller of a node: one chassis each, as in a real cluster."""

import time
from collections.abc import Callable
from functools import partial

from veg_lab import netns, ovn, priority, probes
from veg_lab.errors import LabError
from veg_lab.nodes import cgroups, inventory, network
from veg_lab.nodes.inventory import Node
from veg_lab.process import Component

INTEGRATION_BRIDGE = "br-int"
_BRIDGE_WITHIN_S = 20.0


def components(node: Node) -> list[Component]:
    """Database, switch and controller, in the order of their start."""
    database = ovn.database_words(node.lab, node.ovs_directory, "conf.db", "db.sock", "ovsdb.ctl")
    switch = ["ovs-vswitchd", node.ovs_remote, "--disable-system"]
    return [
        _component(node, "ovs-db", database, probes.listens(node.ovs_directory / "db.sock")),
        _daemon(node, "ovs-vswitchd", switch),
        _daemon(node, "ovn-controller", ["ovn-controller", node.ovs_remote]),
    ]


def _daemon(node: Node, name: str, argv: list[str]) -> Component:
    control = node.ovs_directory / f"{name}.ctl"
    words = ovn.tool(node.lab, *argv, f"--unixctl={control}", *ovn.LOGGING)
    then = partial(join_tunnels, node) if name == "ovs-vswitchd" else None
    return _component(node, name, words, probes.listens(control), then)


def _component(
    node: Node, name: str, argv: list[str], ready: probes.Probe, then: Callable[[], None] | None = None
) -> Component:
    first = priority.words(priority.DAEMONS[name])
    if name == "ovs-vswitchd":
        first = priority.datapath_words(node.number)
    words = [*cgroups.join(node.cgroup), *first, *argv]
    environment = ovn.environment(node.lab, node.ovs_directory)
    attempts = 1 if name == "ovs-db" else 3
    return Component(
        f"{name}-{node.name}", tuple(words), ready, node.namespace, environment, attempts=attempts, then=then
    )


def prepare(node: Node) -> None:
    """An empty database where there is none."""
    ovn.make_database(node.lab, node.ovs_directory / "conf.db", "openvswitch/vswitch.ovsschema")


def configure(node: Node) -> None:
    """Who the chassis is, where its tunnels end, and its two bridges; the database runs, the switch not yet."""
    settings = {
        "system-id": ovn.chassis_name(node.name),
        "hostname": node.name,
        "ovn-remote": ovn.southbound_of_nodes(),
        "ovn-encap-type": "geneve",
        "ovn-encap-ip": node.tunnel_address,
        "ovn-bridge": INTEGRATION_BRIDGE,
        "ovn-bridge-datapath-type": "netdev",
        "ovn-monitor-all": "true",
    }
    commands = [["set", "Open_vSwitch", ".", *(f'external_ids:{key}="{value}"' for key, value in settings.items())]]
    for bridge, mode in ((INTEGRATION_BRIDGE, "secure"), (network.TUNNEL_BRIDGE, "standalone")):
        commands.append(["--may-exist", "add-br", bridge])
        commands.append(["set", "bridge", bridge, "datapath_type=netdev", f"fail_mode={mode}"])
    hardware = f'other_config:hwaddr="{node.tunnel_hardware_address}"'
    commands.append(["set", "bridge", network.TUNNEL_BRIDGE, hardware])
    commands.append(["--may-exist", "add-port", network.TUNNEL_BRIDGE, network.TUNNEL_PORT])
    words = [word for command in commands for word in ("--", *command)][1:]
    netns.run(ovn.vsctl(node.lab, node.name, "--no-wait", *words))


def join_tunnels(node: Node) -> None:
    """What a switch must be told each time that it has started: the address of its tunnels, and where all others end.

    A userspace switch drops what a kernel would keep for a moment: the first packet to a tunnel end whose hardware
    address it does not know, and every packet between forgetting its routes and reading them again, which it does
    whenever a link of the node changes. What it is told by hand, it does not forget.

    Raises:
        LabError: it has made no bridge for the tunnels.
    """
    made = probes.succeeds([*netns.enter(node.namespace), "ip", "link", "show", network.TUNNEL_BRIDGE])
    deadline = time.monotonic() + _BRIDGE_WITHIN_S
    while not made():
        if time.monotonic() > deadline:
            raise LabError(f"node {node.name}: no {network.TUNNEL_BRIDGE}; see: lab/lab logs ovs-vswitchd-{node.name}")
        time.sleep(0.05)
    network.address_tunnels(node)
    _tell(node, "tnl/neigh/aging", "3600")
    _tell(node, "ovs/route/add", network.TUNNEL_NETWORK, network.TUNNEL_BRIDGE)
    for other in inventory.nodes(node.lab):
        introduce(node, other)


def introduce(node: Node, other: Node) -> None:
    """Tell a switch where another node's tunnels end."""
    if other != node:
        words = (network.TUNNEL_BRIDGE, other.tunnel_address, other.tunnel_hardware_address)
        _tell(node, "tnl/neigh/set", *words)


def _tell(node: Node, *words: str) -> None:
    control = ("ovs-appctl", "--timeout=5", "-t", f"{node.ovs_directory}/ovs-vswitchd.ctl")
    netns.run(ovn.tool(node.lab, *control, *words))
