"""One function for each command. Each can be run again at any time, and after any other run of itself.

All raise the errors of `api`, InvalidNameError, and ImpossibleError. What they return is the detail of the outcome.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Final, assert_never

import msgspec

from veg_contracts import names
from veg_contracts.base import encode
from veg_contracts.commands import (
    EnsureCondition,
    EnsureFinalizer,
    EnsureStatus,
    EnsureVpcStatus,
    EnsureWorkload,
    RecordKubeEvent,
    RemoveWorkload,
)
from veg_contracts.intent import VpcBfdStatus
from veg_kube_writer import facts, patches, paths
from veg_kube_writer.api import Api, RefusedError
from veg_kube_writer.facts import Json
from veg_kube_writer.outcomes import KubeCommand

_EDITS_MAX: Final = 5

Detail = dict[str, str]


class ImpossibleError(Exception):
    """What is asked for cannot be had as things are; the message names the objects."""


async def carry_out(api: Api, group: str, command_id: str, command: KubeCommand) -> Detail:
    """`group` is the API group of VpcEgressGateway."""
    match command:
        case EnsureWorkload():
            return await ensure_workload(api, command)
        case RemoveWorkload():
            return await remove_workload(api, command)
        case EnsureFinalizer():
            return await ensure_finalizer(api, group, command)
        case EnsureStatus() | EnsureCondition():
            return await ensure_status(api, group, command)
        case EnsureVpcStatus():
            return await ensure_vpc_status(api, command)
        case RecordKubeEvent():
            return await record_event(api, group, command_id, command)
        case _:
            assert_never(command)


async def ensure_workload(api: Api, command: EnsureWorkload) -> Detail:
    """Apply the Deployment and its budget, but never over one that is not ours.

    One that somebody makes between our look and our apply would become ours too: server-side apply has no way to say
    "only if there is none", and one made by a plain create would belong to another field manager for ever.
    """
    wanted = command.workload
    path = paths.deployment(wanted.namespace, wanted.name)
    found = await api.get(path)
    manifest = wanted.manifest
    if found is not None:
        _check_ours(found, command)
        if facts.has_same_selector(found, manifest):
            manifest = {**manifest, "metadata": {**manifest.get("metadata", {}), "uid": facts.uid(found)}}
        else:
            await _delete_if_there(api, path, facts.uid(found))
    made = await api.apply(path, manifest)
    return {"uid": facts.uid(made), "generation": _generation(made), **await _ensure_budget(api, command)}


async def _ensure_budget(api: Api, command: EnsureWorkload) -> Detail:
    """One of that name that is not ours stays, and is enough: Kubernetes evicts no pod that two budgets are about."""
    wanted = command.workload
    path = paths.disruption_budget(wanted.namespace, wanted.name)
    found = await api.get(path)
    if found is not None and not _is_ours(found, command.gateway_uid):
        name = f"PodDisruptionBudget {wanted.namespace}/{wanted.name}"
        return {"budget": f"{name} is not owned by {names.KIND} {command.gateway}: it stays"} if wanted.budget else {}
    if wanted.budget is None:
        if found is not None:
            await _delete_if_there(api, path, facts.uid(found))
        return {}
    uid = {"uid": facts.uid(found)} if found is not None else {}
    made = await api.apply(path, {**wanted.budget, "metadata": {**wanted.budget.get("metadata", {}), **uid}})
    return {"budget_uid": facts.uid(made), "budget_generation": _generation(made)}


def _generation(found: Json) -> str:
    return str(facts.dig(found, "metadata", "generation"))


def _is_ours(found: Json, gateway_uid: str) -> bool:
    return facts.is_owned_by(found, gateway_uid) and not facts.is_foreign(found)


def _check_ours(found: Json, command: EnsureWorkload) -> None:
    name = f"Deployment {command.workload.namespace}/{command.workload.name}"
    if not facts.is_owned_by(found, command.gateway_uid):
        raise ImpossibleError(f"{name} exists and is not owned by {names.KIND} {command.gateway}")
    if facts.is_foreign(found):
        raise ImpossibleError(f"{name} names {names.KIND} {command.gateway} as its owner and was made by another one")
    if facts.is_being_deleted(found):
        raise ImpossibleError(f"{name} is being deleted")


async def remove_workload(api: Api, command: RemoveWorkload) -> Detail:
    """Delete the Deployment and the budget, each if it is ours. The garbage collector deletes the pods after it."""
    await _remove_budget(api, command)
    path = paths.deployment(command.namespace, command.name)
    found = await api.get(path)
    if found is None:
        return {"skipped": "it is gone"}
    if not facts.is_owned_by(found, command.gateway_uid):
        return {"skipped": f"it is not owned by {names.KIND} {command.gateway}"}
    if facts.is_foreign(found):
        return {"skipped": "it was made by another one"}
    if not facts.is_being_deleted(found):
        await _delete_if_there(api, path, facts.uid(found))
    return {"uid": facts.uid(found)}


async def _remove_budget(api: Api, command: RemoveWorkload) -> None:
    path = paths.disruption_budget(command.namespace, command.name)
    found = await api.get(path)
    if found is not None and _is_ours(found, command.gateway_uid):
        await _delete_if_there(api, path, facts.uid(found))


async def _delete_if_there(api: Api, path: str, uid: str) -> None:
    try:
        await api.delete(path, uid)
    except RefusedError as error:
        if error.refusal.code != HTTPStatus.NOT_FOUND:
            raise


async def ensure_finalizer(api: Api, group: str, command: EnsureFinalizer) -> Detail:
    """Kubernetes lets nobody add a finalizer to what is being deleted."""

    def edit(found: Json) -> Json:
        return patches.finalizers_patch(found, command.present)

    path = paths.gateway(group, command.gateway)
    return await _edit(api, command, path, path, edit, unless_deleted=command.present)


async def ensure_status(api: Api, group: str, command: EnsureStatus | EnsureCondition) -> Detail:
    """The whole status, or one condition: then another controller owns the rest, and it stays as it is."""
    one = isinstance(command, EnsureCondition)
    wanted = msgspec.json.decode(encode(command.condition if isinstance(command, EnsureCondition) else command.status))

    def edit(found: Json) -> Json:
        return patches.condition_patch(found, wanted) if one else patches.status_patch(found, wanted)

    path = paths.gateway(group, command.gateway)
    return await _edit(api, command, path, f"{path}/status", edit)


async def ensure_vpc_status(api: Api, command: EnsureVpcStatus) -> Detail:
    """Kube-OVN owns the rest of the Vpc's status: it stays as it is."""
    wanted = command.bfd_port
    bfd_port = None if wanted == VpcBfdStatus() else msgspec.json.decode(encode(wanted))

    def edit(found: Json) -> Json:
        return patches.bfd_port_patch(found, bfd_port)

    path = paths.vpc(command.gateway)
    return await _edit(api, command, path, f"{path}/status", edit)


async def _edit(
    api: Api,
    command: EnsureFinalizer | EnsureStatus | EnsureCondition | EnsureVpcStatus,
    source: str,
    target: str,
    edit: Callable[[Json], Json],
    *,
    unless_deleted: bool = False,
) -> Detail:
    """Send to `target` what `edit` makes of the object at `source`; a change by another one starts it over."""
    for attempt in range(1, _EDITS_MAX + 1):
        found = await api.get(source)
        if found is None or facts.uid(found) != command.gateway_uid:
            return {"skipped": "it is gone"}
        if unless_deleted and facts.is_being_deleted(found):
            return {"skipped": "it is being deleted"}
        patch = edit(found)
        if not patch:
            return {}
        try:
            await api.patch(target, patches.unless_changed(found, patch))
        except RefusedError as error:
            if error.refusal.code == HTTPStatus.NOT_FOUND:
                return {"skipped": "it is gone"}
            if error.refusal.code != HTTPStatus.CONFLICT or attempt == _EDITS_MAX:
                raise
        else:
            return {}
    raise AssertionError("the last attempt returns or raises")


async def record_event(api: Api, group: str, command_id: str, command: RecordKubeEvent) -> Detail:
    """An Event that is there already was recorded by an earlier delivery of the same command."""
    body = patches.event(group, command_id, command)
    try:
        await api.create(paths.events(body["metadata"]["namespace"]), body)
    except RefusedError as error:
        if error.refusal.code != HTTPStatus.CONFLICT:
            raise
    return {}
