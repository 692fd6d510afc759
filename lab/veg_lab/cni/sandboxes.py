"""The network of one sandbox: made as a whole or not at all, and removed without a rest."""

import asyncio
import logging
import time
from pathlib import Path
from weakref import WeakValueDictionary

import msgspec

from veg_lab.cni import datapath, delegate, names, ports
from veg_lab.cni.cluster import Cluster, ClusterError
from veg_lab.cni.command import CommandError
from veg_lab.cni.network_plan import (
    Allocation,
    Attachment,
    Json,
    NetworkConfigError,
    NetworkKey,
    NetworkPlan,
    Waiting,
    allocation,
    attached_networks,
    host_interface,
    plan_network,
)
from veg_lab.cni.node import is_up, namespace_inode, netns_of
from veg_lab.cni.protocol import (
    BAD_CONFIG,
    FAILED,
    STATUS_ANNOTATION,
    TRY_AGAIN_LATER,
    CniError,
    PodIdentity,
    Request,
    ipam_result,
    network_result,
    network_status,
    port_result,
)
from veg_lab.cni.record import Delegated, Sandbox
from veg_lab.nodes.inventory import Node

# Each set-up is a handful of short commands; more at once than this only makes two cores change between them.
PARALLEL_SETUPS = 6
# How long Kube-OVN has for its annotations. After that kubelet begins again, and tells why in an event.
ALLOCATION_TIMEOUT_S = 15.0
_POLL_S = 0.1
# What can go wrong with one pod and may be right the next time.
_EXPECTED = (CniError, NetworkConfigError, ClusterError, CommandError, OSError)
log = logging.getLogger("kube-ovn-cni")


class Sandboxes:
    """Makes and removes the networks of all sandboxes of the lab."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._slots = asyncio.Semaphore(PARALLEL_SETUPS)
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    def _alone(self, pod: PodIdentity) -> asyncio.Lock:
        """One thing after the other with each pod: a runtime that gave up on ADD sends DEL while ADD still runs."""
        return self._locks.setdefault((pod.namespace, pod.name), asyncio.Lock())

    async def add(self, node: Node, request: Request) -> Json:
        """Make the network of the request's pod in the request's namespace, and return the answer to it.

        Raises:
            CniError: that failed; the message names the pod and the cause, and nothing is left of it.
        """
        began = time.monotonic()
        try:
            async with self._alone(request.pod):
                pod, plan = await self._planned(request.pod)
                await self._make(node, request, pod, plan)
        except _EXPECTED as error:
            raise _named(request.pod, error) from error
        log.info("node %s: ADD pod %s in %.2f s", node.name, request.pod, time.monotonic() - began)
        return network_result(request, plan, host_interface(request.container, "eth0"))

    async def lease(self, request: Request, provider: str) -> Json:
        """Answer a plugin that asks for the addresses of its interface.

        Raises:
            CniError: Kube-OVN has given none.
        """
        try:
            found: Allocation | Waiting = allocation(await self._pod(request.pod), provider)
        except _EXPECTED as error:
            raise _named(request.pod, error) from error
        if isinstance(found, Waiting):
            raise _named(request.pod, CniError(TRY_AGAIN_LATER, found.reason))
        return ipam_result(request.version, found)

    async def delete(self, node: Node, request: Request) -> None:
        """Remove what there is of the sandbox; what is gone already is no failure.

        Raises:
            CniError: something is left.
        """
        async with self._alone(request.pod):
            record = _record(node, request.container)
            try:
                sandbox = msgspec.json.decode(record.read_bytes(), type=Sandbox) if record.exists() else None
                await _remove(node, request.container, sandbox)
            except (CommandError, OSError) as error:
                raise CniError(FAILED, f"sandbox {request.container}: {error}") from error
        if sandbox is not None:
            log.info("node %s: DEL pod %s/%s", node.name, sandbox.pod_namespace, sandbox.pod_name)

    async def _pod(self, identity: PodIdentity) -> Json:
        pod = await self._cluster.pod(identity.namespace, identity.name)
        if pod is None:
            raise CniError(FAILED, "it does not exist any more")
        uid = pod["metadata"]["uid"]
        if identity.uid and uid != identity.uid:
            raise CniError(FAILED, f"its uid is {uid} by now, the sandbox is for {identity.uid}")
        return pod

    async def _planned(self, identity: PodIdentity) -> tuple[Json, NetworkPlan]:
        """The pod and what is to be made, once Kube-OVN has given all of its addresses."""
        deadline = time.monotonic() + ALLOCATION_TIMEOUT_S
        definitions: dict[NetworkKey, Json] = {}
        while True:
            pod = await self._pod(identity)
            for key, _ in attached_networks(pod):
                definitions[key] = definitions.get(key) or await self._definition(key)
            plan = plan_network(pod, definitions)
            if isinstance(plan, NetworkPlan):
                return pod, plan
            if time.monotonic() > deadline or pod["metadata"].get("deletionTimestamp"):
                raise CniError(TRY_AGAIN_LATER, plan.reason)
            await asyncio.sleep(_POLL_S)

    async def _definition(self, key: NetworkKey) -> Json:
        """As with Multus there is no waiting for one: kubelet tries again, and the event says why."""
        found = await self._cluster.network_definition(*key)
        if found is None:
            reason = f"waits for NetworkAttachmentDefinition {'/'.join(key)}, which does not exist"
            raise CniError(TRY_AGAIN_LATER, reason)
        return found

    async def _make(self, node: Node, request: Request, pod: Json, plan: NetworkPlan) -> None:
        sandbox = _sandbox(node, request, plan)
        try:
            async with self._slots:
                results = await _create(node, sandbox, plan)
            await self._cluster.annotate(pod, {STATUS_ANNOTATION: network_status(plan, results)})
            for interface in sandbox.ports:
                await ports.wait_for_flows(node, sandbox.container, interface)
            datapath.deepen_receive_queues(node.lab, node.name)
        except _EXPECTED:
            await _try_to_remove(node, sandbox)
            raise


def _named(pod: PodIdentity, error: Exception) -> CniError:
    """The error with the pod's name before its message."""
    match error:
        case CniError():
            code = error.code
        case NetworkConfigError():
            code = BAD_CONFIG
        case ClusterError():
            code = TRY_AGAIN_LATER
        case _:
            code = FAILED
    return CniError(code, f"pod {pod}: {error}")


def _record(node: Node, container: str) -> Path:
    return node.cni_records / f"{container}.json"


def _sandbox(node: Node, request: Request, plan: NetworkPlan) -> Sandbox:
    inode = namespace_inode(netns_of(node, request.netns))
    if inode is None:
        raise CniError(FAILED, f"there is no network namespace {request.netns} on node {node.name}")
    return Sandbox(
        container=request.container,
        pod_namespace=request.pod.namespace,
        pod_name=request.pod.name,
        pod_uid=request.pod.uid,
        netns=request.netns,
        namespace_inode=inode,
        arguments=request.arguments,
        path=request.path,
        delegated=[_delegated(item) for item in plan.attachments if item.port is None],
        ports=[port.interface for port in plan.ports],
    )


def _delegated(attachment: Attachment) -> Delegated:
    return Delegated(attachment.interface, list(attachment.plugins))


def _write(node: Node, sandbox: Sandbox) -> None:
    record = _record(node, sandbox.container)
    record.parent.mkdir(exist_ok=True)
    draft = record.with_suffix(".new")
    draft.write_bytes(msgspec.json.encode(sandbox))
    draft.rename(record)


def _name(node: Node, sandbox: Sandbox) -> str:
    return node.lab.namespace("pod", sandbox.pod_namespace, sandbox.pod_name)


async def _create(node: Node, sandbox: Sandbox, plan: NetworkPlan) -> list[Json]:
    """Make everything, and return what the plugins of the attachments say of theirs."""
    _write(node, sandbox)
    name = _name(node, sandbox)
    await names.publish(name, netns_of(node, sandbox.netns))
    await ports.create(node, sandbox, name, plan.ports[0])
    results = []
    for attachment in plan.attachments:
        if attachment.port is not None:
            await ports.create(node, sandbox, name, attachment.port)
            results.append(port_result(attachment.port))
        else:
            results.append(await delegate.add(node, sandbox, _delegated(attachment)))
    await ports.set_routes(name, plan)
    return results


async def _try_to_remove(node: Node, sandbox: Sandbox) -> None:
    """Remove what was made before something failed: what fails now is left to the runtime's DEL."""
    try:
        await _remove(node, sandbox.container, sandbox)
    except _EXPECTED as error:
        log.warning("pod %s/%s: %s", sandbox.pod_namespace, sandbox.pod_name, error)


async def _remove(node: Node, container: str, sandbox: Sandbox | None) -> None:
    """Remove it, whatever of it exists. Without a node there is nothing but its name."""
    if is_up(node):
        if sandbox is not None:
            there = namespace_inode(netns_of(node, sandbox.netns)) == sandbox.namespace_inode
            # Without a namespace the plugins still give back what they keep elsewhere: leases, for one.
            await delegate.delete(node, sandbox if there else msgspec.structs.replace(sandbox, netns=""))
        for interface in sandbox.ports if sandbox is not None else ("eth0",):
            await ports.remove(node, container, interface)
    if sandbox is not None:
        await names.withdraw(_name(node, sandbox), sandbox.namespace_inode)
        _record(node, container).unlink(missing_ok=True)
