"""A socket on each node, where the node's plugins ask."""

import asyncio
import logging
from dataclasses import dataclass

from aiohttp import web

from veg_lab.cni.protocol import FAILED, CniError, Request, error_answer, read_request
from veg_lab.cni.sandboxes import Sandboxes
from veg_lab.nodes.inventory import Node, nodes
from veg_lab.paths import Lab

LOOK_S = 0.5
# What is under way when the daemon ends is broken off. The runtime sees that it failed, and sends DEL.
SHUTDOWN_TIMEOUT_S = 1.0
log = logging.getLogger("kube-ovn-cni")


@dataclass(frozen=True)
class _Socket:
    """An open socket, and which file it is: a node that starts again has another directory."""

    runner: web.AppRunner
    inode: int


class Sockets:
    """The sockets of all nodes that there are."""

    def __init__(self, lab: Lab, sandboxes: Sandboxes) -> None:
        self._lab = lab
        self._sandboxes = sandboxes
        self._open: dict[str, _Socket] = {}

    async def run(self) -> None:
        """Follow the nodes that come and go, for ever."""
        try:
            while True:
                await self._look()
                await asyncio.sleep(LOOK_S)
        finally:
            for name in list(self._open):
                await self._close(name)

    async def _look(self) -> None:
        there = {node.name: node for node in nodes(self._lab) if node.init.exists()}
        for name, socket in list(self._open.items()):
            if name not in there or _inode(there[name]) != socket.inode:
                await self._close(name)
        for name, node in there.items():
            if name not in self._open:
                await self._listen(node)

    async def _listen(self, node: Node) -> None:
        application = web.Application()
        application.router.add_post("/", lambda http: _answer(self._sandboxes, node, http))
        # A plugin that was killed does not end what it asked for half way: its DEL waits for that.
        runner = web.AppRunner(
            application, access_log=None, handler_cancellation=False, shutdown_timeout=SHUTDOWN_TIMEOUT_S
        )
        await runner.setup()
        try:
            node.cni_socket.parent.mkdir(exist_ok=True)
            await web.UnixSite(runner, str(node.cni_socket)).start()  # replaces the file of a predecessor
            inode = node.cni_socket.stat().st_ino
        except OSError as error:  # the node goes at this moment, or its directory is not made yet
            log.warning("node %s: %s; again in %.1f s", node.name, error, LOOK_S)
            await runner.cleanup()
            return
        self._open[node.name] = _Socket(runner, inode)
        log.info("node %s: listens", node.name)

    async def _close(self, name: str) -> None:
        await self._open.pop(name).runner.cleanup()
        log.info("node %s: listens no more", name)


def _inode(node: Node) -> int | None:
    try:
        return node.cni_socket.stat().st_ino
    except FileNotFoundError:
        return None


async def _answer(sandboxes: Sandboxes, node: Node, http: web.Request) -> web.Response:
    try:
        request = read_request(http.headers, await http.read())
        return web.json_response(await _handle(sandboxes, node, request))
    except CniError as error:
        log.warning("node %s: %s", node.name, error)
        return web.json_response(error_answer(error), status=500)
    except Exception as error:  # a bug that one pod meets must be seen, in its event too
        log.exception("node %s", node.name)
        return web.json_response(error_answer(CniError(FAILED, f"{type(error).__name__}: {error}")), status=500)


async def _handle(sandboxes: Sandboxes, node: Node, request: Request) -> dict[str, object]:
    provider = request.provider
    if request.command == "ADD":
        return await (sandboxes.add(node, request) if provider is None else sandboxes.lease(request, provider))
    # An address stays its pod's until the pod is gone, and the annotation with it: nothing to do for IPAM.
    if request.command == "DEL" and provider is None:
        await sandboxes.delete(node, request)
    return {}
