"""One pod, brought to what the API server says, from whatever state it is in.

A worker reads the pod as it is wanted now, looks at what exists, does what is missing and waits for the next change.
It keeps no plan: an agent that starts again does the same from what is on disk.
"""

import asyncio
import logging
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from veg_lab.errors import LabError
from veg_lab.node_agent.cluster import Cluster, ClusterError
from veg_lab.node_agent.command import CommandError
from veg_lab.node_agent.containers import Container, ContainerError
from veg_lab.node_agent.network_plan import STATUS_ANNOTATION, NetworkConfigError, Waiting
from veg_lab.node_agent.nodes import Nodes
from veg_lab.node_agent.prober import Prober, Target, run_hook
from veg_lab.node_agent.probes import Health, backoff_s, initial_health
from veg_lab.node_agent.record import Sandbox
from veg_lab.node_agent.sandbox import PodKey, Sandboxes
from veg_lab.node_agent.spec import Host, Json, SpecError, all_containers, plan_container, references
from veg_lab.node_agent.status import differs, pod_status, restarts_after
from veg_lab.node_agent.view import container_id, shown_health, view_of
from veg_lab.node_agent.volumes import decode, ensure_volumes

# What can go wrong with one pod and may be right the next time.
EXPECTED = (ClusterError, CommandError, ContainerError, NetworkConfigError, SpecError, LabError, OSError)
RETRY_S = 2.0
# A container that ran this long has not failed to start: its next start does not wait.
STEADY_S = 60.0
log = logging.getLogger("node-agent")


@dataclass(frozen=True)
class Machine:
    """What all pods share."""

    cluster: Cluster
    sandboxes: Sandboxes
    host: Host
    nodes: Nodes


class PodWorker:
    """Set `pod` to what is wanted (None: nothing), then `wake`. `run` ends when nothing is wanted and nothing left."""

    def __init__(self, machine: Machine, key: PodKey) -> None:
        self.key = key
        self.pod: Json | None = None
        self._machine = machine
        self._woken = asyncio.Event()
        self._containers: dict[str, Container] = {}
        self._probers: dict[str, Prober] = {}
        self._endings: dict[str, asyncio.Task[None]] = {}
        self._problems: dict[str, str] = {}
        for record in (machine.sandboxes.directory(key) / "containers").glob("*.json"):
            self._container(record.stem)

    def wake(self) -> None:
        self._woken.set()

    async def run(self) -> None:
        failures = 0
        while True:
            self._woken.clear()
            try:
                delay = await self._step()
                failures = 0
            except EXPECTED as error:
                failures += 1
                delay = min(0.5 * 2 ** min(failures, 5), 10.0)
                log.warning("pod %s/%s: %s; again in %.0f s", *self.key, error, delay)
                if not isinstance(error, ClusterError):
                    await self._tell_problem(str(error))
            if self.pod is None and delay is None:
                return
            try:
                await asyncio.wait_for(self._woken.wait(), delay)
            except TimeoutError:
                continue

    async def _step(self) -> float | None:
        """Do what is to be done now; the answer is when to look again (None: when something changes)."""
        pod = self.pod
        if pod is None:
            await self._remove()
            return None
        if self._on_failed_node():
            return RETRY_S
        sandbox = self._machine.sandboxes.load(self.key)
        if sandbox is not None and sandbox.uid != pod["metadata"]["uid"]:
            await self._remove()
        if pod["metadata"].get("deletionTimestamp"):
            return await self._terminate(pod)
        if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            return None
        ready = await self._machine.sandboxes.ensure(self.key, pod)
        if isinstance(ready, Waiting):
            await self._show(pod, (), ready.reason)
            return RETRY_S
        if pod["metadata"].get("annotations", {}).get(STATUS_ANNOTATION) != ready.network_status:
            await self._machine.cluster.annotate(pod, {STATUS_ANNOTATION: ready.network_status})
        delay = await self._run_containers(pod, ready)
        await self._show(pod, ready.addresses, "")
        return delay

    def _on_failed_node(self) -> bool:
        """Nobody there does anything, or says anything, until the node is restored."""
        return self.pod is not None and self._machine.nodes.failed(self.pod["spec"]["nodeName"])

    def _container(self, name: str) -> Container:
        if name not in self._containers:
            self._containers[name] = Container(self._machine.sandboxes.directory(self.key), name, self.wake)
        return self._containers[name]

    async def _run_containers(self, pod: Json, sandbox: Sandbox) -> float | None:
        for spec in pod["spec"].get("initContainers", []):
            container = self._container(spec["name"])
            container.refresh()
            if container.record is None or container.record.exit_code != 0:
                delay = await self._keep(pod, sandbox, spec, init=True)
                # It may have ended within the start already.
                return 0.0 if delay is None and not container.running else delay
        delays = [await self._keep(pod, sandbox, spec, init=False) for spec in pod["spec"]["containers"]]
        return min((delay for delay in delays if delay is not None), default=None)

    async def _keep(self, pod: Json, sandbox: Sandbox, spec: Json, *, init: bool) -> float | None:
        """Have this container run, if it is its turn to."""
        container = self._container(spec["name"])
        container.refresh()
        record = container.record
        if record is not None and record.exit_code is not None:
            self._stop_probing(spec["name"])
            if not restarts_after(record.exit_code, pod["spec"].get("restartPolicy", "Always"), init=init):
                return None
            steady = record.finished_at - record.started_at > STEADY_S
            wait_s = record.finished_at + backoff_s(0 if steady else record.attempt) - time.time()
            if wait_s > 0:
                return wait_s
        if not container.running:
            if self._on_failed_node():  # it failed within this step
                return RETRY_S
            try:
                await self._start(pod, sandbox, spec)
            except SpecError as error:
                self._problems[spec["name"]] = str(error)
                return RETRY_S
            self._problems.pop(spec["name"], None)
        if container.running and not init:
            self._supervise(pod, sandbox, spec, container)
        return None

    async def _start(self, pod: Json, sandbox: Sandbox, spec: Json) -> None:
        namespace, name = self.key
        found = {key: await self._machine.cluster.data_of(namespace, key) for key in references(pod)}
        objects = {key: decode(value, key[0]) for key, value in found.items() if value is not None}
        ensure_volumes(pod, self._machine.sandboxes.directory(self.key), objects)
        plan = plan_container(pod, spec, sandbox.addresses, objects, self._machine.host)
        await self._container(spec["name"]).start(plan, sandbox, name)
        log.info("pod %s/%s: container %s started", namespace, name, spec["name"])

    def _supervise(self, pod: Json, sandbox: Sandbox, spec: Json, container: Container) -> None:
        """See that its probes are asked, and end it if they say so."""
        name, record = spec["name"], container.record
        if record is None:
            return
        if name not in self._probers:
            # An agent that starts again believes what the status says: a running pod must not flap for it.
            health = shown_health(pod, spec, container_id(pod, record)) or initial_health(spec)
            address = sandbox.addresses[0]
            target = Target(spec, record.plan, record.pid, sandbox.netns, address, record.started_at)
            self._probers[name] = Prober(target, health, self.wake, self._on_failed_node)
        unhealthy = self._probers[name].health.unhealthy
        if unhealthy and name not in self._endings:
            log.warning("pod %s/%s: container %s: %s; it is restarted", *self.key, name, unhealthy)
            self._end_later(spec, float(pod["spec"].get("terminationGracePeriodSeconds", 30)))

    def _stop_probing(self, name: str) -> None:
        if prober := self._probers.pop(name, None):
            prober.stop()

    def _end_later(self, spec: Json, grace_s: float) -> None:
        name = spec["name"]
        task = asyncio.create_task(self._end(self._container(name), spec, grace_s))
        self._endings[name] = task
        task.add_done_callback(lambda _: self._endings.pop(name, None))
        task.add_done_callback(lambda _: self.wake())

    async def _end(self, container: Container, spec: Json, grace_s: float) -> None:
        """PreStop hook, SIGTERM, and after the grace period SIGKILL."""
        deadline = time.monotonic() + grace_s
        hook, record = spec.get("lifecycle", {}).get("preStop"), container.record
        if hook and record is not None and grace_s > 0:
            await run_hook(hook, record.plan, record.pid, grace_s)
        container.signal(signal.SIGTERM)
        while container.running and time.monotonic() < deadline:  # noqa: ASYNC110 - ended by either of two things
            await asyncio.sleep(0.05)
        container.signal(signal.SIGKILL)

    async def _terminate(self, pod: Json) -> float | None:
        """The pod is to go: end its containers within its time, then all of it, then its object."""
        left_s = (datetime.fromisoformat(pod["metadata"]["deletionTimestamp"]) - datetime.now(UTC)).total_seconds()
        running = [spec for spec in all_containers(pod) if self._container(spec["name"]).running]
        for spec in running:
            if left_s <= 0:
                self._container(spec["name"]).signal(signal.SIGKILL)
            elif spec["name"] not in self._endings:
                self._end_later(spec, left_s)
        if running:
            return max(left_s, 0.1)
        await self._remove()
        await self._machine.cluster.delete_now(pod)
        return RETRY_S  # unless the watch says first that it is gone

    async def _remove(self) -> None:
        """End and remove all that is left of it, at once."""
        for name in list(self._probers):
            self._stop_probing(name)
        for task in self._endings.values():
            task.cancel()
        for container in self._containers.values():
            while container.running:
                container.signal(signal.SIGKILL)
                await asyncio.sleep(0.01)
                container.refresh()
        self._containers.clear()
        self._problems.clear()
        await self._machine.sandboxes.remove(self.key)

    async def _show(self, pod: Json, addresses: Sequence[str], message: str) -> None:
        """Write the status, if it is another one than the API server has."""
        health: dict[str, Health] = {name: prober.health for name, prober in self._probers.items()}
        host_ip = await self._machine.cluster.host_ip(pod["spec"]["nodeName"])
        view = view_of(pod, {name: item.record for name, item in self._containers.items()}, health, self._problems)
        wanted = pod_status(pod, view(addresses, host_ip, message), _now())
        if differs(wanted, pod.get("status", {})):
            await self._machine.cluster.patch_status(pod, wanted)

    async def _tell_problem(self, message: str) -> None:
        if self.pod is None or self.pod["metadata"].get("deletionTimestamp"):
            return
        try:
            sandbox = self._machine.sandboxes.load(self.key)
            await self._show(self.pod, sandbox.addresses if sandbox and sandbox.ready else (), message)
        except ClusterError as error:
            log.warning("pod %s/%s: cannot tell: %s", *self.key, error)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
