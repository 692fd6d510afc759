"""The loop: whenever something has changed, bring everything to where it should be."""

import contextlib
import logging
import os
import time

from veg_lab.mini_kube_ovn.annotate import patches
from veg_lab.mini_kube_ovn.assign import Assignment, assign
from veg_lab.mini_kube_ovn.bootstrap import base_objects
from veg_lab.mini_kube_ovn.cluster import KINDS, Api, ClusterError, RefusedError, Store, apply, emit_warning
from veg_lab.mini_kube_ovn.desired import northbound
from veg_lab.mini_kube_ovn.ensure import NorthboundDatabase, NorthboundError
from veg_lab.mini_kube_ovn.ipam import Ipam
from veg_lab.mini_kube_ovn.nodes import NodeError, NodeNetworks, plan_nodes
from veg_lab.mini_kube_ovn.snapshot import Snapshot, take
from veg_lab.paths import from_environment

LOG = logging.getLogger(__name__)

# Rows of ours that somebody else has changed are repaired within this time.
RESYNC_S = 10.0
# Changes come in bursts: a short wait joins them into one pass.
BURST_S = 0.02
RETRY_S = 1.0


class Controller:
    def __init__(self, api: Api, database: NorthboundDatabase, nodes: NodeNetworks) -> None:
        self._api = api
        self._database = database
        self._nodes = nodes
        self._ipam = Ipam()
        self._told: dict[str, str] = {}

    def run_pass(self, store: Store) -> None:
        """One pass from the newest known state. Raises ClusterError, NorthboundError or NodeError."""
        snapshot = take({kind: store.objects(kind) for kind in KINDS})
        assignment = assign(snapshot.cluster, self._ipam)
        # The port before the annotation: a pod that is told its address must be able to use it.
        self._database.ensure(northbound(snapshot.cluster, snapshot.vpcs, assignment))
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        for patch in patches(snapshot, assignment, self._ipam, self._nodes.chassis(), now):
            apply(self._api, patch)
        self._nodes.ensure(plan_nodes(snapshot.cluster, assignment))
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
    lab = from_environment()
    api = Api()
    _make_base_objects(api)
    store = Store(api)
    store.start()
    database = NorthboundDatabase(os.environ.get("VEG_NB_REMOTE", lab.nb_remote))
    controller = Controller(api, database, NodeNetworks(lab.name, lab.ovs_remote))
    LOG.info("running")
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
        except (ClusterError, NorthboundError, NodeError) as error:
            LOG.warning("%s; again in %s s", error, RETRY_S)
            pause = RETRY_S
            store.changed.set()


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
