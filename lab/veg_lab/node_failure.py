"""A node that fails, as its pods and the rest of the cluster see it: no link, no process that moves, no report.

The mark of a failed node is a file, so that the node agent knows it also after a restart: it leaves the node's pods
alone, and after the notice time it says of the node what a node lifecycle controller would. Nothing here asks the API
server: a failure comes at once, and also when there is no control plane.

A macvlan has no end outside, and the kernel no switch for its carrier: it stays, and since the pod's kernel lives, it
still answers ARP and ping from the external network. What comes by it ends there: the way on is cut.
"""

import json
import signal
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from veg_lab import netns, process
from veg_lab.errors import LabError
from veg_lab.node_agent.network_plan import host_interface
from veg_lab.node_agent.record import Sandbox
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
    _require(lab, node)
    # The mark first: whatever starts on the node from now on is not started by its agent.
    marks(lab).mkdir(exist_ok=True)
    draft = mark(lab, node).with_name(f".{node}")
    draft.write_text(f"{notice_s}\n")
    draft.rename(mark(lab, node))
    pods = sandboxes_on(lab, node)
    _set_links(lab, pods, "down")
    frozen: set[int] = set()
    # Again until there is none left: a process may have made another one before it was stopped.
    while moving := netns.processes(pod.netns for pod in pods) - frozen:
        for pid in moving:
            process.send(pid, signal.SIGSTOP)
        frozen |= moving


def restore(lab: Lab, node: str) -> None:
    """Undo `fail`.

    Raises:
        LabError: there is no such node.
    """
    _require(lab, node)
    pods = sandboxes_on(lab, node)
    for pid in netns.processes(pod.netns for pod in pods):
        process.send(pid, signal.SIGCONT)
    _set_links(lab, pods, "up")
    mark(lab, node).unlink(missing_ok=True)


def _require(lab: Lab, node: str) -> None:
    """Nodes have a namespace each."""
    prefix = lab.namespace("node", "")
    known = [name.removeprefix(prefix) for name in netns.names(lab.name) if name.startswith(prefix)]
    if node not in known:
        raise LabError(f"node {node!r} does not exist; there are {', '.join(known)}")


def sandboxes_on(lab: Lab, node: str) -> list[Sandbox]:
    """What the node agent has written of the node's pods: as good as what the API server knows, and at hand."""
    found = []
    for path in (lab.run / "pods").glob("*/*/sandbox.json"):
        with suppress(FileNotFoundError):  # the pod goes at this moment
            found.append(msgspec.json.decode(path.read_bytes(), type=Sandbox))
    return [sandbox for sandbox in found if sandbox.node == node]


def _set_links(lab: Lab, pods: Iterable[Sandbox], state: str) -> None:
    """Let the pods' veths have a carrier (`up`), or none: what is configured on them stays.

    One command for all: a pod that goes meanwhile takes its links along, which is no failure.
    """
    enter = netns.enter(lab.namespace())
    mine = ends_of([pod.uid for pod in pods], _links(lab))
    script = "".join(f"link set {end} {state}\n" for end in mine)
    try:
        netns.run([*enter, "ip", "-force", "-batch", "-"], stdin=script)
    except LabError:
        links = _links(lab)
        if any(links[end] != (state == "up") for end in mine if end in links):
            raise


def ends_of(uids: Iterable[str], links: Collection[str]) -> list[str]:
    """Which of the machine's links lead to these pods."""
    prefixes = tuple(host_interface(uid, "") for uid in uids)
    return sorted(link for link in links if link.startswith(prefixes))


def _links(lab: Lab) -> dict[str, bool]:
    """The machine's links, and whether each is to be up."""
    shown = json.loads(netns.run([*netns.enter(lab.namespace()), "ip", "-j", "link", "show"]))
    return {link["ifname"]: "UP" in link["flags"] for link in shown}
