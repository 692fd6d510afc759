"""The API server over HTTP: raw GET requests, so that all kinds, built-in and custom, come as plain JSON."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus

import aiohttp
from kubernetes.aio import client

_CONNECT_S = 10.0
_PAGE_S = 60.0
# The server sends a bookmark about once a minute, so a watch that is silent for longer may hang on a dead connection.
_SILENCE_S = 90.0
_REASON_LENGTH_MAX = 300


class ApiError(Exception):
    """The API server refused, could not be reached, or broke off. Trying again later may help."""


class NotFoundError(ApiError):
    """The API server does not have this kind (now)."""


class SilentError(ApiError):
    """A stream brought nothing for so long that its connection may be dead."""


class Api:
    """A connection to the API server."""

    def __init__(self, connection: client.ApiClient) -> None:
        self._connection = connection

    async def get(self, path: str, query: Mapping[str, str]) -> bytes:
        """The body of the answer. Raises ApiError or NotFoundError."""
        limits = aiohttp.ClientTimeout(total=_PAGE_S, sock_connect=_CONNECT_S)
        async with self._request(path, query, limits) as response:
            return await response.read()

    async def stream(self, path: str, query: Mapping[str, str]) -> AsyncGenerator[bytes]:
        """The lines of an answer that goes on and on. Raises ApiError, NotFoundError or SilentError."""
        limits = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=_SILENCE_S)
        async with self._request(path, query, limits) as response:
            # Not readline(): it gives up on a line that is longer than its buffer, and an object may be.
            rest = b""
            async for chunk in response.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield line

    @asynccontextmanager
    async def _request(
        self, path: str, query: Mapping[str, str], limits: aiohttp.ClientTimeout
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        response: aiohttp.ClientResponse | None = None
        try:
            # Per request, since a service account's token is renewed while we run.
            method, url, headers, *_ = await self._connection.param_serialize(
                "GET", path, query_params=list(query.items()), auth_settings=["BearerToken"]
            )
            answer = await self._connection.call_api(method, url, header_params=headers, _request_timeout=limits)
            response = answer.response
            await _check(path, response)
            yield response
        except aiohttp.SocketTimeoutError as error:
            raise SilentError(f"GET {path}: no byte for {_SILENCE_S:.0f} s") from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise ApiError(f"GET {path}: {error!r}") from error
        finally:
            if response is not None:
                response.close()


async def _check(path: str, response: aiohttp.ClientResponse) -> None:
    if response.status == HTTPStatus.OK:
        return
    said = (await response.text(errors="replace"))[:_REASON_LENGTH_MAX]
    message = f"GET {path}: {response.status} {response.reason}: {said}"
    if response.status == HTTPStatus.NOT_FOUND:
        raise NotFoundError(message)
    raise ApiError(message)
