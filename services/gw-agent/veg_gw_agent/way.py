"""The pod's own way to the bus: which routes and rules it takes, whatever the main table says. Pure.

The main table stays as the user's document shows it. A rule for each address of the bus sends what the pod itself says
to that address (`iif lo`: never what it forwards) to a table of its own; a second rule refuses what finds no route
there, so that no credential leaves by the default route, which is the external network's.
"""

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from veg_contracts import addresses
from veg_contracts.base import Value
from veg_contracts.intent import Route

# Ours by the number of `routes.PROTOCOL`, so that one number finds all that is ours.
TABLE: Final = 118
LOOK_UP_PRIORITY: Final = 118  # before the main table's rule, 32766
REFUSE_PRIORITY: Final = 119


class Way(Value, frozen=True, kw_only=True):
    """Where the bus is: its addresses, and the interface and gateways ("v4", "v6" or "v4,v6") that lead there.

    `names` are hosts of its URL that are no addresses. They are reached as the pod's other routes have it.
    `apart` says that the interface leads to the bus only: nothing is forwarded into it or out of it.
    """

    interface: str
    gateways: str
    addresses: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    apart: bool = False


class Rule(Value, frozen=True, kw_only=True, order=True):
    """A routing rule of ours for what the pod itself sends to one address: look up our table, or refuse."""

    priority: int
    destination: str

    @property
    def refuses(self) -> bool:
        """Whether what comes to this rule is unreachable."""
        return self.priority == REFUSE_PRIORITY

    def describe(self) -> str:
        return f"rule {self.priority} for the bus at {self.destination}"


@dataclass(frozen=True)
class RuleChanges:
    """New rules come before old ones go."""

    add: tuple[Rule, ...] = ()
    remove: tuple[Rule, ...] = ()


def read(url: str, interface: str, gateways: str, internal: str) -> Way | None:
    """The way to the bus at `url`, which may hold several, by commas; None when no interface is named.

    `internal` is the interface on which the pod's clients come.
    """
    if not interface:
        return None
    hosts = [urlsplit(part).hostname or "" for part in addresses.split(url)]
    found = tuple(dict.fromkeys(str(ip_address(host)) for host in hosts if _is_address(host)))
    named = tuple(dict.fromkeys(host for host in hosts if not _is_address(host)))
    return Way(interface=interface, gateways=gateways, addresses=found, names=named, apart=interface != internal)


def routes(way: Way, family: str) -> tuple[Route, ...]:
    """The routes of our table. An address of a family without a gateway has none, and is refused."""
    gateway = addresses.of_family(way.gateways, family)
    if not gateway:
        return ()
    return tuple(
        Route(destination=addresses.masked(address), gateway=gateway, interface=way.interface)
        for address in way.addresses
        if addresses.family(address) == family
    )


def rules(way: Way, family: str) -> tuple[Rule, ...]:
    """The rules of that family."""
    return tuple(
        Rule(priority=priority, destination=addresses.masked(address))
        for priority in (LOOK_UP_PRIORITY, REFUSE_PRIORITY)
        for address in way.addresses
        if addresses.family(address) == family
    )


def rule_changes(want: tuple[Rule, ...], have: tuple[Rule, ...]) -> RuleChanges:
    """From the rules of ours that are there to those that are wanted. The refusing rule comes first and goes last."""
    missing = sorted(set(want) - set(have), reverse=True)
    return RuleChanges(add=tuple(missing), remove=tuple(sorted(set(have) - set(want))))


def unreached(way: Way) -> tuple[str, ...]:
    """Why the bus cannot be reached as the settings are, in words: none where one of its addresses can."""
    reasons = tuple(
        f"bus at {address}: VEG_BUS_GATEWAYS={way.gateways!r} has no gateway of IPv{addresses.family(address)}"
        for address in way.addresses
        if not addresses.of_family(way.gateways, addresses.family(address))
    )
    return reasons if len(reasons) == len(way.addresses) else ()


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
