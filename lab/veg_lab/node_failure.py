"""A node that fails, as its pods and the rest of the cluster see it: no link, no process that moves, no report.

The mark of a failed node is a file, so that the node agent knows it also after a restart: it leaves the node's pods
alone, and after the notice time it says of the node what a node lifecycle controller would.
"""

import json
import os
import signal
from pathlib import Path
from typing import Any

from veg_lab import control_plane, netns
from veg_lab.errors import LabError
from veg_lab.paths import Lab

UNREACHABLE = "node.kubernetes.io/unreachable"


def marks(lab: Lab) -> Path:
    """The directory of the marks."""
    return lab.run / "failed-nodes"


def mark(lab: Lab, node: str) -> Path:
    """The file that says that a node has failed; in it, after how many seconds the cluster notices."""
    return marks(lab) / node


def fail(lab: Lab, node: str, notice_s: float) -> None:
    """Cut the links of all pods of the node, and freeze their processes. Again does no harm.

    Raises:
        LabError: there is no such node.
    """
    namespaces = _pods(lab, node)
    marks(lab).mkdir(exist_ok=True)
    draft = mark(lab, node).with_name(f".{node}")
    draft.write_text(f"{notice_s}\n")
    draft.rename(mark(lab, node))
    for namespace in namespaces:
        _set_links(lab, namespace, up=False)
    for namespace in namespaces:
        _signal(namespace, signal.SIGSTOP)


def restore(lab: Lab, node: str) -> None:
    """Undo `fail`.

    Raises:
        LabError: there is no such node.
    """
    for namespace in _pods(lab, node):
        _signal(namespace, signal.SIGCONT)
        _set_links(lab, namespace, up=True)
    mark(lab, node).unlink(missing_ok=True)


def _pods(lab: Lab, node: str) -> list[str]:
    """The namespaces of the pods that are on the node."""
    nodes = json.loads(netns.run(control_plane.kubectl(lab, "get", "nodes", "-o", "json")))["items"]
    names = [item["metadata"]["name"] for item in nodes]
    if node not in names:
        raise LabError(f"node {node!r} does not exist; there are {', '.join(names)}")
    selector = f"--field-selector=spec.nodeName={node}"
    found = json.loads(netns.run(control_plane.kubectl(lab, "get", "pods", "-A", selector, "-o", "json")))["items"]
    keys = [(pod["metadata"]["namespace"], pod["metadata"]["name"]) for pod in found]
    spaces = (lab.namespace("pod", namespace, name) for namespace, name in keys)
    return [space for space in spaces if netns.exists(space)]


def _set_links(lab: Lab, namespace: str, *, up: bool) -> None:
    """Let the pod's veths have a carrier, or none: what is configured on them stays.

    A macvlan has no end outside, and the kernel no switch for its carrier: it stays, and what comes by it ends there.
    """
    state = "up" if up else "down"
    outer = {link["ifindex"]: link["ifname"] for link in _links(lab.namespace())}
    for link in _links(namespace):
        if link.get("linkinfo", {}).get("info_kind") == "veth" and link.get("link_index") in outer:
            netns.run([*netns.enter(lab.namespace()), "ip", "link", "set", outer[link["link_index"]], state])


def _links(namespace: str) -> list[dict[str, Any]]:
    links: list[dict[str, Any]] = json.loads(netns.run([*netns.enter(namespace), "ip", "-d", "-j", "link", "show"]))
    return links


def _signal(namespace: str, number: signal.Signals) -> None:
    for word in netns.run(["ip", "netns", "pids", namespace]).split():
        try:
            os.kill(int(word), number)
        except ProcessLookupError:
            continue  # it has just ended
