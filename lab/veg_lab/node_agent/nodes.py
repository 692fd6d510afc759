"""Nodes that have failed: what the rest of the cluster comes to know of them, as from a node lifecycle controller."""

import asyncio
import logging
import time
from datetime import UTC, datetime

from veg_lab.node_agent.cluster import Cluster, ClusterError, Json
from veg_lab.node_failure import UNREACHABLE, mark, marks
from veg_lab.paths import Lab

_LOOK_S = 0.5
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
        # What an earlier agent told is told again, or taken back: both change nothing the second time.
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
        directory = marks(self._lab)
        failed = {path.name: path for path in directory.glob("[!.]*")} if directory.is_dir() else {}
        for name, path in failed.items():
            if name not in self._told and time.time() - path.stat().st_mtime >= float(path.read_text() or 0):
                await self._tell(name, ready=False)
                self._told.add(name)
        for name in self._told - failed.keys():
            await self._tell(name, ready=True)
            self._told.discard(name)

    async def _tell(self, name: str, *, ready: bool) -> None:
        log.info("node %s is %s", name, "back" if ready else "unreachable")
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        condition = {
            "type": "Ready",
            "status": "True" if ready else "Unknown",
            "reason": "KubeletReady" if ready else "NodeStatusUnknown",
            "message": "the node is back" if ready else "Kubelet stopped posting node status.",
            "lastHeartbeatTime": now,
            "lastTransitionTime": now,
        }
        effects = () if ready else ("NoSchedule", "NoExecute")
        taints: list[Json] = [{"key": UNREACHABLE, "effect": effect, "timeAdded": now} for effect in effects]
        await self._cluster.tell_node(name, condition, taints)
