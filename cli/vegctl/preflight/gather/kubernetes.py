"""What the API server says. Only GET, and SubjectAccessReviews: these are questions, and nothing is stored of them."""

import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec

from veg_contracts import names
from veg_runtime import kube
from veg_runtime.settings import SettingsError
from vegctl.preflight import rights, way
from vegctl.preflight.derive import of_cluster
from vegctl.preflight.facts import (
    Answer,
    Asked,
    Attachment,
    Cluster,
    Definition,
    Gateway,
    Part,
    Program,
    Right,
    Service,
    Subnet,
    Unreached,
    Vpc,
)
from vegctl.preflight.gather.api import Api, Json, RefusedError, UnreachableError
from vegctl.preflight.kube_ovn import CONTROLLER, VPCS

_CENTRAL: Final = "ovn-central"
_DEFINITIONS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_REVIEWS: Final = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
_GROUPS: Final[tuple[names.ApiGroup, ...]] = (names.KUBE_OVN_GROUP, names.OWN_GROUP)


async def look(asked: Asked) -> Cluster | Unreached:
    """Ask for everything; what is refused is named in `unread`."""
    where = os.environ.get("KUBECONFIG", "no kubeconfig")
    try:
        async with kube.connected() as connection:
            where = str(connection.configuration.host)
            return await _cluster(Api(connection), asked)
    except (RefusedError, UnreachableError, SettingsError) as error:
        return Unreached(where=where, reason=str(error))


async def _cluster(api: Api, asked: Asked) -> Cluster:
    version = (await api.get("/version") or {}).get("gitVersion", "")
    parts: Mapping[Part, Callable[[], Awaitable[Any]]] = {
        "controller": lambda: _program(api, CONTROLLER),
        "central": lambda: _program(api, _CENTRAL),
        "definitions": lambda: _definitions(api),
        "vpcs": lambda: _vpcs(api),
        "subnets": lambda: _subnets(api),
        "attachments": lambda: _attachments(api),
        "gateways": lambda: _gateways(api),
        "service": lambda: _service(api, asked),
    }
    found: dict[str, Any] = {}
    unread: dict[Part, str] = {}
    for part, ask in parts.items():
        try:
            found[part] = await ask()
        except RefusedError as error:
            unread[part] = str(error)
    cluster = Cluster(version=str(version), unread=unread, **found)
    try:
        answers = await _rights(api, asked, cluster)
    except RefusedError as error:
        return msgspec.structs.replace(cluster, unread={**unread, "rights": str(error)})
    return msgspec.structs.replace(cluster, rights=answers)


async def _program(api: Api, name: str) -> Program | None:
    """A Deployment of that name in any namespace."""
    for item in await api.items("/apis/apps/v1/deployments", {"fieldSelector": f"metadata.name={name}"}):
        for container in item["spec"]["template"]["spec"]["containers"]:
            words = (*container.get("command", ()), *container.get("args", ()))
            return Program(key=_key(item), image=container.get("image", ""), words=words)
    return None


async def _definitions(api: Api) -> tuple[Definition, ...]:
    wanted = (VPCS, *(f"{names.PLURAL}.{group}" for group in _GROUPS))
    found = [await api.get(f"{_DEFINITIONS}/{name}") for name in wanted]
    return tuple(Definition(name=_key(each), spec=_schema_of_spec(each)) for each in found if each is not None)


def _schema_of_spec(definition: Json) -> Json:
    versions: list[Json] = definition["spec"]["versions"]
    stored = next((version for version in versions if version.get("storage")), versions[0])
    found: Json = stored.get("schema", {}).get("openAPIV3Schema", {}).get("properties", {}).get("spec", {})
    return found


async def _vpcs(api: Api) -> tuple[Vpc, ...]:
    items = await api.items(f"/apis/{names.KUBE_OVN_GROUP}/v1/vpcs")
    status = {_key(item): item.get("status") or {} for item in items}
    return tuple(
        Vpc(name=name, router=each.get("router", ""), default_subnet=each.get("defaultLogicalSwitch", ""))
        for name, each in status.items()
    )


async def _subnets(api: Api) -> tuple[Subnet, ...]:
    specs = {_key(item): item.get("spec") or {} for item in await api.items(f"/apis/{names.KUBE_OVN_GROUP}/v1/subnets")}
    return tuple(
        Subnet(name=name, vpc=spec.get("vpc", ""), provider=spec.get("provider", ""), cidr=spec.get("cidrBlock", ""))
        for name, spec in specs.items()
    )


async def _attachments(api: Api) -> tuple[Attachment, ...]:
    items = await api.items("/apis/k8s.cni.cncf.io/v1/network-attachment-definitions")
    return tuple(Attachment(key=_key(item), config=(item.get("spec") or {}).get("config", "")) for item in items)


async def _gateways(api: Api) -> tuple[Gateway, ...]:
    found = [(group, item) for group in _GROUPS for item in await api.items(f"/apis/{group}/v1/{names.PLURAL}")]
    return tuple(
        Gateway(
            key=_key(item),
            group=group,
            vpc=(item.get("spec") or {}).get("vpc", ""),
            finalizers=tuple(item["metadata"].get("finalizers", ())),
        )
        for group, item in found
    )


async def _service(api: Api, asked: Asked) -> Service | None:
    """The Service whose ClusterIP is the address of the bus that gateway pods are given."""
    ip = way.address(asked.agent_nats_url)
    if not ip:
        return None
    items = await api.items("/api/v1/services", {"fieldSelector": f"spec.clusterIP={ip}"})
    return next((Service(key=_key(item), cluster_ip=item["spec"]["clusterIP"]) for item in items), None)


async def _rights(api: Api, asked: Asked, cluster: Cluster) -> tuple[Answer, ...]:
    group = asked.api_group or of_cluster(asked, cluster, None).api_group
    return tuple(
        [await _review(api, asked, role, right) for role, needed in rights.needed(group).items() for right in needed]
    )


async def _review(api: Api, asked: Asked, role: str, right: Right) -> Answer:
    user = rights.user(asked, role)
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{asked.namespace}", "system:authenticated"]
    resource, _, subresource = right.resource.partition("/")
    on: Json = {"nonResourceAttributes": {"path": right.resource, "verb": right.verb}}
    if resource:  # a path begins with the slash
        attributes = {"group": right.group, "resource": resource, "subresource": subresource, "verb": right.verb}
        on = {"resourceAttributes": attributes}
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user, "groups": groups, **on},
    }
    answer = await api.ask(_REVIEWS, body)
    return Answer(role=role, user=user, right=right, allowed=bool(answer.get("status", {}).get("allowed")))


def _key(item: Json) -> str:
    """`namespace/name`, or the name of what is in no namespace."""
    meta: Json = item["metadata"]
    return "/".join(filter(None, (meta.get("namespace", ""), meta["name"])))
