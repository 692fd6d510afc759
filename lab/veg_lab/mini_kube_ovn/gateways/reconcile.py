"""Takes the next step of every gateway of Kube-OVN's own."""

import logging
from typing import Any

from veg_lab.mini_kube_ovn.behaviours import OwnGateways
from veg_lab.mini_kube_ovn.cluster import Api, apply
from veg_lab.mini_kube_ovn.gateways.decide import Removal, gateways, step
from veg_lab.mini_kube_ovn.gateways.rows import GatewayRows
from veg_lab.mini_kube_ovn.gateways.write import write
from veg_lab.mini_kube_ovn.snapshot import Snapshot

LOG = logging.getLogger(__name__)


class GatewayReconciler:
    """Remembers what it wrote: rows are written when they change, and never because somebody else changed them."""

    def __init__(self, api: Api, northbound: Any, form: OwnGateways) -> None:
        self._api = api
        self._northbound = northbound
        self._form = form
        self._written: dict[str, GatewayRows | Removal] = {}

    def run(self, snapshot: Snapshot, now: str) -> None:
        """Raises ClusterError or NorthboundError."""
        found = gateways(snapshot)
        self._written = {
            uid: rows for uid, rows in self._written.items() if uid in {each.meta["uid"] for each in found}
        }
        for gateway in found:
            taken = step(gateway, snapshot, self._form, now)
            if taken.rows is not None and self._written.get(gateway.meta["uid"]) != taken.rows:
                write(self._northbound, taken.rows)
                self._written[gateway.meta["uid"]] = taken.rows
                LOG.info("gateway %s: rows written", gateway.key)
            for change in taken.changes:
                apply(self._api, change)
