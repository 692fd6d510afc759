"""The network of a pod, as `network_plan` says: made as a whole or not at all, and removed without a rest."""

import os
import signal

from veg_lab import netns, ovn
from veg_lab.node_agent.command import CommandError, run
from veg_lab.node_agent.network_plan import NetworkPlan, host_interface, setup_commands
from veg_lab.paths import Lab

# Addresses must be usable at once, and no router of the external network may configure a pod.
_INSIDE = (
    "for file in /proc/sys/net/ipv6/conf/*/accept_dad /proc/sys/net/ipv6/conf/*/accept_ra; "
    "do echo 0 >$file; done 2>/dev/null; "
    # Open vSwitch's userspace datapath takes packets as they are: nobody would fill in a checksum left to the hardware.
    "ethtool -K eth0 tx off >/dev/null && exec ip -batch -"
)
# ovn-controller reports a port when its flows are in place; a pod is not up before.
FLOWS_TIMEOUT_S = 10


async def create(lab: Lab, namespace: str, pod: tuple[str, str, str], plan: NetworkPlan) -> None:
    """Make the namespace and everything in it, and wait until OVN serves it. `pod` is (namespace, name, uid)."""
    pod_namespace, name, uid = pod
    outside, inside = setup_commands(namespace, uid, plan)
    await run(["ip", "-batch", "-"], stdin=outside)
    await run([*netns.enter(namespace), "sh", "-c", _INSIDE], stdin=inside)
    port = host_interface(uid, "eth0")
    ids = [
        f"external_ids:{key}={value}"
        for key, value in (("iface-id", f"{name}.{pod_namespace}"), ("pod_netns", namespace))
    ]
    add = ["--may-exist", "add-port", "br-int", port, "--", "set", "Interface", port, *ids]
    await run(ovn.vsctl(lab, "--timeout=10", "--no-wait", *add))


async def wait_for_flows(lab: Lab, uid: str) -> None:
    """Wait until the chassis has the flows of the pod's port."""
    port = host_interface(uid, "eth0")
    wait = ["wait-until", "Interface", port, "external_ids:ovn-installed=true"]
    try:
        await run(ovn.vsctl(lab, f"--timeout={FLOWS_TIMEOUT_S}", *wait), timeout_s=FLOWS_TIMEOUT_S + 5)
    except CommandError as error:
        raise CommandError(f"OVN did not install the flows of port {port} within {FLOWS_TIMEOUT_S} s") from error


async def remove(lab: Lab, namespace: str, uid: str) -> None:
    """Remove it, whatever of it exists, and end what still runs in it."""
    port = host_interface(uid, "eth0")
    await run(ovn.vsctl(lab, "--timeout=10", "--no-wait", "--if-exists", "del-port", "br-int", port))
    if netns.exists(namespace):
        for pid in netns.processes([namespace]):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:  # it ended by itself
                continue
        await run(["ip", "netns", "del", namespace])
    (netns.DIRECTORY / namespace).unlink(missing_ok=True)
    try:
        await run(["ip", "link", "del", port])
    except CommandError as error:
        if "Cannot find device" not in str(error):
            raise
