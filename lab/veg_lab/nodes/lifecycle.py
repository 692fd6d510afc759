"""A node comes, goes, fails, and comes back."""

import json
import shutil
import signal
from pathlib import Path

from veg_lab import assets, control_plane, image_store, netns, ovn, process
from veg_lab.errors import LabError
from veg_lab.nodes import cgroups, chassis, containerd, filesystem, inventory, kubelet, network
from veg_lab.nodes.inventory import Node
from veg_lab.paths import Lab
from veg_lab.process import Component

_READY_WITHIN_S = 60
# How long each daemon of a node has to end by itself.
_STOP_S = 5.0


def components(node: Node) -> list[Component]:
    """Everything that runs on a node, in the order of its start."""
    return [filesystem.component(node), *chassis.components(node), containerd.component(node), kubelet.component(node)]


def prepare(node: Node, images: Path) -> None:
    """Its place, its networks, and a copy of the image store: what needs neither OVN nor the API server."""
    inventory.keep(node)
    cgroups.ensure(node.cgroup)
    network.ensure(node)
    filesystem.prepare(node)
    containerd.prepare(node, image_store.reference("lab-client"))
    if not (node.storage / "containerd").exists():
        image_store.copy(images, node.storage / "containerd")
    chassis.prepare(node)


def start_chassis(node: Node) -> None:
    """Its switch and its end of OVN; the southbound database is there."""
    _holder, database, switch, controller, *_ = components(node)
    process.start_aloud(node.lab, database)
    chassis.configure(node)
    process.start_aloud(node.lab, switch)
    process.start_aloud(node.lab, controller)
    ovn.wait_for_chassis(node.lab, node.name)


def start_runtime(node: Node) -> None:
    """Its mounts, and containerd."""
    holder, *_, runtime, _kubelet = components(node)
    process.start_aloud(node.lab, holder)
    process.start_aloud(node.lab, runtime)


def start_kubelet(node: Node) -> None:
    """kubelet, once the API server is there; returns when the node is ready."""
    kubelet.prepare(node)
    register(node)
    process.start_aloud(node.lab, components(node)[-1])
    wait = ("wait", "--for=condition=Ready", f"node/{node.name}", f"--timeout={_READY_WITHIN_S}s")
    netns.run(control_plane.kubectl(node.lab, *wait))


def register(node: Node) -> None:
    """Make the node's object, as who provisions a cluster may: kubelet takes over the one that bears its name."""
    _, join = inventory.BASE.get(node.name, ("", ""))
    annotations = {"ovn.kubernetes.io/ip_address": join} if join else {}
    made = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": node.name, "annotations": annotations}}
    netns.run(control_plane.kubectl(node.lab, "apply", "-f", "-"), stdin=json.dumps(made))


def add(lab: Lab, name: str) -> None:
    """One more node, up to its being ready.

    Raises:
        LabError: it is there already, or something of it does not start.
    """
    if name in {node.name for node in inventory.nodes(lab)}:
        raise LabError(f"node {name!r} exists already")
    node = inventory.another(lab, name)
    prepare(node, assets.ensure(lab))
    register(node)
    start_runtime(node)
    start_chassis(node)
    for other in inventory.nodes(lab):
        chassis.introduce(other, node)
    start_kubelet(node)


def remove(lab: Lab, name: str) -> None:
    """Switch a node off for good: its daemons end in good order, and its object goes.

    Raises:
        LabError: there is no such node.
    """
    node = inventory.find(lab, name)
    cgroups.thaw(node.cgroup)
    for component in reversed(components(node)):
        process.end(lab, component.name, signal.SIGTERM, grace_s=_STOP_S)
    # Only now: Kube-OVN removes the chassis of a node that is gone, and a living ovn-controller would make it again.
    netns.run(control_plane.kubectl(lab, "delete", "node", name, "--ignore-not-found"))
    end(node)


def end(node: Node) -> None:
    """End whatever runs on the node, and leave nothing of it."""
    cgroups.end(node.cgroup)
    netns.remove(node.namespace)
    shutil.rmtree(node.storage, ignore_errors=True)
    shutil.rmtree(node.directory)


def fail(lab: Lab, name: str) -> None:
    """A node without power: no link of it has a carrier, and nothing on it runs. Again does no harm.

    Raises:
        LabError: there is no such node.
    """
    node = inventory.find(lab, name)
    network.connect(node, connected=False)
    cgroups.freeze(node.cgroup)


def restore(lab: Lab, name: str) -> None:
    """Undo `fail`: what ran on the node goes on.

    Raises:
        LabError: there is no such node.
    """
    node = inventory.find(lab, name)
    cgroups.thaw(node.cgroup)
    network.connect(node, connected=True)
