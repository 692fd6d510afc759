"""The node agent: follows all pods and keeps one worker for each that is bound to a node."""

import asyncio
import logging
import os
import signal
import stat
import sys
from pathlib import Path

from kubernetes.aio.config import ConfigException

from veg_lab.node_agent.cluster import Cluster, ClusterError
from veg_lab.node_agent.nodes import Nodes
from veg_lab.node_agent.pod import Machine, PodWorker
from veg_lab.node_agent.sandbox import PodKey, Sandboxes
from veg_lab.node_agent.spec import Host, Json
from veg_lab.paths import REPOSITORY, from_environment

RECONNECT_S = 1.0
AFTER_BUG_S = 30.0
log = logging.getLogger("node-agent")


class NodeAgent:
    """The workers of all pods. A pod that is gone has one until nothing of it is left."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._workers: dict[PodKey, PodWorker] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        while True:
            try:
                await self._machine.cluster.follow_pods(self._replace, self._change)
            except ClusterError as error:
                log.warning("%s; again in %.0f s", error, RECONNECT_S)
                await asyncio.sleep(RECONNECT_S)

    def _replace(self, pods: list[Json]) -> None:
        wanted = {_key(pod): pod for pod in pods if _is_ours(pod)}
        for key in {*wanted, *self._workers, *self._machine.sandboxes.keys()}:
            self._tell(key, wanted.get(key))

    def _change(self, event: str, pod: Json) -> None:
        if _is_ours(pod):
            self._tell(_key(pod), None if event == "DELETED" else pod)

    def _tell(self, key: PodKey, pod: Json | None) -> None:
        worker = self._workers.get(key)
        if worker is None:
            worker = self._workers[key] = PodWorker(self._machine, key)
            task = asyncio.create_task(self._work(worker))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        worker.pod = pod
        worker.wake()

    async def _work(self, worker: PodWorker) -> None:
        while True:
            try:
                await worker.run()
            except (
                Exception
            ):  # a bug that one pod meets must be seen in the log, and must not stop the pods of all nodes
                log.exception("pod %s/%s: again in %.0f s", *worker.key, AFTER_BUG_S)
                await asyncio.sleep(AFTER_BUG_S)
                continue
            if worker.pod is None:
                del self._workers[worker.key]
                return


def _key(pod: Json) -> PodKey:
    return (pod["metadata"]["namespace"], pod["metadata"]["name"])


def _is_ours(pod: Json) -> bool:
    """Bound to a node, with a network of its own."""
    return bool(pod["spec"].get("nodeName")) and not pod["spec"].get("hostNetwork")


def _host() -> Host:
    """Containers see the machine's root; what of our own tree lies on another file system is mounted beside it."""
    needed = {Path(sys.prefix), REPOSITORY, Path(sys.base_prefix)}
    root = Path("/").stat().st_dev
    ways = {place for path in needed for place in (path, *path.parents)}
    return Host(
        tools=f"{sys.prefix}/bin",
        shared=tuple(sorted(str(path) for path in needed if path.stat().st_dev != root)),
        opened=tuple(sorted(str(path) for path in ways if not path.stat().st_mode & stat.S_IXOTH)),
    )


async def _serve() -> None:
    lab = from_environment()
    cluster = await Cluster.connect(os.environ["KUBECONFIG"])
    try:
        nodes = Nodes(lab, cluster)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(nodes.run())
            tasks.create_task(NodeAgent(Machine(cluster, Sandboxes(lab, cluster), _host(), nodes)).run())
    finally:
        await cluster.close()


async def _serve_until_told() -> None:
    """Run until SIGTERM or SIGINT. The pods go on, as they do without a kubelet."""
    task = asyncio.create_task(_serve())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        log.info("ends; the pods go on")


def main() -> None:
    """Entry point: `python -m veg_lab.node_agent` in the lab's namespace."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    if sys.version_info < (3, 12):
        # Python 3.11 would start a thread for each command; later versions wait by pidfd as a matter of course.
        asyncio.get_event_loop_policy().set_child_watcher(asyncio.PidfdChildWatcher())
    try:
        asyncio.run(_serve_until_told())
    except ConfigException as error:
        sys.exit(f"node-agent: KUBECONFIG={os.environ.get('KUBECONFIG')}: {error}")
