"""A pod's place on the machine: its directory, its network, and the addresses the agent itself gave to it."""

import asyncio
import shutil
from contextlib import suppress
from pathlib import Path

import msgspec

from veg_lab import netns as namespaces
from veg_lab.node_agent import datapath, netns
from veg_lab.node_agent.cluster import Cluster
from veg_lab.node_agent.network_plan import (
    Json,
    NetworkKey,
    NetworkPlan,
    Waiting,
    attachments,
    lease_subnet,
    lowest_free,
    network_config,
    plan_network,
)
from veg_lab.node_agent.record import Sandbox
from veg_lab.paths import Lab

PodKey = tuple[str, str]
"""Namespace and name of a pod."""

# Each set-up is a handful of short commands; more at once than this only makes two cores change between them.
PARALLEL_SETUPS = 6


class Sandboxes:
    """All sandboxes of the lab."""

    def __init__(self, lab: Lab, cluster: Cluster) -> None:
        self._lab = lab
        self._cluster = cluster
        self._root = lab.run / "pods"
        self._slots = asyncio.Semaphore(PARALLEL_SETUPS)
        self._leases = {key: found.leases for key in self.keys() if (found := self.load(key))}

    def keys(self) -> list[PodKey]:
        """The pods that have something on disk."""
        return [(place.parent.name, place.name) for place in self._root.glob("*/*") if place.is_dir()]

    def directory(self, key: PodKey) -> Path:
        return self._root / key[0] / key[1]

    def load(self, key: PodKey) -> Sandbox | None:
        try:
            return msgspec.json.decode((self.directory(key) / "sandbox.json").read_bytes(), type=Sandbox)
        except FileNotFoundError:
            return None

    def _write(self, key: PodKey, sandbox: Sandbox) -> None:
        directory = self.directory(key)
        directory.mkdir(parents=True, exist_ok=True)
        draft = directory / "sandbox.json.new"
        draft.write_bytes(msgspec.json.encode(sandbox))
        draft.rename(directory / "sandbox.json")
        self._leases[key] = sandbox.leases

    async def ensure(self, key: PodKey, pod: Json) -> Sandbox | Waiting:
        """The pod's network, made now if it is not there. Raises NetworkConfigError and CommandError."""
        existing = self.load(key)
        if existing is not None and existing.ready:
            return existing
        definitions = {network: await self._cluster.network_definition(*network) for network in attachments(pod)}
        configs = {network: network_config(found) if found else None for network, found in definitions.items()}
        # No await from here to the write: nobody else can take the same lease.
        leases = self._lease(configs)
        plan = plan_network(pod, configs, leases)
        if isinstance(plan, Waiting):
            return plan
        uid, node = pod["metadata"]["uid"], pod["spec"]["nodeName"]
        named = {f"{namespace}/{name}": address for (namespace, name), address in leases.items()}
        sandbox = Sandbox(uid, node, self._lab.namespace("pod", *key), plan.addresses, plan.status, named)
        self._write(key, sandbox)
        await self._make(key, sandbox, plan, clean=existing is not None)
        done = msgspec.structs.replace(sandbox, ready=True)
        self._write(key, done)
        return done

    async def _make(self, key: PodKey, sandbox: Sandbox, plan: NetworkPlan, *, clean: bool) -> None:
        async with self._slots:
            if clean or namespaces.exists(sandbox.netns):  # what an interrupted set-up left
                await netns.remove(self._lab, sandbox.netns, sandbox.uid)
            await netns.create(self._lab, sandbox.netns, (*key, sandbox.uid), plan)
        await netns.wait_for_flows(self._lab, sandbox.uid)
        datapath.deepen_receive_queues(self._lab)

    def _lease(self, configs: dict[NetworkKey, Json | None]) -> dict[NetworkKey, str]:
        taken = {address for leases in self._leases.values() for address in leases.values()}
        leases: dict[NetworkKey, str] = {}
        for network, config in configs.items():
            subnet = lease_subnet(config) if config else None
            if subnet is not None:
                leases[network] = lowest_free(subnet, taken | set(leases.values()))
        return leases

    async def remove(self, key: PodKey) -> None:
        """Remove network and directory. The pod's containers have ended."""
        sandbox = self.load(key)
        if sandbox is not None:
            async with self._slots:
                await netns.remove(self._lab, sandbox.netns, sandbox.uid)
        shutil.rmtree(self.directory(key), ignore_errors=True)
        if self.directory(key).exists():
            shutil.rmtree(self.directory(key))
        with suppress(OSError):  # other pods of the namespace are still there
            self.directory(key).parent.rmdir()
        self._leases.pop(key, None)
