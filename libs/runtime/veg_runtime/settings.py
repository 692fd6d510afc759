"""Settings come from the environment: `VEG_` and the field's name in capitals; `…_FILE` names a file with the value."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

import msgspec

TLS_SCHEME = "tls://"
_PREFIX = "VEG_"


class SettingsError(ValueError):
    """A setting is missing or wrong; the message names the environment variable and what is allowed."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Common to all services. Addresses are `host:port`; URLs hold no credential, since they are logged.

    `nats_tls_…` are for a `nats_url` of `tls://…`: `ca`, `cert` and `key` are PEM texts, `ca` empty for the authorities
    of the system; `server_name` is what the server's certificate must name, empty for the host in the URL.
    """

    nats_url: str = "nats://127.0.0.1:4222"
    nats_user: str = ""
    nats_password: str = ""
    nats_tls_ca: str = ""
    nats_tls_cert: str = ""
    nats_tls_key: str = ""
    nats_tls_server_name: str = ""
    health_address: str = "127.0.0.1:9100"
    log_level: str = "info"

    def __post_init__(self) -> None:
        """Check what the types cannot say."""
        refuse_credential("nats_url", self.nats_url, "VEG_NATS_USER and VEG_NATS_PASSWORD")
        names = ("nats_tls_ca", "nats_tls_cert", "nats_tls_key", "nats_tls_server_name")
        refuse_idle_tls("nats_url", self.nats_url, {name: getattr(self, name) for name in names})


SettingsT = TypeVar("SettingsT", bound=msgspec.Struct)


def load(struct: type[SettingsT], environ: Mapping[str, str] | None = None) -> SettingsT:
    """Read the settings of a service.

    Raises:
        SettingsError: a variable is missing, malformed, or its file cannot be read.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(struct):
        variable = _PREFIX + field.name.upper()
        if path := environ.get(f"{variable}_FILE"):
            values[field.name] = _convert(variable, _read(variable, path), field.type)
        elif variable in environ:
            values[field.name] = _convert(variable, environ[variable], field.type)
        elif field.required:
            raise SettingsError(f"environment variable {variable} (or {variable}_FILE) is not set")
    return struct(**values)


def refuse_credential(field: str, url: str, instead: str) -> None:
    """Refuse a URL of the bus with a user or password in it.

    Raises:
        SettingsError: it has; the message says where they belong `instead`, and does not repeat them.
    """
    if "@" in url:
        variable = _PREFIX + field.upper()
        raise SettingsError(f"environment variable {variable}: a credential before an @ is not allowed: use {instead}")


def refuse_idle_tls(field: str, url: str, tls: Mapping[str, str]) -> None:
    """Refuse settings of TLS beside a URL of the bus without TLS: who sets them believes to be safe.

    Raises:
        SettingsError: it names the URL's variable and those that are set.
    """
    said = " and ".join(_PREFIX + name.upper() for name, value in tls.items() if value)
    if said and not url.startswith(TLS_SCHEME):
        variable = _PREFIX + field.upper()
        raise SettingsError(f"environment variable {variable}: {url!r}: with {said} it must begin with {TLS_SCHEME}")


def _convert(variable: str, value: str, kind: Any) -> Any:
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        choices = get_args(kind) if get_origin(kind) is Literal else ()
        said = f"{' or '.join(choices)} is allowed" if choices else str(error)
        raise SettingsError(f"environment variable {variable}: {value!r}: {said}") from error


def _read(variable: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"{variable}_FILE={path}: {error.strerror}") from error
