"""The speaker's config file: timers, and a session for each pair of addresses, with the way to its peer."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from veg_bfdd.session import Timers

_MS_MAX = 3_600_000
_MULTIPLIER_MAX = 255
_TIMERS = Timers(min_rx=1_000_000, min_tx=1_000_000, multiplier=3)


class ConfigError(ValueError):
    """The file is not as it should be; the text names the field and what is allowed."""


@dataclass(frozen=True, slots=True, order=True)
class Pair:
    """The two ends of a session, as addresses in their canonical form."""

    local: str
    remote: str


@dataclass(frozen=True, slots=True)
class Config:
    """What is configured: no session at all as long as there is no file.

    What is for a peer that `via` has is sent to that address.
    """

    timers: Timers = _TIMERS
    pairs: tuple[Pair, ...] = ()
    via: Mapping[Pair, str] = field(default_factory=dict)


def parse(text: str | bytes) -> Config:
    """Read the file's JSON: `min_rx_ms`, `min_tx_ms`, `multiplier`, `sessions` of `local`, `remote` and maybe `via`.

    Raises:
        ConfigError: it says which field is wrong.
    """
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"no JSON: {error}") from error
    if not isinstance(raw, dict):
        raise ConfigError("no JSON object")
    timers = Timers(
        min_rx=_integer(raw, "min_rx_ms", _MS_MAX) * 1000,
        min_tx=_integer(raw, "min_tx_ms", _MS_MAX) * 1000,
        multiplier=_integer(raw, "multiplier", _MULTIPLIER_MAX),
    )
    sessions = raw.get("sessions", [])
    if not isinstance(sessions, list):
        raise ConfigError(f"sessions: {sessions!r}: a list is needed")
    pairs = [_pair(number, item) for number, item in enumerate(sessions)]
    via = {pair: _via(number, item, pair) for number, (pair, item) in enumerate(zip(pairs, sessions, strict=True))}
    return Config(timers, tuple(sorted(set(pairs))), {pair: address for pair, address in via.items() if address})


def _integer(raw: Mapping[str, Any], name: str, most: int) -> int:
    value = raw.get(name)
    if type(value) is not int or not 1 <= value <= most:
        raise ConfigError(f"{name}: {value!r}: 1 to {most} is allowed")
    return value


def _pair(number: int, item: object) -> Pair:
    try:
        ends = [ip_address(str(item[name])) for name in ("local", "remote")]  # type: ignore[index]  # caught below
    except (TypeError, KeyError, ValueError) as error:
        raise ConfigError(f"sessions[{number}]: {item!r}: addresses local and remote are needed: {error}") from error
    if ends[0].version != ends[1].version:
        raise ConfigError(f"sessions[{number}]: {item!r}: both addresses must be of one family")
    return Pair(str(ends[0]), str(ends[1]))


def _via(number: int, item: Mapping[str, object], pair: Pair) -> str:
    """Where to send what is for that peer; empty for the peer itself."""
    if "via" not in item:
        return ""
    try:
        found = ip_address(str(item["via"]))
    except ValueError as error:
        raise ConfigError(f"sessions[{number}].via: {error}") from error
    if found.version != ip_address(pair.remote).version:
        raise ConfigError(f"sessions[{number}].via: {found}: an address of the family of {pair.remote} is needed")
    return str(found)
