"""The API server, as the node agent needs it: pods come in as JSON, statuses go out. Nothing is decided here."""

import json
from collections.abc import Awaitable, Callable
from typing import Any, Self

import aiohttp
from kubernetes.aio import client, config

from veg_lab.node_agent.spec import ObjectKey

Json = dict[str, Any]
MERGE_PATCH = "application/merge-patch+json"
# Merges conditions by their type.
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
REQUEST_TIMEOUT_S = 10.0
# A watch ends by itself after this time; the list that follows heals whatever it missed.
WATCH_S = 300
NOT_FOUND, CONFLICT, FORBIDDEN = 404, 409, 403


class ClusterError(Exception):
    """A request failed; it is worth trying again. The message names the request and the answer."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Cluster:
    """One connection to the API server, with the rights of $KUBECONFIG."""

    def __init__(self, api: Any) -> None:
        self._client = api
        self._core = client.CoreV1Api(api)
        self._custom = client.CustomObjectsApi(api)
        self._host_ips: dict[str, str] = {}

    @classmethod
    async def connect(cls, kubeconfig: str) -> Self:
        """Read the kubeconfig; the connection itself is made by the first request."""
        return cls(await config.new_client_from_config(config_file=kubeconfig))

    async def close(self) -> None:
        await self._client.close()

    async def follow_pods(self, replace: Callable[[list[Json]], None], change: Callable[[str, Json], None]) -> None:
        """List and watch, once: `replace` gets the full list, `change` each event's type and pod after it."""
        listed = await _json(
            self._core.list_pod_for_all_namespaces_without_preload_content(_request_timeout=REQUEST_TIMEOUT_S),
            "list pods",
        )
        replace(listed["items"])
        version = listed["metadata"]["resourceVersion"]
        watch = self._core.list_pod_for_all_namespaces_without_preload_content(
            watch=True, resource_version=version, timeout_seconds=WATCH_S, _request_timeout=float(WATCH_S + 30)
        )
        try:
            response = await watch
            while line := await response.content.readline():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise ClusterError(f"watch pods: {event['object'].get('message')}", event["object"].get("code", 0))
                change(event["type"], event["object"])
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ClusterError(f"watch pods: {str(error) or type(error).__name__}") from error

    async def network_definition(self, namespace: str, name: str) -> Json | None:
        """A NetworkAttachmentDefinition, or None."""
        request = self._custom.get_namespaced_custom_object_without_preload_content(
            "k8s.cni.cncf.io",
            "v1",
            namespace,
            "network-attachment-definitions",
            name,
            _request_timeout=REQUEST_TIMEOUT_S,
        )
        return await _found(request, f"get network-attachment-definition {namespace}/{name}")

    async def data_of(self, namespace: str, key: ObjectKey) -> Json | None:
        """A Secret or ConfigMap, or None."""
        kind, name = key
        read = (
            self._core.read_namespaced_secret_without_preload_content
            if kind == "secret"
            else self._core.read_namespaced_config_map_without_preload_content
        )
        return await _found(read(name, namespace, _request_timeout=REQUEST_TIMEOUT_S), f"get {kind} {namespace}/{name}")

    async def host_ip(self, node: str) -> str:
        """The node's internal address. Nodes of the lab never change theirs, so it is asked once."""
        if node not in self._host_ips:
            found = await _found(
                self._core.read_node_without_preload_content(node, _request_timeout=REQUEST_TIMEOUT_S),
                f"get node {node}",
            )
            addresses = (found or {}).get("status", {}).get("addresses", [])
            known = [item["address"] for item in addresses if item["type"] == "InternalIP"]
            if not known:
                return ""
            self._host_ips[node] = known[0]
        return self._host_ips[node]

    async def patch_status(self, pod: Json, status: Json) -> None:
        """Write the status of this very pod, not of a later one of the same name."""
        await self._patch(self._core.patch_namespaced_pod_status_without_preload_content, pod, {"status": status})

    async def annotate(self, pod: Json, annotations: dict[str, str]) -> None:
        await self._patch(
            self._core.patch_namespaced_pod_without_preload_content, pod, {"metadata": {"annotations": annotations}}
        )

    async def _patch(
        self, method: Callable[..., Awaitable[Any]], pod: Json, body: Json, content_type: str = MERGE_PATCH
    ) -> None:
        meta = pod["metadata"]
        body = {**body, "metadata": {**body.get("metadata", {}), "uid": meta["uid"]}}
        request = method(
            meta["name"], meta["namespace"], body, _content_type=content_type, _request_timeout=REQUEST_TIMEOUT_S
        )
        try:
            await _json(request, f"patch pod {meta['namespace']}/{meta['name']}")
        except ClusterError as error:
            if error.status not in (NOT_FOUND, CONFLICT):  # it is gone or another one has its name: the watch will tell
                raise

    async def unreachable_nodes(self, taint: str) -> list[str]:
        """The nodes that carry this taint."""
        request = self._core.list_node_without_preload_content(_request_timeout=REQUEST_TIMEOUT_S)
        found = await _json(request, "list nodes")
        return [
            node["metadata"]["name"]
            for node in found["items"]
            if any(item["key"] == taint for item in node["spec"].get("taints", []))
        ]

    async def set_node_condition(self, name: str, condition: Json) -> bool:
        """Write this one condition of a node; false when there is no such node."""
        body = {"status": {"conditions": [condition]}}
        request = self._core.patch_node_status_without_preload_content(
            name, body, _content_type=STRATEGIC_MERGE_PATCH, _request_timeout=REQUEST_TIMEOUT_S
        )
        return await _found(request, f"patch status of node {name}") is not None

    async def set_node_taints(self, name: str, change: Callable[[list[Json]], list[Json]]) -> None:
        """Write a node's taints, unless somebody else wrote the node meanwhile; that is an error, as any other.

        Taints are one list, which a patch can only replace.
        """
        request = self._core.read_node_without_preload_content(name, _request_timeout=REQUEST_TIMEOUT_S)
        node = await _found(request, f"get node {name}")
        if node is None:
            return
        taints = node["spec"].get("taints", [])
        if change(taints) == taints:
            return
        version = node["metadata"]["resourceVersion"]
        body = {"metadata": {"resourceVersion": version}, "spec": {"taints": change(taints)}}
        request = self._core.patch_node_without_preload_content(
            name, body, _content_type=MERGE_PATCH, _request_timeout=REQUEST_TIMEOUT_S
        )
        await _found(request, f"patch taints of node {name}")

    async def set_pods_unready(self, node: str, condition: Json) -> None:
        """Write this condition to all pods of a node that are ready."""
        request = self._core.list_pod_for_all_namespaces_without_preload_content(
            field_selector=f"spec.nodeName={node}", _request_timeout=REQUEST_TIMEOUT_S
        )
        for pod in (await _json(request, f"list pods of node {node}"))["items"]:
            if ("Ready", "True") in {(item["type"], item["status"]) for item in pod["status"].get("conditions", [])}:
                method = self._core.patch_namespaced_pod_status_without_preload_content
                await self._patch(method, pod, {"status": {"conditions": [condition]}}, STRATEGIC_MERGE_PATCH)

    async def delete_now(self, pod: Json) -> None:
        """Let the pod object go: nothing of it runs any more."""
        meta = pod["metadata"]
        body = {"gracePeriodSeconds": 0, "preconditions": {"uid": meta["uid"]}}
        request = self._core.delete_namespaced_pod_without_preload_content(
            meta["name"],
            meta["namespace"],
            body=client.V1DeleteOptions.from_dict(body),
            _request_timeout=REQUEST_TIMEOUT_S,
        )
        try:
            await _json(request, f"delete pod {meta['namespace']}/{meta['name']}")
        except ClusterError as error:
            if error.status not in (NOT_FOUND, CONFLICT):
                raise


async def _found(request: Awaitable[Any], what: str) -> Json | None:
    try:
        return await _json(request, what)
    except ClusterError as error:
        if error.status == NOT_FOUND:
            return None
        raise


def _reason(status: int, text: str) -> str:
    """The API server's own words, where it gave some."""
    try:
        return f"{status} {json.loads(text)['message']}"
    except (ValueError, KeyError, TypeError):
        return f"{status} {text[:300]}"


async def _json(request: Awaitable[Any], what: str) -> Json:
    try:
        response = await request
        text = await response.text()
    except (TimeoutError, aiohttp.ClientError, OSError) as error:
        raise ClusterError(f"{what}: {str(error) or type(error).__name__}") from error
    if response.status >= 400:  # noqa: PLR2004 - HTTP's own limit
        raise ClusterError(f"{what}: {_reason(response.status, text)}", response.status)
    answer: Json = json.loads(text)
    return answer
