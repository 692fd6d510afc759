"""Reads a config from the bus or the disk and checks it, so that nothing malformed reaches the kernel. Pure."""

import re
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from veg_contracts.addresses import FAMILIES, family, masked, parse
from veg_contracts.base import Value
from veg_contracts.intent import PodBfd, PodConfig, Route

# Linux takes more; these need no quotes in a rule, and mean one interface (iptables takes "net+" for many).
_INTERFACE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,14}")
# RFC 5880, 4.1: 32 bits of microseconds, and 8 bits.
_INTERVAL_MAX_MS: Final = (2**32 - 1) // 1000
_MULTIPLIER_MAX: Final = 255


class _Identity(Value, frozen=True, kw_only=True):
    gateway: str
    gateway_uid: str
    generation: int


class MalformedConfigError(ValueError):
    """The config is not one; the message names the field, its value and what is allowed."""


def read(body: bytes) -> PodConfig:
    """Decode and check.

    Raises:
        MalformedConfigError: it cannot be applied as it stands.
    """
    try:
        config = msgspec.json.decode(body, type=PodConfig)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedConfigError(str(error)) from error
    check(config)
    return config


def identity(body: bytes) -> PodConfig | None:
    """Whose config a malformed one is, and which: that, and nothing else of it. None when it does not say."""
    try:
        found = msgspec.json.decode(body, type=_Identity)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return PodConfig(gateway=found.gateway, gateway_uid=found.gateway_uid, generation=found.generation)


def check(config: PodConfig) -> None:
    """Check what the types cannot say.

    Raises:
        MalformedConfigError: a field is out of its range.
    """
    for problem in _problems(config):
        raise MalformedConfigError(problem)


def _problems(config: PodConfig) -> Iterator[str]:
    if config.generation < 1:
        yield f"generation: {config.generation}, must be at least 1"
    for index, text in enumerate(config.families):
        if text not in FAMILIES:
            yield f"families[{index}]: {text!r}, must be one of {', '.join(FAMILIES)}"
    for name in ("internal_interface", "external_interface"):
        if not _INTERFACE.fullmatch(getattr(config, name)):
            yield f"{name}: {getattr(config, name)!r} is no name of an interface"
    for name in ("sources", "lingering"):
        for index, source in enumerate(getattr(config, name)):
            yield from _no_cidr(f"{name}[{index}].cidr", source.cidr)
    yield from _routes_problems(config.routes)
    if config.bfd is not None:
        yield from _bfd_problems(config.bfd)


def _bfd_problems(bfd: PodBfd) -> Iterator[str]:
    for name, most in (("min_rx", _INTERVAL_MAX_MS), ("min_tx", _INTERVAL_MAX_MS), ("multiplier", _MULTIPLIER_MAX)):
        if not 1 <= getattr(bfd, name) <= most:
            yield f"bfd.{name}: {getattr(bfd, name)}, must be from 1 to {most}"
    for index, peer in enumerate(bfd.peers):
        if _raises(_address, peer):
            yield f"bfd.peers[{index}]: {peer!r} is no address"
        elif peer in bfd.peers[:index]:
            yield f"bfd.peers[{index}]: {peer!r} is there twice"
    for peer, address in bfd.via.items():
        if peer not in bfd.peers:
            yield f"bfd.via: {peer!r} is none of the peers"
        elif _raises(_address, address) or _raises(_address, peer) or family(address) != family(peer):
            yield f"bfd.via[{peer!r}]: {address!r} is no address of the family of {peer}"


def _routes_problems(routes: tuple[Route, ...]) -> Iterator[str]:
    ways: set[tuple[str, str]] = set()
    for index, route in enumerate(routes):
        yield from _route_problems(f"routes[{index}]", route)
        way = (route.destination, route.gateway)
        if way in ways:
            yield f"routes[{index}]: the way to {route.destination!r} via {route.gateway!r} is there twice"
        ways.add(way)


def _route_problems(field: str, route: Route) -> Iterator[str]:
    yield from _no_cidr(f"{field}.destination", route.destination)
    if _raises(_address, route.gateway):
        yield f"{field}.gateway: {route.gateway!r} is no address"
    elif family(route.gateway) != family(route.destination):
        yield f"{field}.gateway: {route.gateway!r} is not of the family of {route.destination}"
    if not route.interface:
        yield f"{field}.interface: is empty"


def _no_cidr(field: str, text: str) -> Iterator[str]:
    if _raises(parse, text):
        yield f"{field}: {text!r} is no CIDR"
    elif masked(text) != text:
        yield f"{field}: {text!r} is not in its canonical form {masked(text)!r}"


def _address(text: str) -> None:
    if "/" in text:
        raise ValueError(text)
    parse(text)


def _raises(function: Callable[[str], object], text: str) -> bool:
    try:
        function(text)
    except ValueError:
        return True
    return False
