"""Connections to OVSDB servers that may not be there yet, or not for a while."""

import logging
import socket
import time
from collections.abc import Iterable
from typing import Any

from ovsdbapp.backend.ovs_idl import connection

LOG = logging.getLogger(__name__)

POLL_S = 0.5
TRANSACTION_TIMEOUT_S = 10
# A server of the lab that was killed is back within a second; the library's own limit of 8 s would be felt.
MIN_BACKOFF_MS, MAX_BACKOFF_MS = 100, 1000


def connect(remote: str, schema: str, tables: Iterable[str] = ()) -> Any:
    """An ovsdbapp connection to `unix:<path>`, to all tables or to those that are named.

    Waits until the server listens: the schema is read from it.
    """
    path = remote.removeprefix("unix:")
    said = False
    while not _listens(path):
        if not said:
            LOG.warning("waiting for %s", remote)
            said = True
        time.sleep(POLL_S)
    idl = connection.OvsdbIdl.from_server(remote, schema, helper_tables=tuple(tables))
    # There is no public way to set it.
    idl._session.reconnect.set_backoff(MIN_BACKOFF_MS, MAX_BACKOFF_MS)  # noqa: SLF001
    return connection.Connection(idl, TRANSACTION_TIMEOUT_S)


def _listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
        return True
