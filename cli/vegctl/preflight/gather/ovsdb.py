"""Questions to an OVSDB server, by its wire protocol (RFC 7047): the schema, and selects, which write nothing."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from typing import Any, Final, TypeAlias

from veg_runtime.tls import Pem

_CONNECT_S: Final = 3.0
_ANSWER_S: Final = 10.0
_CHUNK: Final = 1 << 16

Json = dict[str, Any]
Streams: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class OvsdbError(Exception):
    """No server answers, or it refuses: what it says."""


class Ovsdb:
    """A connection to one server. Every method raises OvsdbError."""

    def __init__(self, streams: Streams, database: str, pem: Pem) -> None:
        self._reader, self._writer = streams
        self._database, self._pem = database, pem
        self._number = 0

    async def schema(self) -> Json:
        found: Json = await self._call("get_schema", [self._database])
        return found

    async def select(self, *queries: Json) -> list[list[Json]]:
        """The rows of each query, all of one moment; sets come as lists, maps as dicts."""
        answers = await self._call("transact", [self._database, *({"op": "select", **query} for query in queries)])
        for answer in answers:
            if "error" in (answer or {}):
                raise OvsdbError(f"{answer['error']}: {answer.get('details', '')}")
        return [[{name: _plain(value) for name, value in row.items()} for row in each["rows"]] for each in answers]

    async def _call(self, method: str, parameters: list[Any]) -> Any:
        self._number += 1
        self._writer.write(json.dumps({"method": method, "params": parameters, "id": self._number}).encode())
        try:
            async with asyncio.timeout(_ANSWER_S):
                await self._writer.drain()
                return await self._answer()
        except TimeoutError as error:
            raise OvsdbError(f"no answer within {_ANSWER_S:.0f} s") from error
        except OSError as error:  # a server of TLS 1.3 refuses our certificate here: for us the handshake is over
            raise OvsdbError(self._why_closed(error)) from error
        except ValueError as error:
            raise OvsdbError(str(error)) from error

    def _why_closed(self, error: OSError) -> str:
        why = _why(error, self._pem)
        if isinstance(error, ConnectionError) and self._writer.get_extra_info("ssl_object") is not None:
            # What the server said of it was lost, as we were writing.
            return f"{why}; does the server know the authority of {self._pem.prefix}_CERT?"
        return why

    async def _answer(self) -> Any:
        """The result of the last request. In between the server may ask whether we live, and need not be told."""
        decoder, text = json.JSONDecoder(), b""
        while True:
            chunk = await self._reader.read(_CHUNK)
            if not chunk:
                raise OvsdbError("the server closed the connection")
            text += chunk
            # A message ends in a brace: whatever else a chunk ends in need not be looked at.
            while text.rstrip().endswith(b"}"):
                try:
                    message, end = decoder.raw_decode(text.decode())
                except json.JSONDecodeError:
                    break
                text = text[end:].lstrip()
                if message.get("id") == self._number:
                    return _result(message)
                if not text:
                    break


def _result(message: Json) -> Any:
    if message.get("error") is not None:
        raise OvsdbError(str(message["error"]))
    return message["result"]


@contextlib.asynccontextmanager
async def connected(remotes: str, database: str, pem: Pem) -> AsyncIterator[Ovsdb]:
    """A connection to the first of several remotes, by commas, that answers: `unix:…`, `tcp:…` or `ssl:…` by `pem`.

    Raises:
        OvsdbError: none does; it says why of each.
        SettingsError: one of the texts of `pem` is not what it should be.
    """
    reasons = []
    for remote in filter(None, map(str.strip, remotes.split(","))):
        try:
            async with asyncio.timeout(_CONNECT_S):
                streams = await _open(remote, pem)
        except TimeoutError:
            reasons.append(f"{remote}: no connection within {_CONNECT_S:.0f} s")
            continue
        except OSError as error:
            reasons.append(f"{remote}: {_why(error, pem)}")
            continue
        try:
            yield Ovsdb(streams, database, pem)
        finally:
            streams[1].close()
        return
    raise OvsdbError("; ".join(reasons))


async def _open(remote: str, pem: Pem) -> Streams:
    kind, _, where = remote.partition(":")
    if kind == "unix":
        return await asyncio.open_unix_connection(where)
    host, _, port = where.rpartition(":")
    if kind == "tcp" and host and port.isdigit():
        return await asyncio.open_connection(host.strip("[]"), int(port))
    if kind == "ssl" and host and port.isdigit():
        context = pem.context()
        context.check_hostname = False  # as OVN itself: certificates of ovs-pki name nobody
        return await asyncio.open_connection(host.strip("[]"), int(port), ssl=context)
    raise OvsdbError(f"{remote}: unix:PATH, tcp:HOST:PORT or ssl:HOST:PORT is allowed")


def _why(error: OSError, pem: Pem) -> str:
    if isinstance(error, ssl.SSLError):
        return pem.explain(error)
    return error.strerror or str(error) or repr(error)


def _plain(value: Any) -> Any:
    match value:
        case ["set", members]:
            return [_plain(member) for member in members]
        case ["map", pairs]:
            return {_plain(key): _plain(item) for key, item in pairs}
        case ["uuid", text]:
            return text
        case _:
            return value
