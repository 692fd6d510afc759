"""One step of one gateway: from what is known to the next writes, and to its rows. No I/O.

Each write comes back as a change of the object, and then the next step is taken, as with the real controller.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from veg_lab.mini_kube_ovn.behaviours import OwnGateways
from veg_lab.mini_kube_ovn.changes import Change, Create, Patch, Replace
from veg_lab.mini_kube_ovn.gateways.deployment import deployment, is_outdated
from veg_lab.mini_kube_ovn.gateways.model import FINALIZER, KIND, Gateway, WorkloadError, surroundings
from veg_lab.mini_kube_ovn.gateways.rows import GatewayRows, gateway_rows
from veg_lab.mini_kube_ovn.gateways.status import FIRST, READY, Condition, status, unready
from veg_lab.mini_kube_ovn.gateways.workload import GatewayPod, is_deployed, selected_ports, workload
from veg_lab.mini_kube_ovn.model import InvalidObjectError, Json
from veg_lab.mini_kube_ovn.snapshot import Snapshot


@dataclass(frozen=True)
class Removal:
    """The rows of a gateway that goes; they go before its finalizer, and so before its pods."""

    owner: str
    router: str
    digest: str


@dataclass(frozen=True)
class Step:
    rows: GatewayRows | Removal | None = None
    changes: tuple[Change, ...] = ()
    """After the rows."""


def gateways(snapshot: Snapshot) -> list[Gateway]:
    ports: Mapping[str, Json] = {
        vpc["metadata"]["name"]: (vpc.get("status") or {}).get("bfdPort") or {} for vpc in snapshot.objects["Vpc"]
    }
    found = (Gateway(obj, {}) for obj in snapshot.objects[KIND])
    return [Gateway(each.obj, ports.get(each.vpc, {})) for each in found]


def first_words(gateways: Sequence[Json], now: str) -> dict[str, Change]:
    """The first status of each gateway that has none yet, by its uid: written as soon as there is an object."""
    new = [obj for obj in gateways if not obj.get("status") and not obj["metadata"].get("deletionTimestamp")]
    return {obj["metadata"]["uid"]: change for obj in new for change in _tell(Gateway(obj, {}), FIRST, None, now)}


def step(gateway: Gateway, snapshot: Snapshot, form: OwnGateways, now: str) -> Step:
    """The step to take now; nothing is to be done while its Vpc does not exist."""
    finalizers = gateway.meta.get("finalizers") or []
    if gateway.meta.get("deletionTimestamp"):
        return _removal(gateway, finalizers)
    if gateway.status.get("phase") in (None, "", "Pending"):
        return Step(changes=_tell(gateway, FIRST, None, now))
    if gateway.vpc not in snapshot.vpcs:
        return Step()
    if gateway.bfd and not gateway.bfd_port.get("ip"):
        text = f"vpc {gateway.vpc} bfd port is not enabled or not ready"
        return Step(changes=_tell(gateway, Condition("Validated", "False", "VpcBfdPortNotEnabled", text), None, now))
    if FINALIZER not in finalizers:
        return Step(changes=(_patch(gateway, {"metadata": {"finalizers": [*finalizers, FINALIZER]}}),))
    return _workload_step(gateway, snapshot, form, now)


def _removal(gateway: Gateway, finalizers: list[str]) -> Step:
    if FINALIZER not in finalizers:
        return Step()
    rest = [each for each in finalizers if each != FINALIZER]
    change = _patch(gateway, {"metadata": {"uid": gateway.meta["uid"], "finalizers": rest}})
    return Step(Removal(gateway.key, gateway.vpc, gateway.digest), (change,))


def _workload_step(gateway: Gateway, snapshot: Snapshot, form: OwnGateways, now: str) -> Step:
    try:
        around = surroundings(gateway, snapshot)
        wanted = deployment(gateway, around, form)
    except (WorkloadError, InvalidObjectError) as error:
        return Step(changes=_tell(gateway, unready("ReconcileWorkloadFailed", str(error)), None, now))
    namespace = gateway.meta["namespace"]
    present = next(
        (
            each
            for each in snapshot.objects["Deployment"]
            if (each["metadata"]["namespace"], each["metadata"]["name"]) == (namespace, gateway.workload)
        ),
        None,
    )
    found = workload(gateway, snapshot.objects["Pod"], around.attachment)
    changes: list[Change] = []
    if present is None:
        changes.append(Create("Deployment", wanted, namespace))
    elif is_outdated(present, wanted):
        changes.append(Replace("Deployment", namespace, gateway.workload, wanted))
    waits = present is None or bool(changes) or not is_deployed(present)
    condition = READY
    if waits:
        condition = unready("Processing", f"Waiting for Deployment {gateway.workload} to be ready")
    elif found.missing:
        condition = unready("WorkloadNetworkNotReady", "; ".join(found.missing))
    ports = selected_ports(gateway, snapshot.objects["Pod"], snapshot.objects["Namespace"])
    rows = gateway_rows(gateway, form, around.sources, found.pods, ports)
    return Step(rows, (*changes, *_tell(gateway, condition, found.pods, now)))


def _tell(gateway: Gateway, condition: Condition, pods: tuple[GatewayPod, ...] | None, now: str) -> tuple[Change, ...]:
    wanted = status(gateway, condition, pods, now)
    return () if wanted == gateway.status else (_patch(gateway, {"status": wanted}, subresource=True),)


def _patch(gateway: Gateway, body: Json, *, subresource: bool = False) -> Patch:
    return Patch(KIND, gateway.meta["namespace"], gateway.meta["name"], body, status=subresource)
