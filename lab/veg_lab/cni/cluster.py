"""The API server, as the CNI needs it: pods and their networks come in as JSON. Nothing is decided here."""

import json
from collections.abc import Awaitable
from typing import Any, Self

import aiohttp
from kubernetes.aio import client, config

from veg_lab.cni.network_plan import Json

MERGE_PATCH = "application/merge-patch+json"
REQUEST_TIMEOUT_S = 10.0
NOT_FOUND, CONFLICT = 404, 409


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

    @classmethod
    async def connect(cls, kubeconfig: str) -> Self:
        """Read the kubeconfig; the connection itself is made by the first request."""
        return cls(await config.new_client_from_config(config_file=kubeconfig))

    async def close(self) -> None:
        await self._client.close()

    async def pod(self, namespace: str, name: str) -> Json | None:
        """A pod, or None."""
        request = self._core.read_namespaced_pod_without_preload_content(
            name, namespace, _request_timeout=REQUEST_TIMEOUT_S
        )
        return await _found(request, f"get pod {namespace}/{name}")

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

    async def annotate(self, pod: Json, annotations: dict[str, str]) -> None:
        """Write annotations of this very pod, not of a later one of the same name."""
        meta = pod["metadata"]
        body = {"metadata": {"uid": meta["uid"], "annotations": annotations}}
        request = self._core.patch_namespaced_pod_without_preload_content(
            meta["name"], meta["namespace"], body, _content_type=MERGE_PATCH, _request_timeout=REQUEST_TIMEOUT_S
        )
        try:
            await _json(request, f"patch pod {meta['namespace']}/{meta['name']}")
        except ClusterError as error:
            if error.status not in (NOT_FOUND, CONFLICT):  # it is gone, or another one has its name: DEL comes
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
