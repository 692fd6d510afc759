"""Another controller that reconciles VpcEgressGateways of our API group: seen before we write, and left to its own.

Kube-OVN >= 1.14 does, and nothing turns that off. Two that write one Deployment and one status undo each other for ever
(docs/decisions/0014). It is known by what it leaves on an object: its finalizer, its hand in the status, its
Deployment. A hand in one status tells it of all gateways, since a controller reconciles a kind, and only a controller
may write a status. The other marks speak of their own gateway alone: a tenant can set them, and must not stop others.
What we have given pods or rows before there was a mark goes on: taking it down would be an outage, and mend nothing.
"""

from typing import Final

from veg_contracts import names
from veg_contracts.intent import Condition, NbRows
from veg_contracts.objects import EgressGateway
from veg_planner.plan.draft import Draft, Plan
from veg_planner.plan.notes import Notes
from veg_planner.plan.subject import Subject
from veg_planner.world import World

TOPIC: Final = "conflict"
_REMEDY: Final = (
    f"set VEG_API_GROUP={names.OWN_GROUP} for watcher, planner and kube-writer, apply crds/{names.OWN_GROUP}/ and "
    "create the gateway in that group"
)


def hold(world: World, subject: Subject, notes: Notes) -> Plan | None:
    """The whole plan of a gateway that is another one's, or may be; None of one that is ours to plan.

    Our first write is the finalizer alone. When the object comes back with it, it has every mark that the other one set
    before: it writes the status first of all, as soon as there is an object.
    """
    gateway, uid = subject.gateway, subject.uid
    if world.settings.api_group != names.KUBE_OVN_GROUP:
        return None
    if _begun(world, subject):
        if mark := _mark(world, gateway.key):
            notes.done(TOPIC, f"another controller reconciles it too ({mark}): {_REMEDY}")
        return None
    if refused(world, subject):
        notes.refused(TOPIC, _sentence(world, subject))
        draft = Draft(gateway=gateway.key, gateway_uid=uid, conflict=_condition(gateway, notes))
        return Plan(draft=draft, steps=notes.steps)
    if names.FINALIZER not in gateway.finalizers:
        notes.waits(TOPIC, f"waits for its finalizer {names.FINALIZER}: whoever else reconciles it is seen by then")
        return Plan(draft=Draft(gateway=gateway.key, gateway_uid=uid, finalizer=True), steps=notes.steps)
    return None


def refused(world: World, subject: Subject) -> bool:
    """Whether nothing of the gateway is ours: then it claims nothing either."""
    contested = world.is_marked(subject.gateway.key) or bool(world.other_hands())
    return contested and not _begun(world, subject)


def _begun(world: World, subject: Subject) -> bool:
    """Whether anything but a finalizer and a status was made of it."""
    last = subject.last
    if last is None:
        return False
    rows, made = last.nb or NbRows(), last.workload
    if made is not None and world.foreign_deployment(subject.uid) == f"{made.namespace}/{made.name}":
        return bool(rows.nexthops)  # it was quicker than our Deployment, which then was never made
    return made is not None or last.config is not None or not rows.empty


def _sentence(world: World, subject: Subject) -> str:
    """The first one stays: each further mark would be one more write beside the other one's, and one more Event."""
    if subject.last is not None and subject.last.conflict is not None:
        return subject.last.conflict.message
    mark = _mark(world, subject.gateway.key) or _mark(world, world.other_hands()[0])
    text = f"another controller reconciles it ({mark})"
    return f"{text}, so this one leaves it alone: {_REMEDY}"


def _mark(world: World, gateway: str) -> str:
    """What the other one has left on a gateway; empty for nothing."""
    stored = world.stored(EgressGateway.KIND, gateway)
    if stored is None or not isinstance(stored.object, EgressGateway):
        return ""
    if names.KUBE_OVN_FINALIZER in stored.object.finalizers:
        return f"the finalizer {names.KUBE_OVN_FINALIZER} is on {names.KIND} {gateway}"
    if stored.object.status_managers:
        return f"{', '.join(stored.object.status_managers)} writes the status of {names.KIND} {gateway}"
    if deployment := world.foreign_deployment(stored.uid):
        return f"Deployment {deployment} of {names.KIND} {gateway} was created by another controller"
    return ""


def _condition(gateway: EgressGateway, notes: Notes) -> Condition:
    return Condition(
        type=names.CONFLICT,
        status="True",
        reason=names.REASON_OTHER,
        message="; ".join(step.text for step in notes.of("refused")),
        observed_generation=gateway.generation,
    )
