"""Settings come from the environment: `VEG_` and the field's name in capitals; `…_FILE` names a file with the value."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

_PREFIX = "VEG_"


class SettingsError(ValueError):
    """A setting is missing or wrong; the message names the environment variable and what is allowed."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Common to all services. Addresses are `host:port`."""

    nats_url: str = "nats://127.0.0.1:4222"
    nats_user: str = ""
    nats_password: str = ""
    health_address: str = "127.0.0.1:9100"
    log_level: str = "info"


SettingsT = TypeVar("SettingsT", bound=msgspec.Struct)


def load(struct: type[SettingsT], environ: Mapping[str, str] | None = None) -> SettingsT:
    """Read the settings of a service.

    Raises:
        SettingsError: a variable is missing, malformed, or its file cannot be read.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, str] = {}
    for field in msgspec.structs.fields(struct):
        variable = _PREFIX + field.name.upper()
        if path := environ.get(f"{variable}_FILE"):
            values[field.name] = _read(variable, path)
        elif variable in environ:
            values[field.name] = environ[variable]
        elif field.required:
            raise SettingsError(f"environment variable {variable} (or {variable}_FILE) is not set")
    try:
        return msgspec.convert(values, struct, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"environment variable {_PREFIX}* does not fit: {error}") from error


def _read(variable: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"{variable}_FILE={path}: {error.strerror}") from error
