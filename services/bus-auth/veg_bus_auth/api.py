"""The API server over HTTP: the review of a token, and the four objects on the way to a gateway."""

from http import HTTPStatus
from typing import Any, Final

import aiohttp
import msgspec
from kubernetes.aio import client

from veg_bus_auth.identity import Found, Review, read_object, read_review
from veg_contracts import names

_JSON: Final = "application/json"
_REQUEST_S: Final = 3.0
_OBJECT_BYTES_MAX: Final = 4 * 1024 * 1024  # etcd takes 1.5 MiB
_TEXT_LENGTH_MAX: Final = 300


class UnansweredError(Exception):
    """The API server could not be reached, or said no to us: nothing is known about the client."""


class Api:
    """A connection to the API server. Every method raises UnansweredError."""

    def __init__(self, connection: client.ApiClient, group: str) -> None:
        self._connection = connection
        self._group = group

    async def review(self, token: str, audience: str) -> Review:
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [audience]},
        }
        path = "/apis/authentication.k8s.io/v1/tokenreviews"
        status, text = await self._exchange("POST", path, body)
        # What the API server says to a review may repeat it: no text of that goes into an error.
        if status >= HTTPStatus.BAD_REQUEST:
            raise UnansweredError(f"POST {path}: {status}")
        try:
            return read_review(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise UnansweredError(f"POST {path}: the answer is no TokenReview") from error

    async def pod(self, namespace: str, name: str) -> Found | None:
        return await self._get(f"/api/v1/namespaces/{namespace}/pods/{name}")

    async def replica_set(self, namespace: str, name: str) -> Found | None:
        return await self._get(f"/apis/apps/v1/namespaces/{namespace}/replicasets/{name}")

    async def deployment(self, namespace: str, name: str) -> Found | None:
        return await self._get(f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}")

    async def gateway(self, namespace: str, name: str) -> Found | None:
        return await self._get(f"/apis/{self._group}/{names.VERSION}/namespaces/{namespace}/{names.PLURAL}/{name}")

    async def check_ready(self) -> None:
        status, _ = await self._exchange("GET", "/readyz")
        if status >= HTTPStatus.BAD_REQUEST:
            raise UnansweredError(f"GET /readyz: {status}")

    async def _get(self, path: str) -> Found | None:
        """The object, None when there is none."""
        status, text = await self._exchange("GET", path)
        if status == HTTPStatus.NOT_FOUND:
            return None
        if status >= HTTPStatus.BAD_REQUEST:
            said = text[:_TEXT_LENGTH_MAX].decode(errors="replace").strip()
            raise UnansweredError(f"GET {path}: {status}: {said}")
        try:
            return read_object(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise UnansweredError(f"GET {path}: the answer is no object of Kubernetes") from error

    async def _exchange(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        limits = aiohttp.ClientTimeout(total=_REQUEST_S)
        headers = {"Accept": _JSON, "Content-Type": _JSON}
        try:
            # Per request, since a service account's token is renewed while we run.
            verb, url, signed, *_ = await self._connection.param_serialize(
                method, path, header_params=headers, auth_settings=["BearerToken"]
            )
            answer = await self._connection.call_api(
                verb, url, header_params=signed, body=body, _request_timeout=limits
            )
            text = bytes(await answer.read())
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise UnansweredError(f"{method} {path}: {type(error).__name__}") from error
        if len(text) > _OBJECT_BYTES_MAX:
            raise UnansweredError(f"{method} {path}: {len(text)} bytes")
        return int(answer.status), text
