"""Objects of Kubernetes: newest projection wins, whatever order and however often the events come in."""

from typing import assert_never

import msgspec

from veg_contracts import addresses, names
from veg_contracts.events import KindListed, ObjectChanged, ObjectDeleted
from veg_contracts.intent import Part
from veg_contracts.objects import (
    AnyProjection,
    Deployment,
    DisruptionBudget,
    EgressGateway,
    IPPool,
    Namespace,
    NetworkAttachment,
    Node,
    Pod,
    Subnet,
    Vpc,
)
from veg_planner.fold.membership import reassign, reassign_namespace
from veg_planner.spec import Spec, vpc_of
from veg_planner.state import Listing, PartState, Stored, Tombstone
from veg_planner.world import AGENT, LISTING, OBJECT, PART, World


def touched_by(world: World, projection: AnyProjection) -> list[str]:
    """The gateways whose plan reads this object."""
    match projection:
        case EgressGateway():
            # It may take a source from a younger one, or leave it one, and use the BFD port of its Vpc.
            spec = world.spec(projection.key)
            vpcs = [vpc_of(spec, world.settings)] if isinstance(spec, Spec) else []
            return [*world.gateways(), projection.key, *vpcs]
        case Pod() | Deployment() | DisruptionBudget():
            return _touched_by_labels(world, projection)
        case Vpc():
            return [projection.name, *world.gateways()]
        case Subnet() | IPPool() | NetworkAttachment():
            # Rare, and a gateway may wait for one that does not exist yet: all look again. The relay of a Vpc's BFD
            # port must not be in a Subnet.
            return world.subjects()
        case Node():
            return world.vpcs()  # one of them may have a BFD port there
        case Namespace():
            return []
        case _:
            assert_never(projection)


def _touched_by_labels(world: World, labelled: Pod | Deployment | DisruptionBudget) -> list[str]:
    found = world.gateway_of_labels(labelled.namespace, labelled.labels)
    if isinstance(labelled, Deployment) and labelled.foreign and _is_gateway(world, labelled.owner_uid):
        return world.gateways()  # whether that one is refused decides about sources of all
    return found


def changed(world: World, event: ObjectChanged) -> list[str]:
    new = event.object
    old = world.stored(new.KIND, new.key)
    tombstone = world.tombstone(event.uid)
    if tombstone is not None or (old is not None and old.resource_version >= event.resource_version):
        return []
    if old is None and _was_gone(world, event):
        return []
    stored = Stored(uid=event.uid, resource_version=event.resource_version, object=new)
    if old is not None and old.uid != event.uid:
        return sorted({*_forget(world, old, event.resource_version), *_store(world, stored)})
    if old is not None and old.object == new:
        world.put(OBJECT, f"{new.KIND}/{new.key}", stored)
        return []
    before = touched_by(world, old.object) if old is not None else []
    return sorted({*before, *_store(world, stored)})


def deleted(world: World, event: ObjectDeleted) -> list[str]:
    stored = world.stored_by_uid(event.uid)
    if stored is None:
        world.bury(event.uid, Tombstone(kind=event.kind, resource_version=event.resource_version))
        return []
    return _forget(world, stored, event.resource_version)


def listed(world: World, event: KindListed) -> list[str]:
    listing = world.listing(event.kind)
    if event.resource_version <= listing.complete or event.resource_version < listing.resource_version:
        return []
    parts = dict(listing.parts) if event.resource_version == listing.resource_version else {}
    parts[event.part] = event.uids
    if set(parts) != set(range(event.parts)):
        new = msgspec.structs.replace(listing, resource_version=event.resource_version, parts=parts)
        world.put(LISTING, event.kind, new)
        return []
    existing = {uid for uids in parts.values() for uid in uids}
    world.put(LISTING, event.kind, Listing(complete=event.resource_version, existing=tuple(sorted(existing))))
    touched: set[str] = set()
    for stored in world.objects(event.kind):
        if stored.uid not in existing and stored.resource_version <= event.resource_version:
            touched.update(_forget(world, stored, event.resource_version))
    if event.kind == Pod.KIND:
        _forget_agents(world)
    if event.kind == EgressGateway.KIND and not listing.complete:
        # Only now it is known which rows in OVN belong to nobody.
        touched.update(world.orphans())
    return sorted(touched)


def _was_gone(world: World, event: ObjectChanged) -> bool:
    """Whether a listing that is not older has shown that the object is gone; its deletion was missed."""
    listing = world.listing(event.object.KIND)
    late = listing.existing is not None and event.resource_version <= listing.complete
    return late and event.uid not in (listing.existing or ())


def _store(world: World, stored: Stored) -> list[str]:
    projection = stored.object
    world.put(OBJECT, f"{projection.KIND}/{projection.key}", stored)
    touched = touched_by(world, projection) + _moved(world, projection)
    if isinstance(projection, Deployment):
        for gateway in world.gateway_of_labels(projection.namespace, projection.labels):
            _note_edited(world, gateway, projection)
    if isinstance(projection, DisruptionBudget):
        for gateway, state in _budgets_of(world, stored.uid, projection):
            if projection.generation > state.budget_generation:
                _drifted(world, gateway, Part.WORKLOAD, f"PodDisruptionBudget {projection.key} was edited")
    if isinstance(projection, EgressGateway):
        _note_finalizer(world, stored.uid, projection)
    if isinstance(projection, Vpc):
        _note_bfd_port(world, projection)
    return touched


def _forget(world: World, stored: Stored, resource_version: int) -> list[str]:
    projection = stored.object
    touched = touched_by(world, projection)
    world.remove(OBJECT, f"{projection.KIND}/{projection.key}")
    touched += _moved(world, projection)
    world.bury(stored.uid, Tombstone(kind=projection.KIND, resource_version=resource_version))
    if isinstance(projection, Pod):
        world.remove(AGENT, stored.uid)
    if isinstance(projection, Deployment):
        for gateway in world.gateway_of_labels(projection.namespace, projection.labels):
            if not _of_another(world, gateway, projection):
                _drifted(world, gateway, Part.WORKLOAD, f"Deployment {projection.key} was deleted")
    if isinstance(projection, DisruptionBudget):
        for gateway, _ in _budgets_of(world, stored.uid, projection):
            _drifted(world, gateway, Part.WORKLOAD, f"PodDisruptionBudget {projection.key} was deleted")
    return touched


def _budgets_of(world: World, uid: str, budget: DisruptionBudget) -> list[tuple[str, PartState]]:
    """The gateways whose last command wrote exactly this budget, and what became of that command."""
    gateways = world.gateway_of_labels(budget.namespace, budget.labels)
    states = ((gateway, world.part(gateway, Part.WORKLOAD)) for gateway in gateways if not world.is_marked(gateway))
    return [(gateway, state) for gateway, state in states if state is not None and state.budget_uid == uid]


def _moved(world: World, projection: AnyProjection) -> list[str]:
    """The gateways that win or lose the last of their selected pods by this change."""
    if isinstance(projection, Pod):
        return sorted(reassign(world, projection))
    if isinstance(projection, Namespace):
        return sorted(reassign_namespace(world, projection.name))
    return []


def _note_edited(world: World, gateway: str, deployment: Deployment) -> None:
    """A generation that no command of ours brought about: somebody edited the Deployment.

    Another controller would do so each time that it is repaired: it is told of, and has the last word.
    """
    state = world.part(gateway, Part.WORKLOAD)
    applied = state.object_generation if state is not None else 0
    theirs = _of_another(world, gateway, deployment) or world.is_marked(gateway)
    if applied and deployment.generation > applied and not theirs:
        _drifted(world, gateway, Part.WORKLOAD, f"Deployment {deployment.key} was edited")


def _of_another(world: World, gateway: str, deployment: Deployment) -> bool:
    """Whether the Deployment names a gateway as its owner that is not this one, but has its name in another group."""
    stored = world.stored(EgressGateway.KIND, gateway)
    return bool(deployment.owner_uid) and stored is not None and stored.uid != deployment.owner_uid


def _is_gateway(world: World, uid: str) -> bool:
    stored = world.stored_by_uid(uid)
    return stored is not None and isinstance(stored.object, EgressGateway)


def _note_finalizer(world: World, uid: str, gateway: EgressGateway) -> None:
    """A finalizer that should not be there, or should: one that we forgot, or that somebody took away."""
    intent = world.intent(gateway.key)
    present = names.FINALIZER in gateway.finalizers
    if (intent is None or not intent.finalizer) and gateway.deleting and present:
        unknown = PartState(gateway_uid=uid, command_id="", generation=0, state="drifted")
        world.put(PART, f"{gateway.key}/{Part.FINALIZER.value}", unknown)
    elif intent is not None and intent.finalizer and not present:
        _drifted(world, gateway.key, Part.FINALIZER, f"the finalizer {names.FINALIZER} was taken away")
    elif intent is not None and not intent.finalizer and present:
        _drifted(world, gateway.key, Part.FINALIZER, f"the finalizer {names.FINALIZER} was put on again")


def _note_bfd_port(world: World, vpc: Vpc) -> None:
    """A `status.bfdPort` that is not the one written. In another order, it is: two writers must not fight over that."""
    intent = world.intent(vpc.name)
    wanted = intent.vpc_status if intent is not None else None
    if wanted is None or not wanted.name or (vpc.bfd_port is not None and vpc.bfd_port.annotated):
        return  # where the annotation is needed, the API server drops the field
    name, ip = (vpc.bfd_port.status_name, vpc.bfd_port.status_ip) if vpc.bfd_port is not None else ("", "")
    if name != wanted.name or sorted(addresses.split(ip)) != sorted(addresses.split(wanted.ip)):
        _drifted(world, vpc.name, Part.VPC_STATUS, f"status.bfdPort of Vpc {vpc.name} was changed")


def _drifted(world: World, gateway: str, part: Part, message: str) -> None:
    """Somebody else changed what a part brought about. While a command is under way it may be our own doing."""
    state = world.part(gateway, part)
    if state is not None and state.state == "applied":
        world.put(PART, f"{gateway}/{part.value}", msgspec.structs.replace(state, state="drifted", message=message))


def _forget_agents(world: World) -> None:
    """Agents whose pod does not exist: their report came after the pod had gone and was forgotten."""
    for uid in world.agent_uids():
        if world.stored_by_uid(uid) is None:
            world.remove(AGENT, uid)
