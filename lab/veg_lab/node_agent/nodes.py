"""Nodes that have failed: what the rest of the cluster comes to know of them, as from a node lifecycle controller."""

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from veg_lab.node_agent.cluster import Cluster, ClusterError, Json
from veg_lab.node_failure import UNREACHABLE, mark, marks
from veg_lab.paths import Lab

_LOOK_S = 0.5
_EFFECTS = ("NoSchedule", "NoExecute")
log = logging.getLogger("node-agent")


class Nodes:
    """Which nodes have failed. `run` tells the cluster, of each after its notice time."""

    def __init__(self, lab: Lab, cluster: Cluster) -> None:
        self._lab = lab
        self._cluster = cluster
        self._told: set[str] = set()

    def failed(self, node: str) -> bool:
        return mark(self._lab, node).exists()

    async def run(self) -> None:
        # What an earlier agent told to its end: the taints come last.
        self._told = set(await self._unreachable())
        while True:
            try:
                await self._look()
            except ClusterError as error:
                log.warning("%s; again in %.1f s", error, _LOOK_S)
            await asyncio.sleep(_LOOK_S)

    async def _unreachable(self) -> list[str]:
        while True:
            try:
                return await self._cluster.unreachable_nodes(UNREACHABLE)
            except ClusterError as error:
                log.warning("%s; again in %.1f s", error, _LOOK_S)
                await asyncio.sleep(_LOOK_S)

    async def _look(self) -> None:
        failed = read_marks(self._lab)
        now = time.time()
        for name, noticed_at in failed.items():
            if name not in self._told and now >= noticed_at:
                await self._tell(name, ready=False)
                self._told.add(name)
        for name in self._told - failed.keys():
            await self._tell(name, ready=True)
            self._told.discard(name)

    async def _tell(self, name: str, *, ready: bool) -> None:
        log.info("node %s is %s", name, "back" if ready else "unreachable")
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        if not await self._cluster.set_node_condition(name, node_condition(now, ready=ready)):
            log.info("node %s is no more", name)
            return
        if not ready:  # of a node that is back, each pod's own worker tells
            await self._cluster.set_pods_unready(name, pod_condition(now))
        effects = () if ready else _EFFECTS
        await self._cluster.set_node_taints(name, lambda taints: retaint(taints, effects, now))


def read_marks(lab: Lab) -> dict[str, float]:
    """Each failed node, and when (seconds since the epoch) the cluster notices."""
    found = {}
    for path in marks(lab).glob("[!.]*"):
        try:
            found[path.name] = path.stat().st_mtime + float(path.read_text())
        except FileNotFoundError:  # restored at this moment
            continue
    return found


def node_condition(now: str, *, ready: bool) -> Json:
    return {
        "type": "Ready",
        "status": "True" if ready else "Unknown",
        "reason": "KubeletReady" if ready else "NodeStatusUnknown",
        "message": "the lab's node agent is posting ready status" if ready else "Kubelet stopped posting node status.",
        "lastHeartbeatTime": now,
        "lastTransitionTime": now,
    }


def pod_condition(now: str) -> Json:
    message = "the pod's node is unreachable"
    return {"type": "Ready", "status": "False", "reason": "NodeNotReady", "message": message, "lastTransitionTime": now}


def retaint(taints: Sequence[Json], effects: Iterable[str], now: str) -> list[Json]:
    """The node's taints, with exactly these effects of being unreachable; those of others stay as they are."""
    others = [taint for taint in taints if taint["key"] != UNREACHABLE]
    before = {taint["effect"]: taint for taint in taints if taint["key"] == UNREACHABLE}
    ours = [before.get(effect, {"key": UNREACHABLE, "effect": effect, "timeAdded": now}) for effect in effects]
    return [*others, *ours]
