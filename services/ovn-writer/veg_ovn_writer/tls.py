"""`ssl:` to OVN's databases.

The library knows one trust and one identity for the whole process, and reads their files at each connection: here they
are in memory. It tells nobody why a handshake failed: here that is remembered, and told.

A server's certificate is checked, its name is not, as in OVN itself: certificates of ovs-pki name nobody. Whoever has
one of that authority is OVN, so the authority must be OVN's own.
"""

import asyncio
import errno
import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import ClassVar, Final

from ovs import poller, socket_util
from ovs.stream import SSLStream, Stream
from ovsdbapp.backend.ovs_idl import idlutils

from veg_runtime import logs
from veg_runtime.settings import SettingsError
from veg_runtime.tls import Pem, in_file

METHOD: Final = "ssl:"
_LOOK_S: Final = 1.0

log = logs.get("tls")


def check(remotes: Mapping[str, str], own: Mapping[str, str]) -> None:
    """Refuse `ssl:` without what it takes, and what it takes where nothing asks for it. Both by their variables' names.

    Raises:
        SettingsError: it names the variable, its value and what is allowed.
    """
    secure = {name: value for name, value in remotes.items() if METHOD in value}
    names = ", ".join(own)
    for name, value in secure.items():
        if not all(own.values()):
            raise SettingsError(f"environment variable {name}: {value!r}: {METHOD} needs all of {names}")
    if any(own.values()) and not secure:
        said = " and ".join(f"{name} {value!r}" for name, value in remotes.items() if value)
        raise SettingsError(f"environment variables {names}: of no use without {METHOD} in {said}")


@contextmanager
def used(pem: Pem) -> Iterator[None]:
    """Talk to every `ssl:` remote by this, as long as the context lasts.

    Raises:
        SettingsError: one of the texts is not what it should be.
    """
    pem.context()
    with in_file(pem.ca) as authorities, in_file(pem.certificate) as certificate, in_file(pem.key) as key:
        Stream.ssl_set_ca_cert_file(authorities)
        Stream.ssl_set_certificate_file(certificate)
        Stream.ssl_set_private_key_file(key)
        _Stream.pem = pem
        Stream.register_method("ssl", _Stream)
        yield


def why(remote: str, error: int) -> str:
    """What the error number of a connection to that remote means: the handshake's reason, if it was that."""
    return _Stream.failures.pop(remote, "") or os.strerror(error)


async def tell(remotes: str) -> None:
    """Say why handshakes of the library's own connections fail, for ever."""
    while True:
        for remote in idlutils.parse_connection(remotes):
            if reason := _Stream.failures.pop(remote, ""):
                log.warning("database not reached", remote=remote, error=reason)
        await asyncio.sleep(_LOOK_S)


class _Stream(SSLStream):  # type: ignore[misc]  # the library is untyped
    """Remembers the last failure of each remote. May run in several threads."""

    pem: ClassVar[Pem]
    failures: ClassVar[dict[str, str]] = {}
    _reads: bool = False

    def connect(self) -> int:
        if error := int(Stream.connect(self)):
            return error
        try:
            self.socket.do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as wants:
            self._reads = isinstance(wants, ssl.SSLWantReadError)
            return errno.EAGAIN
        except OSError as failure:
            return self._failed(failure)
        return 0

    def recv(self, n: int) -> tuple[int, bytes]:
        """Here a server of TLS 1.3 says that it refuses our certificate: for us the handshake was over before."""
        try:
            error, data = self._recv(n)
        except ssl.SSLWantReadError:
            return errno.EAGAIN, b""
        except ssl.SSLZeroReturnError:
            return 0, b""
        except OSError as failure:
            return self._failed(failure), b""
        return error, data

    def wait(self, poller: poller.Poller, wait: int) -> None:
        """A handshake waits for what the server says; the library would wait for room to write, which is there."""
        super().wait(poller, Stream.W_RECV if wait == Stream.W_CONNECT and self._reads else wait)

    def _failed(self, failure: OSError) -> int:
        if isinstance(failure, ssl.SSLError) and not isinstance(failure, ssl.SSLEOFError):
            self.failures[self.name] = self.pem.explain(failure)
            return errno.EPROTO
        return int(socket_util.get_exception_errno(failure))
