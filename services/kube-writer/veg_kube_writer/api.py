"""The API server over HTTP: the few requests that ensuring takes, with plain JSON in and out."""

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

import aiohttp
from kubernetes.aio import client

from veg_contracts import names
from veg_kube_writer.facts import Json
from veg_kube_writer.verdict import Refusal

_JSON: Final = "application/json"
_MERGE_PATCH: Final = "application/merge-patch+json"
_APPLY_PATCH: Final = "application/apply-patch+yaml"  # JSON is YAML
_REQUEST_S: Final = 8.0
_TEXT_LENGTH_MAX: Final = 500


class UnreachableError(Exception):
    """The API server could not be reached or broke off. It is not known whether it did what was asked."""


class RefusedError(Exception):
    """The API server said no; `refusal` is its answer."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal.code}: {refusal.message}")
        self.refusal = refusal


class Api:
    """A connection to the API server. Every method raises RefusedError or UnreachableError."""

    def __init__(self, connection: client.ApiClient) -> None:
        self._connection = connection

    async def get(self, path: str) -> Json | None:
        """The object, None when there is none."""
        try:
            return await self._request("GET", path)
        except RefusedError as error:
            if error.refusal.code == HTTPStatus.NOT_FOUND:
                return None
            raise

    async def create(self, path: str, body: Json) -> Json:
        return await self._request("POST", path, body)

    async def apply(self, path: str, manifest: Json) -> Json:
        """Server-side apply: ours are the fields in the manifest, whoever else set them."""
        query = (("fieldManager", names.FIELD_MANAGER), ("force", "true"))
        return await self._request("PATCH", path, manifest, _APPLY_PATCH, query)

    async def patch(self, path: str, body: Json) -> Json:
        """A JSON merge patch."""
        query = (("fieldManager", names.FIELD_MANAGER),)
        return await self._request("PATCH", path, body, _MERGE_PATCH, query)

    async def delete(self, path: str, uid: str) -> None:
        """Delete exactly the object with this uid; what it owns goes after it."""
        await self._request("DELETE", path, {"preconditions": {"uid": uid}, "propagationPolicy": "Background"})

    async def check_ready(self) -> None:
        """Raises unless the API server says that it is ready. Before that, it does not know who may do what."""
        await self._exchange("GET", "/readyz")

    async def _request(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        content_type: str = _JSON,
        query: Sequence[tuple[str, str]] = (),
    ) -> Json:
        said = _decoded(await self._exchange(method, path, body, content_type, query))
        if not isinstance(said, dict):
            raise UnreachableError(f"{method} {path}: the answer is no object of Kubernetes")
        return said

    async def _exchange(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        content_type: str = _JSON,
        query: Sequence[tuple[str, str]] = (),
    ) -> bytes:
        limits = aiohttp.ClientTimeout(total=_REQUEST_S)
        try:
            # Per request, since a service account's token is renewed while we run.
            verb, url, headers, *_ = await self._connection.param_serialize(
                method,
                path,
                query_params=list(query),
                header_params={"Accept": _JSON, "Content-Type": content_type},
                auth_settings=["BearerToken"],
            )
            answer = await self._connection.call_api(
                verb, url, header_params=headers, body=body, _request_timeout=limits
            )
            status, text = int(answer.status), bytes(await answer.read())
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise UnreachableError(f"{method} {path}: {error!r}") from error
        if status >= HTTPStatus.BAD_REQUEST:
            raise RefusedError(Refusal(code=status, message=_message(_decoded(text), text)))
        return text


def _decoded(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _message(said: Any, text: bytes) -> str:
    """That of the `Status` object, or whatever else there is, e.g. of a proxy before the API server."""
    if isinstance(said, dict) and isinstance(said.get("message"), str):
        return str(said["message"])
    return text[:_TEXT_LENGTH_MAX].decode(errors="replace").strip()
