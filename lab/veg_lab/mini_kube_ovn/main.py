"""The loop: whenever something has changed, bring everything to where it should be."""

import contextlib
import logging
import os
import threading
import time
from dataclasses import dataclass

from veg_lab.mini_kube_ovn.annotate import patches
from veg_lab.mini_kube_ovn.assign import Assignment, assign
from veg_lab.mini_kube_ovn.behaviours import VARIABLE, Behaviour, named
from veg_lab.mini_kube_ovn.bootstrap import base_objects
from veg_lab.mini_kube_ovn.chassis import ChassisError, SouthboundDatabase
from veg_lab.mini_kube_ovn.cluster import (
    GATEWAY_KINDS,
    KINDS,
    Api,
    ClusterError,
    RefusedError,
    Store,
    apply,
    emit_warning,
)
from veg_lab.mini_kube_ovn.desired import northbound
from veg_lab.mini_kube_ovn.ensure import NorthboundDatabase, NorthboundError
from veg_lab.mini_kube_ovn.gateways.decide import first_words
from veg_lab.mini_kube_ovn.gateways.model import KIND as GATEWAY
from veg_lab.mini_kube_ovn.gateways.reconcile import GatewayReconciler
from veg_lab.mini_kube_ovn.ipam import Ipam
from veg_lab.mini_kube_ovn.nodes import NodeError, NodeNetworks, plan_nodes
from veg_lab.mini_kube_ovn.occasion import Fingerprints, fingerprints, occasion
from veg_lab.mini_kube_ovn.snapshot import Snapshot, take
from veg_lab.paths import from_environment

LOG = logging.getLogger(__name__)

# Rows of ours that somebody else has changed are repaired within this time.
RESYNC_S = 10.0
# Changes come in bursts: a short wait joins them into one pass.
BURST_S = 0.02
RETRY_S = 1.0
# A gateway that comes has its first status within milliseconds, whatever a pass is busy with.
GREET_S = 0.003


@dataclass(frozen=True)
class Parts:
    """What a pass writes to, beside the API server."""

    northbound: NorthboundDatabase
    southbound: SouthboundDatabase
    nodes: NodeNetworks


class Controller:
    def __init__(self, api: Api, parts: Parts, behaviour: Behaviour) -> None:
        self._api = api
        self._parts = parts
        self._behaviour = behaviour
        self._ipam = Ipam()
        self._told: dict[str, str] = {}
        self._looked_at: Fingerprints | None = None
        form = behaviour.own_gateways
        self._gateways = GatewayReconciler(api, parts.northbound.api, form) if form is not None else None

    def run_pass(self, store: Store) -> None:
        """One pass from the newest known state. Raises ClusterError, NorthboundError, ChassisError or NodeError."""
        snapshot = take({kind: store.objects(kind) for kind in store.kinds})
        assignment = assign(snapshot.cluster, self._ipam)
        chassis = self._parts.southbound.of_nodes([node.name for node in snapshot.cluster.nodes])
        prints = fingerprints(snapshot)
        # The port before the annotation: a pod that is told its address must be able to use it.
        rows = northbound(snapshot, assignment, chassis, self._behaviour)
        self._parts.northbound.ensure(rows, occasion(self._looked_at, prints))
        self._looked_at = prints
        now = _now()
        for patch in patches((snapshot, assignment, self._ipam), chassis, self._behaviour, now):
            apply(self._api, patch)
        self._parts.nodes.ensure(plan_nodes(snapshot.cluster, assignment))
        if self._gateways is not None:
            self._gateways.run(snapshot, now)
        self._tell_failures(snapshot, assignment)

    def _tell_failures(self, snapshot: Snapshot, assignment: Assignment) -> None:
        """One Kubernetes Event for each pod and reason, not one for each try."""
        objects = {pod["metadata"]["uid"]: pod for pod in snapshot.objects["Pod"]}
        now = {failure.pod.uid: failure.message for failure in assignment.failures}
        for uid, message in now.items():
            if self._told.get(uid) != message:
                LOG.warning("%s: %s", objects[uid]["metadata"]["name"], message)
                # A namespace that is going takes no more Events. The pod goes with it: nobody is left to be told.
                with contextlib.suppress(RefusedError):
                    emit_warning(self._api, objects[uid], "AcquireAddressFailed", message)
        self._told = now


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    lab, behaviour = from_environment(), named(os.environ.get(VARIABLE, ""))
    api = Api()
    _make_base_objects(api)
    kinds = tuple(kind for kind in KINDS if behaviour.own_gateways or kind not in GATEWAY_KINDS)
    store = Store(api, kinds)
    store.start()
    northbound_database = NorthboundDatabase(os.environ.get("VEG_NB_REMOTE", lab.nb_remote), behaviour)
    parts = Parts(northbound_database, SouthboundDatabase(lab.sb_remote), NodeNetworks(lab))
    controller = Controller(api, parts, behaviour)
    LOG.info("running as Kube-OVN %s", behaviour.name)
    if behaviour.own_gateways:
        threading.Thread(target=_greet, args=(api, store), daemon=True).start()
    pause = 0.0
    while True:
        store.changed.wait(RESYNC_S)
        time.sleep(max(BURST_S, pause))
        store.changed.clear()
        if not store.synced():
            continue
        pause = 0.0
        try:
            controller.run_pass(store)
        except (ClusterError, NorthboundError, ChassisError, NodeError) as error:
            LOG.warning("%s; again in %s s", error, RETRY_S)
            pause = RETRY_S
            store.changed.set()


def _greet(api: Api, store: Store) -> None:
    """Write the first status of each new gateway of Kube-OVN's own, for ever."""
    greeted: set[str] = set()
    while True:
        time.sleep(GREET_S)
        if not store.synced():
            continue
        for uid, change in first_words(store.objects(GATEWAY), _now()).items():
            if uid not in greeted:
                greeted.add(uid)
                with contextlib.suppress(ClusterError):  # the next pass does it
                    apply(api, change)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _make_base_objects(api: Api) -> None:
    for create in base_objects():
        while True:
            try:
                apply(api, create)
            except ClusterError as error:
                LOG.warning("%s; again in %s s", error, RETRY_S)
                time.sleep(RETRY_S)
            else:
                break
