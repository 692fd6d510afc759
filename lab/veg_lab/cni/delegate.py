"""The packaged plugins of a pod's attachments, called as Multus calls them: on the node, in its namespaces."""

import json
import logging
import os

from veg_lab.cni.command import CommandError, run
from veg_lab.cni.network_plan import Json
from veg_lab.cni.node import enter, root
from veg_lab.cni.protocol import FAILED, CniError, failure_of
from veg_lab.cni.record import Delegated, Sandbox
from veg_lab.nodes.inventory import Node

TIMEOUT_S = 30.0
log = logging.getLogger("kube-ovn-cni")


async def add(node: Node, sandbox: Sandbox, delegated: Delegated) -> Json:
    """Make one attachment and return what the last of its plugins says of it.

    Raises:
        CniError: a plugin failed.
    """
    result: Json = {}
    for plugin in delegated.plugins:
        config = {**plugin, "prevResult": result} if result else plugin
        result = json.loads(await _call(node, sandbox, delegated.interface, ("ADD", config)) or "{}")
    return result


async def delete(node: Node, sandbox: Sandbox) -> None:
    """Remove all attachments, the last one first. What fails is logged: the network namespace goes anyway."""
    for delegated in reversed(sandbox.delegated):
        for plugin in reversed(delegated.plugins):
            try:
                await _call(node, sandbox, delegated.interface, ("DEL", plugin))
            except CniError as error:
                log.warning("pod %s/%s: DEL: %s", sandbox.pod_namespace, sandbox.pod_name, error)


async def _call(node: Node, sandbox: Sandbox, interface: str, order: tuple[str, Json]) -> str:
    command, config = order
    variables = {
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": sandbox.container,
        "CNI_NETNS": sandbox.netns,
        "CNI_IFNAME": interface,
        "CNI_PATH": sandbox.path,
        "CNI_ARGS": sandbox.arguments,
        "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
    }
    argv = [*enter(node), _program(node, str(config["type"]), sandbox.path)]
    try:
        return await run(argv, stdin=json.dumps(config), timeout_s=TIMEOUT_S, environment=variables)
    except CommandError as error:
        said = failure_of(error.output) or str(error)
        raise CniError(FAILED, f"{interface}: plugin {config['type']}: {said}") from error


def _program(node: Node, kind: str, path: str) -> str:
    for directory in path.split(":"):
        if os.path.lexists(root(node) / directory.lstrip("/") / kind):
            return f"{directory}/{kind}"
    raise CniError(FAILED, f"there is no plugin {kind} in {path} of node {node.name}")
