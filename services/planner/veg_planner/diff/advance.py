"""A draft becomes an intent: generation, parent, and for each part the generation at which it last changed."""

import msgspec

from veg_contracts.intent import Condition, Generations, Intent, NbRows, Part, same_config
from veg_planner.plan.draft import Draft


def advance(
    last: Intent | None, draft: Draft, *, time: str, floor: int = 0, again: frozenset[Part] = frozenset()
) -> Intent | None:
    """The next intent, or None when nothing differs from the last one.

    `time` is that of the event that led here. `floor` is a generation that writers have seen already: the new one is
    higher. `again` are parts whose generation must rise although they did not change, because a writer refused it.
    """
    draft = _stamped(last, draft, time)
    successor = last is not None and last.gateway_uid != draft.gateway_uid  # of the same name: all is to be said again
    changed = {part for part in Part if successor or _differs(last, draft, part)} | again
    if not changed:
        return None
    parent = last.generation if last is not None else 0
    generation = max(parent, floor) + 1
    before = last.generations if last is not None else Generations()
    generations = msgspec.structs.replace(before, **{part.value: generation for part in changed})
    config = draft.config
    if config is not None:
        config = msgspec.structs.replace(config, generation=generations.config)
    return Intent(
        gateway=draft.gateway,
        gateway_uid=draft.gateway_uid,
        generation=generation,
        parent=parent,
        nb=_rows(last, draft),
        workload=draft.workload,
        finalizer=draft.finalizer,
        status=draft.status,
        conflict=draft.conflict,
        config=config,
        vpc_status=draft.vpc_status,
        generations=generations,
    )


def _differs(last: Intent | None, draft: Draft, part: Part) -> bool:
    match part:
        case Part.NB:
            return _rows(last, draft) != (last.nb if last is not None else None)
        case Part.WORKLOAD:
            return draft.workload != (last.workload if last is not None else None)
        case Part.FINALIZER:
            return draft.finalizer != (last.finalizer if last is not None else False)
        case Part.STATUS:
            before = (last.status, last.conflict) if last is not None else (None, None)
            return (draft.status, draft.conflict) != before
        case Part.CONFIG:
            return not same_config(last.config if last is not None else None, draft.config)
        case Part.VPC_STATUS:
            return draft.vpc_status != (last.vpc_status if last is not None else None)


def _rows(last: Intent | None, draft: Draft) -> NbRows | None:
    """No rows where there never were any are no order to the ovn-writer."""
    empty = draft.nb is None or draft.nb.empty
    return None if empty and (last is None or last.nb is None) else draft.nb


def _stamped(last: Intent | None, draft: Draft, time: str) -> Draft:
    """The draft with the times of its conditions: of the last change of their state, and of anything in them."""
    status, conflict = draft.status, draft.conflict
    if status is not None:
        known = last.status.conditions if last is not None and last.status is not None else ()
        before = {condition.type: condition for condition in known}
        stamped = tuple(_stamp(before.get(condition.type), condition, time) for condition in status.conditions)
        status = msgspec.structs.replace(status, conditions=stamped)
    if conflict is not None:
        conflict = _stamp(last.conflict if last is not None else None, conflict, time)
    return msgspec.structs.replace(draft, status=status, conflict=conflict)


def _stamp(last: Condition | None, new: Condition, time: str) -> Condition:
    if last is None or last.status != new.status:
        return msgspec.structs.replace(new, last_transition_time=time, last_update_time=time)
    kept = msgspec.structs.replace(
        new, last_transition_time=last.last_transition_time, last_update_time=last.last_update_time
    )
    return kept if kept == last else msgspec.structs.replace(kept, last_update_time=time)
