"""Questions to the API server, with plain JSON in and out."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import aiohttp
from kubernetes.aio import client

_JSON: Final = "application/json"
_REQUEST_S: Final = 10.0
_TEXT_LENGTH_MAX: Final = 200

Json = dict[str, Any]


class RefusedError(Exception):
    """The API server does not tell, and says why."""


class UnreachableError(Exception):
    """There is no API server, or it broke off."""


class Api:
    """A connection to the API server. Every method raises RefusedError or UnreachableError."""

    def __init__(self, connection: client.ApiClient) -> None:
        self._connection = connection

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Json | None:
        """The object; None when there is none, and for a kind that the API server does not have."""
        status, said = await self._exchange("GET", path, query)
        return None if status == HTTPStatus.NOT_FOUND else _checked(path, status, said)

    async def items(self, path: str, query: Mapping[str, str] | None = None) -> list[Json]:
        """The objects of a list; none of a kind that the API server does not have."""
        found = await self.get(path, query) or {}
        items: list[Json] = found.get("items") or []
        return items

    async def ask(self, path: str, question: Json) -> Json:
        """The answer to a review: it is sent by POST, and nothing is stored."""
        status, said = await self._exchange("POST", path, None, question)
        return _checked(path, status, said)

    async def _exchange(
        self, method: str, path: str, query: Mapping[str, str] | None, body: Json | None = None
    ) -> tuple[int, bytes]:
        limits = aiohttp.ClientTimeout(total=_REQUEST_S)
        try:
            verb, url, headers, *_ = await self._connection.param_serialize(
                method,
                path,
                query_params=list((query or {}).items()),
                header_params={"Accept": _JSON, "Content-Type": _JSON},
                auth_settings=["BearerToken"],
            )
            answer = await self._connection.call_api(
                verb, url, header_params=headers, body=body, _request_timeout=limits
            )
            return int(answer.status), bytes(await answer.read())
        except TimeoutError as error:
            raise UnreachableError(f"no answer within {_REQUEST_S:.0f} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise UnreachableError(str(error) or repr(error)) from error


def _checked(path: str, status: int, said: bytes) -> Json:
    try:
        found = json.loads(said)
    except ValueError:
        found = None
    if status == HTTPStatus.UNAUTHORIZED:
        raise UnreachableError("it does not take the credential of the kubeconfig")
    if status < HTTPStatus.BAD_REQUEST and isinstance(found, dict):
        return found
    text = found.get("message") if isinstance(found, dict) else said.decode(errors="replace")
    raise RefusedError(f"{path}: {status}: {str(text).strip()[:_TEXT_LENGTH_MAX]}")
