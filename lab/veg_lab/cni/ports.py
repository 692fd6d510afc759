"""The interfaces of a pod in OVN, each a veth whose outer end is a port of the node's integration bridge."""

from veg_lab import netns, ovn
from veg_lab.cni.command import CommandError, run
from veg_lab.cni.network_plan import NetworkPlan, Port, host_interface, port_commands, port_name, route_commands
from veg_lab.cni.record import Sandbox
from veg_lab.nodes.inventory import Node

# Addresses must be usable at once, and no router of the external network may configure a pod. Interfaces that come
# later take it from `default`.
_SYSCTLS = (
    "for file in /proc/sys/net/ipv6/conf/*/accept_dad /proc/sys/net/ipv6/conf/*/accept_ra; "
    "do echo 0 >$file; done 2>/dev/null; "
)

# Open vSwitch's userspace datapath takes packets as they are: nobody would fill in a checksum left to the hardware.
_INSIDE = f'{_SYSCTLS} ethtool -K "$0" tx off >/dev/null && exec ip -batch -'
# ovn-controller reports a port when its flows are in place; a pod is not up before.
FLOWS_TIMEOUT_S = 10
_VSCTL_TIMEOUT_S = 10


async def create(node: Node, sandbox: Sandbox, namespace: str, port: Port) -> None:
    """Make one in the pod's namespace (by its name), and its port. Routes come last, with `set_routes`."""
    outside, inside = port_commands(sandbox.container, namespace, port)
    await run([*netns.enter(node.namespace), "ip", "-batch", "-"], stdin=outside)
    await run([*netns.enter(namespace), "sh", "-c", _INSIDE, port.interface], stdin=inside)
    await _add_port(node, sandbox, port)


async def _add_port(node: Node, sandbox: Sandbox, made: Port) -> None:
    """The port takes the place of those that earlier sandboxes of the pod have left: OVN wants one."""
    port = host_interface(sandbox.container, made.interface)
    iface_id = f"external_ids:iface-id={port_name(sandbox.pod_namespace, sandbox.pod_name, made.provider)}"
    found = await _vsctl(node, "--bare", "--columns=name", "find", "Interface", iface_id)
    deletes = [word for old in found.split() for word in ("--if-exists", "del-port", "br-int", old, "--")]
    ids = [iface_id, f"external_ids:pod_netns={sandbox.netns}"]
    await _vsctl(node, "--no-wait", *deletes, "add-port", "br-int", port, "--", "set", "Interface", port, *ids)


async def set_routes(namespace: str, plan: NetworkPlan) -> None:
    """Set the routes through them: after the attachments, since of one destination the last route counts."""
    await run([*netns.enter(namespace), "ip", "-batch", "-"], stdin=route_commands(plan))


async def wait_for_flows(node: Node, container: str, interface: str) -> None:
    """Wait until the chassis has the flows of a port of the pod."""
    port = host_interface(container, interface)
    wait = [f"--timeout={FLOWS_TIMEOUT_S}", "wait-until", "Interface", port, "external_ids:ovn-installed=true"]
    try:
        await run(ovn.vsctl(node.lab, node.name, *wait), timeout_s=FLOWS_TIMEOUT_S + 5)
    except CommandError as error:
        raise CommandError(f"OVN did not install the flows of port {port} within {FLOWS_TIMEOUT_S} s") from error


async def remove(node: Node, container: str, interface: str) -> None:
    """Remove port and veth, whatever of them exists."""
    port = host_interface(container, interface)
    await _vsctl(node, "--no-wait", "--if-exists", "del-port", "br-int", port)
    try:
        await run([*netns.enter(node.namespace), "ip", "link", "del", port])
    except CommandError as error:
        if "Cannot find device" not in str(error):
            raise


async def _vsctl(node: Node, *words: str) -> str:
    return await run(ovn.vsctl(node.lab, node.name, f"--timeout={_VSCTL_TIMEOUT_S}", *words))
