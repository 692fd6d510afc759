"""The daemon: one process that serves the plugins of all nodes of the lab."""

import asyncio
import logging
import os
import signal
import sys

from kubernetes.aio.config import ConfigException

from veg_lab.cni.cluster import Cluster
from veg_lab.cni.sandboxes import Sandboxes
from veg_lab.cni.server import Sockets
from veg_lab.paths import from_environment

log = logging.getLogger("kube-ovn-cni")


async def _serve() -> None:
    lab = from_environment()
    cluster = await Cluster.connect(os.environ["KUBECONFIG"])
    try:
        await Sockets(lab, Sandboxes(cluster)).run()
    finally:
        await cluster.close()


async def _serve_until_told() -> None:
    """Run until SIGTERM or SIGINT. The pods keep their networks."""
    task = asyncio.create_task(_serve())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        log.info("ends; the pods keep their networks")


def main() -> None:
    """Entry point: `python -m veg_lab.cni` in the machine's namespace."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    if sys.version_info < (3, 12):
        # Python 3.11 would start a thread for each command; later versions wait by pidfd as a matter of course.
        asyncio.get_event_loop_policy().set_child_watcher(asyncio.PidfdChildWatcher())
    try:
        asyncio.run(_serve_until_told())
    except ConfigException as error:
        sys.exit(f"kube-ovn-cni: KUBECONFIG={os.environ.get('KUBECONFIG')}: {error}")
