"""The machine's own namespace, with the switches of `nodes.network`, and the external network with its host."""

import sys
from contextlib import suppress
from pathlib import Path

from veg_lab import netns, probes
from veg_lab.nodes import network
from veg_lab.nodes.inventory import NODE_PREFIX
from veg_lab.paths import MACHINE_ADDRESS, Lab
from veg_lab.process import Component

EXTERNAL = "ext"
# What an egress gateway's client sees as "outside": the address of the user's document.
EXTERNAL_ADDRESSES = ("172.17.0.1/16", "fc00:172:17::1/64")
# The machine's own addresses there, so that nodes reach the outside too, as nodes do.
MACHINE_ADDRESSES = ("172.17.0.2/16", "fc00:172:17::2/64")
NODE_NETWORK = "172.18.0.0/16"
# Packets that wait between two veths, for each core of the machine and for all of its namespaces together. At the
# kernel's 1000, one message of 1 MB on the bus pushed pings out (`/proc/net/softnet_stat`, second column).
BACKLOG = Path("/proc/sys/net/core/netdev_max_backlog")
BACKLOG_PACKETS_MIN = 16384


def ensure(lab: Lab) -> None:
    """Make what is missing; what is there stays as it is."""
    _deepen_backlog()
    machine, external = lab.namespace(), lab.namespace(EXTERNAL)
    for namespace in (machine, external):
        netns.ensure(namespace)
        netns.run_in(namespace, ["sysctl", "-q", "-w", *network.SYSCTLS])
    network.ensure_switches(lab)
    if EXTERNAL not in network.links(machine):
        peer = f"peer name eth0 netns {external}"
        network.batch(machine, [f"link add {EXTERNAL} type veth {peer}", f"link set {EXTERNAL} master br-ext"])
    own = _addresses("br-nodes", (f"{MACHINE_ADDRESS}/{NODE_PREFIX}",))
    network.batch(machine, [*own, *_addresses("br-ext", MACHINE_ADDRESSES), f"link set {EXTERNAL} up"])
    back = f"route replace {NODE_NETWORK} via {MACHINE_ADDRESSES[0].split('/')[0]}"
    network.batch(external, [*_addresses("eth0", EXTERNAL_ADDRESSES), back])


def _deepen_backlog() -> None:
    """A limit of the machine, which no namespace has for itself. It stays as long as the machine runs."""
    with suppress(OSError):  # where that is forbidden a burst may cost a packet
        if int(BACKLOG.read_text()) < BACKLOG_PACKETS_MIN:
            BACKLOG.write_text(f"{BACKLOG_PACKETS_MIN}\n")


def components(lab: Lab) -> list[Component]:
    """The HTTP server of the external host."""
    namespace = lab.namespace(EXTERNAL)
    argv = (sys.executable, "-m", "veg_lab.external_host")
    return [Component("external", argv, probes.answers(namespace, "http://127.0.0.1/"), namespace)]


def _addresses(link: str, addresses: tuple[str, ...]) -> list[str]:
    # `brd +` is for IPv4, `nodad` for IPv6; neither family takes the other's word.
    words = (f"{address} nodad" if ":" in address else f"{address} brd +" for address in addresses)
    return [f"link set {link} up", *(f"addr replace {word} dev {link}" for word in words)]
