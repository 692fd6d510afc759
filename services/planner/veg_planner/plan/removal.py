"""Taking a gateway down: first out of OVN, confirmed by the chassis, then the pods, then the finalizer.

The same way serves a VpcEgressGateway that is being deleted, and one that vanished without waiting for us.
"""

from typing import Final

import msgspec

from veg_contracts.intent import GatewayStatus, Intent, NbRows, Part
from veg_contracts.objects import Deployment, EgressGateway
from veg_planner.plan.draft import Draft, Plan
from veg_planner.plan.notes import Notes
from veg_planner.plan.status import status
from veg_planner.world import World

# Without VEG_SB_REMOTE a chassis that is dead never confirms. After this many ticks (10 s each) a removal goes on.
UNCONFIRMED_TICKS_MAX: Final = 2


def removal(world: World, gateway: str, last: Intent | None, notes: Notes) -> Plan:
    """The next step of taking the gateway down."""
    stored = world.stored(EgressGateway.KIND, gateway)
    found = stored.object if stored is not None and isinstance(stored.object, EgressGateway) else None
    uid = stored.uid if stored is not None else last.gateway_uid if last is not None else ""
    if last is not None and last.gateway_uid != uid:
        last = None
    if last is not None and not last.finalizer and last.workload is None and (last.nb or NbRows()).empty:
        last = None  # nothing of it is ours: another controller's pods are not awaited
    out_of_ovn = last is None or _out_of_ovn(world, last, notes)
    pods_gone = out_of_ovn and (last is None or _pods_gone(world, last, notes))
    if pods_gone:
        notes.done("removal", "nothing is left of the gateway")
    keep = last if not out_of_ovn else None
    draft = Draft(
        gateway=gateway,
        gateway_uid=uid,
        nb=NbRows(),
        workload=keep.workload if keep is not None else None,
        finalizer=found is not None and not pods_gone,
        config=keep.config if keep is not None else None,
        status=_status(found, last, notes) if found is not None and not pods_gone else None,
    )
    return Plan(draft=draft, steps=notes.steps)


def _status(gateway: EgressGateway, last: Intent | None, notes: Notes) -> GatewayStatus | None:
    """The status while the removal goes on: what was there before, and what is awaited."""
    if last is None or last.status is None:
        return None
    new = status(gateway, last.status.replicas, gateway.name, (), notes.steps)
    return msgspec.structs.replace(last.status, ready=False, phase=new.phase, conditions=new.conditions)


def _out_of_ovn(world: World, last: Intent, notes: Notes) -> bool:
    """Whether no chassis sends traffic to this gateway any more."""
    if last.nb is None:
        return True
    state = world.part(last.gateway, Part.NB)
    if not last.nb.empty or state is None:
        notes.waits("removal", "waits for the routing policies to leave OVN")
        return False
    if state.programmed >= last.generations.nb:
        return True
    if state.state == "applied" and state.ticks >= UNCONFIRMED_TICKS_MAX:
        notes.done("removal", "the chassis did not confirm that the routing policies left; the removal goes on without")
        return True
    notes.waits("removal", "waits for every chassis to drop the flows (hv_cfg)")
    return False


def _pods_gone(world: World, last: Intent, notes: Notes) -> bool:
    if not last.generations.workload:
        return True  # there never was one: pods with its labels are another controller's
    # The workload of the intent before last is known by its labels: names may have changed since.
    left = [stored.object.key for stored in world.pods_of(last.gateway)]
    deployments = (stored.object for stored in world.objects(Deployment.KIND) if isinstance(stored.object, Deployment))
    left += [each.key for each in deployments if each.owner_uid == last.gateway_uid and not each.foreign]
    if left:
        notes.waits("removal", f"waits for {', '.join(sorted(left))} to be gone")
        return False
    # A Deployment may have been written that nobody has seen yet.
    state = world.part(last.gateway, Part.WORKLOAD)
    unanswered = state is not None and state.state in ("sent", "failed")
    if last.workload is not None or unanswered:
        notes.waits("removal", "waits for the Deployment to be deleted")
        return False
    return True
