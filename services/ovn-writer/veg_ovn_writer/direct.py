"""Questions to the server beside the connection that keeps our copy, each with a connection of its own."""

import errno
import time
from typing import Any, Final

from ovs import jsonrpc, poller, stream
from ovsdbapp.backend.ovs_idl import idlutils

from veg_ovn_writer import tls
from veg_ovn_writer.errors import NotNowError

DATABASE: Final = "OVN_Northbound"
_CONNECT_S: Final = 2  # how long one attempt may hold a thread


def fetch_schema(remotes: str, database: str = DATABASE) -> dict[str, Any]:
    """The server's schema. The library's own function for that waits without end for a server that hangs.

    Raises:
        NotNowError: no server answers.
    """
    schema: dict[str, Any] = _request(remotes, "get_schema", [database])
    return schema


def missing(schema: dict[str, Any], table: str, columns: tuple[str, ...]) -> str:
    """What the schema lacks, as a sentence; empty when it lacks nothing."""
    where = f"the schema of {schema.get('name', DATABASE)} {schema.get('version', '')}"
    if table not in schema["tables"]:
        return f"{where} has no table {table}"
    lacking = [column for column in columns if column not in schema["tables"][table]["columns"]]
    return f"{where} has no column {', '.join(f'{table}.{column}' for column in lacking)}" if lacking else ""


def select(remotes: str, table: str, condition: list[Any], *columns: str) -> list[dict[str, Any]]:
    """The rows of a table that meet a condition (RFC 7047, 5.1), in JSON, of columns that our copy does not have.

    Raises:
        NotNowError: no server answers.
    """
    query = {"op": "select", "table": table, "where": [condition], "columns": list(columns)}
    (answer,) = _request(remotes, "transact", [DATABASE, query])
    rows: list[dict[str, Any]] = answer["rows"]
    return rows


def _request(remotes: str, method: str, parameters: list[Any]) -> Any:
    reasons = []
    for remote in idlutils.parse_connection(remotes):
        error, opened = stream.Stream.open_block(stream.Stream.open(remote), timeout=_CONNECT_S * 1000)
        if error:
            reasons.append(f"{remote}: {tls.why(remote, error)}")
            continue
        connection = jsonrpc.Connection(opened)
        try:
            answer = _ask(connection, jsonrpc.Message.create_request(method, parameters))
        finally:
            connection.close()
        if not isinstance(answer, str):
            return answer
        reasons.append(f"{remote}: {answer}")
    raise NotNowError("; ".join(reasons))


def _ask(connection: jsonrpc.Connection, request: jsonrpc.Message) -> Any:
    """The answer, or what went wrong, as text."""
    deadline = time.monotonic() + _CONNECT_S
    connection.send(request)
    while (left_s := deadline - time.monotonic()) > 0:
        connection.run()
        error, reply = connection.recv()
        if reply is not None and reply.id == request.id:
            return reply.result if reply.result is not None else str(reply.error)
        if error and error != errno.EAGAIN:
            return tls.why(connection.name, error)
        wait = poller.Poller()
        connection.wait(wait)
        connection.recv_wait(wait)
        wait.timer_wait(int(left_s * 1000) + 1)
        wait.block()
    return "no answer"
