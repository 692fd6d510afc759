"""The routes of a config, and the changes from what is found to what is wanted. Pure."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from veg_contracts.addresses import contains, masked, parse
from veg_contracts.addresses import family as family_of
from veg_contracts.base import Value
from veg_contracts.intent import PodConfig, Route

# Routes with this protocol number are ours. iproute2's rt_protos and Linux' rtnetlink.h give it to nobody: 4 to 99
# and 186 to 192 are taken here and there by routing daemons.
PROTOCOL: Final = 118


class FoundRoute(Value, frozen=True, kw_only=True):
    """A unicast route of the main table. `gateway` is empty for a connected one; `protocol` says whose it is."""

    destination: str
    gateway: str
    interface: str
    protocol: int


class Verb(StrEnum):
    ADD = "add"
    REPLACE = "replace"
    REMOVE = "remove"


@dataclass(frozen=True)
class Change:
    verb: Verb
    route: Route

    def describe(self) -> str:
        return f"{self.verb} route to {self.route.destination} via {self.route.gateway} on {self.route.interface}"


@dataclass(frozen=True)
class Plan:
    """What to do, new routes before old ones go; and the routes that somebody else's route is in the way of."""

    changes: tuple[Change, ...] = ()
    conflicts: tuple[str, ...] = ()


def wanted(config: PodConfig, family: str) -> tuple[Route, ...]:
    """The routes of that family."""
    if family not in config.families:
        return ()
    return tuple(route for route in config.routes if family_of(route.destination) == family)


def here(want: tuple[Route, ...], have: tuple[FoundRoute, ...]) -> tuple[Route, ...]:
    """Those for this pod, when the config has routes for pods in several subnets, as while a gateway moves.

    A gateway address that is on-link here is this pod's way, and a destination that is on-link itself needs none. What
    nothing here leads to stays wanted, so that it is reported.
    """

    def on_link(text: str, interface: str) -> bool:
        return any(
            not route.gateway and route.interface == interface and contains(route.destination, text) for route in have
        )

    ways = {route.destination for route in want if on_link(route.gateway, route.interface)}
    return tuple(
        route
        for route in want
        if on_link(route.gateway, route.interface)
        or not (route.destination in ways or on_link(route.destination, route.interface))
    )


def plan(want: tuple[Route, ...], have: tuple[FoundRoute, ...]) -> Plan:
    """Changes to routes of ours only. Somebody else's route that is the same as a wanted one serves as well."""
    ours = {_key(route): route for route in have if route.protocol == PROTOCOL}
    others = [route for route in have if route.protocol != PROTOCOL]
    present = {_key(route) for route in have}
    changes: list[Change] = []
    conflicts: list[str] = []
    keep = {_key(route) for route in want}
    for missing in (route for route in want if _key(route) not in present):
        foreign = [other for other in others if _key(other)[0] == _key(missing)[0]]
        old = {key for key in ours if key[0] == _key(missing)[0]}
        if foreign:
            conflicts.append(_conflict(missing, foreign[0]))
        else:
            changes.append(Change(Verb.REPLACE if old else Verb.ADD, missing))
            keep |= old  # replacing removes it
    changes += [Change(Verb.REMOVE, _as_route(route)) for key, route in ours.items() if key not in keep]
    return Plan(tuple(changes), tuple(conflicts))


_Key = tuple[str, str, str]


def _key(route: Route | FoundRoute) -> _Key:
    gateway = str(parse(route.gateway).ip) if route.gateway else ""
    return masked(route.destination), gateway, route.interface


def _as_route(route: FoundRoute) -> Route:
    return Route(destination=route.destination, gateway=route.gateway, interface=route.interface)


def _conflict(route: Route, other: FoundRoute) -> str:
    return (
        f"route to {route.destination} via {route.gateway} on {route.interface}: somebody else's is in the way, "
        f"via {other.gateway or 'no gateway'} on {other.interface} (protocol {other.protocol})"
    )
