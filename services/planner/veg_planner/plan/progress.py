"""How far the world has come towards a draft: what is still awaited, object by object, and what a writer refused."""

from veg_contracts.base import Value
from veg_contracts.commands import members_part
from veg_contracts.intent import Part, same_config
from veg_contracts.objects import Deployment
from veg_planner.plan.draft import Draft
from veg_planner.plan.notes import Notes
from veg_planner.plan.pods import Member
from veg_planner.plan.subject import Subject
from veg_planner.world import World


class Counted(Value, frozen=True, kw_only=True):
    """How many replicas are wanted, and the pods that may serve."""

    replicas: int
    serving: tuple[Member, ...]


def note(world: World, subject: Subject, draft: Draft, counted: Counted, notes: Notes) -> None:
    """Write down everything that keeps the gateway from being ready."""
    _note_parts(world, draft, notes)
    _note_deployment(world, subject, draft, counted.replicas, notes)
    if len(counted.serving) < counted.replicas:
        text = f"{len(counted.serving)} of {counted.replicas} pods run and have their addresses"
        notes.waits("pods", text)
    _note_agents(subject, draft, counted.serving, notes)
    _note_rows(world, subject, draft, notes)
    _note_members(world, draft, notes)


def _note_members(world: World, draft: Draft, notes: Notes) -> None:
    """Once a port group has had its members, one pod more or less does not make the gateway wait."""
    for group in draft.nb.port_groups if draft.nb is not None else ():
        state = world.part(draft.gateway, members_part(group))
        if state is None or state.gateway_uid != draft.gateway_uid or not state.programmed:
            local = world.local_group(group)
            what = "selected pods" if local is None else f"pods of node {local.node}"
            notes.waits("selectors", f"waits for the {what} to be written to OVN")
    for older in world.lost_to(draft.gateway):
        notes.done("selectors", f"pods that VpcEgressGateway {older} selects too stay with it: it is older")


def _note_parts(world: World, draft: Draft, notes: Notes) -> None:
    for part in world.parts(draft.gateway):
        state = world.part(draft.gateway, part)
        if state is None or not state.message or state.gateway_uid != draft.gateway_uid:
            continue
        if state.state == "drifted":
            notes.done("drift", f"{part}: {state.message}: it is repaired")
        else:
            # Also while it is tried again: whether it failed for good is known only when it has been applied.
            notes.refused(str(part), f"{part}: {state.message}")


def _note_deployment(world: World, subject: Subject, draft: Draft, replicas: int, notes: Notes) -> None:
    if draft.workload is None:
        return
    key = f"{draft.workload.namespace}/{draft.workload.name}"
    if (state := world.part(draft.gateway, Part.WORKLOAD)) is not None and (left := state.detail.get("budget")):
        notes.done("workload", left)
    deployment = world.find(Deployment, key)
    if deployment is None or deployment.owner_uid != draft.gateway_uid:
        notes.waits("workload", f"waits for Deployment {key} to be made")
        return
    if not _is_written(world, subject, draft, deployment):
        notes.waits("workload", f"waits for Deployment {key} to be written")
        return
    rolled_out = (
        deployment.observed_generation >= deployment.generation
        and deployment.replicas_wanted == replicas
        and deployment.updated >= replicas
        and deployment.replicas <= deployment.updated
        and deployment.available >= deployment.updated
    )
    if not rolled_out:
        text = (
            f"waits for Deployment {key} to be ready: {deployment.updated} updated, "
            f"{deployment.available} available of {replicas} replicas"
        )
        notes.waits("workload", text)


def _is_written(world: World, subject: Subject, draft: Draft, deployment: Deployment) -> bool:
    """Whether the Deployment that was seen is what the draft wants: before that, its counters are those of another."""
    last, state = subject.last, world.part(draft.gateway, Part.WORKLOAD)
    if last is None or last.workload != draft.workload or state is None or state.gateway_uid != draft.gateway_uid:
        return False
    return state.state == "applied" and deployment.generation >= state.object_generation


def _note_agents(subject: Subject, draft: Draft, serving: tuple[Member, ...], notes: Notes) -> None:
    last = subject.last
    unchanged = last is not None and same_config(last.config, draft.config)
    generation = last.generations.config if last is not None and unchanged else None
    for member in serving:
        if member.agent is not None and member.agent.error:
            notes.refused("config", f"the agent of pod {member.name} failed: {member.agent.error}")
        elif generation is None or not member.applied(generation):
            notes.waits("config", f"waits for the agent of pod {member.name} to apply its config")


def _note_rows(world: World, subject: Subject, draft: Draft, notes: Notes) -> None:
    last, state = subject.last, world.part(draft.gateway, Part.NB)
    if draft.nb is None or (draft.nb.empty and (last is None or last.nb is None)):
        return
    if last is None or last.nb != draft.nb or state is None or state.gateway_uid != draft.gateway_uid:
        notes.waits("routing", "waits for the routing policies to be written to OVN")
    elif state.programmed < last.generations.nb:
        done = state.state == "applied"
        what = "every chassis to have the flows (hv_cfg)" if done else "the routing policies to be written to OVN"
        notes.waits("routing", f"waits for {what}")
