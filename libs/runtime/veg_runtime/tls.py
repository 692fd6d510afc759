"""TLS from settings: contexts made of PEM texts, and sentences that name the setting of what went wrong.

Whom to trust and who we are come as text, so that a file, a Secret and a variable do equally well.
"""

import os
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import msgspec

from veg_runtime.settings import SettingsError

# X509_V_ERR_… of OpenSSL (x509_vfy.h): the name or address that was asked for is not in the certificate.
_OTHER_NAME: Final = (62, 64)
# A server that wants a certificate, or refuses ours, says so by an alert (RFC 8446, section 6.2): OpenSSL's names.
_CLIENT_ALERTS: Final = ("CERTIFICATE_REQUIRED", "BAD_CERTIFICATE", "UNKNOWN_CA", "CERTIFICATE_UNKNOWN")

_CERTIFICATE: Final = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]*-----END CERTIFICATE-----")


class Pem(msgspec.Struct, frozen=True, kw_only=True):
    """Three PEM texts, empty where there is none, and what the settings that hold them begin with: "VEG_NATS_TLS".

    `ca`: the authorities to trust; without one, the system's. `certificate` and `key`: who we are.
    """

    prefix: str
    ca: str = ""
    certificate: str = ""
    key: str = ""

    def context(self) -> ssl.SSLContext:
        """How to talk to a server, whose certificate and name are checked.

        Raises:
            SettingsError: one of the texts is not what it should be.
        """
        context = ssl.create_default_context(cadata=authorities(f"{self.prefix}_CA", self.ca) or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if bool(self.certificate) != bool(self.key):
            raise SettingsError(f"{self.prefix}_CERT and {self.prefix}_KEY: one without the other is of no use")
        if self.certificate:
            self._identify(context)
        return context

    def _identify(self, context: ssl.SSLContext) -> None:
        with in_file(f"{self.certificate}\n{self.key}\n") as path:
            try:
                context.load_cert_chain(path, password=_no_password)
            except (ssl.SSLError, ValueError) as error:
                needed = "a certificate and its private key without a password are needed, in PEM form"
                raise SettingsError(f"{self.prefix}_CERT and {self.prefix}_KEY: {needed}: {_reason(error)}") from None

    def explain(self, error: BaseException) -> str:
        """Why a connection was not made, with the setting that it is about if TLS was the reason."""
        if isinstance(error, ssl.SSLCertVerificationError):
            setting = "SERVER_NAME" if error.verify_code in _OTHER_NAME else "CA"
            return f"{self.prefix}_{setting}: the server's certificate is refused: {error.verify_message}"
        if isinstance(error, ssl.SSLError) and (error.reason or "").endswith(_CLIENT_ALERTS):
            return f"{self.prefix}_CERT: the server refuses us: {_reason(error)}"
        if isinstance(error, ssl.SSLError):
            return f"TLS: {_reason(error)}"
        return repr(error)


def authorities(setting: str, pem: str) -> str:
    """The certificates of a text, without what stands around them; empty for the empty text.

    Raises:
        SettingsError: there are none, one is broken, or a private key is among them.
    """
    if "PRIVATE KEY" in pem:
        raise SettingsError(f"{setting}: a private key is not allowed here, only certificates of authorities")
    found = "\n".join(_CERTIFICATE.findall(pem))
    try:
        if pem:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=found)
    except (ssl.SSLError, ValueError) as error:
        raise SettingsError(f"{setting}: certificates in PEM form are needed: {_reason(error)}") from None
    return found


@contextmanager
def in_file(text: str) -> Iterator[str]:
    """The path of a file with this text, for libraries that read keys from files only. It is in memory and has no name.

    It lasts as long as the context.
    """
    number = os.memfd_create("veg-tls", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(number), "w") as file:
            file.write(text)
        yield f"/proc/self/fd/{number}"
    finally:
        os.close(number)


def _no_password() -> str:
    raise ValueError("the key is encrypted")  # OpenSSL would ask the terminal


def _reason(error: BaseException) -> str:
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.lower().replace("_", " ")
    return str(error).partition(" (_ssl.c")[0]
