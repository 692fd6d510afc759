"""Routes of the pod's main table, by netlink."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from veg_contracts.addresses import family as family_of
from veg_contracts.intent import Route
from veg_gw_agent.privileged.errors import KernelError
from veg_gw_agent.routes import PROTOCOL, Change, FoundRoute, Verb

_AF: Final = {"4": 2, "6": 10}  # AF_INET and AF_INET6 of Linux
_ANY: Final = {"4": "0.0.0.0", "6": "::"}  # noqa: S104  # the destination of a default route, which netlink leaves out
_MAIN_TABLE: Final = 254  # RT_TABLE_MAIN
_UNICAST: Final = 1  # RTN_UNICAST
_COMMANDS: Final = {Verb.ADD: "add", Verb.REPLACE: "replace", Verb.REMOVE: "del"}


class Netlink:
    """One netlink socket for one pass over the routes.

    Raises:
        KernelError: the kernel refused; the message says what.
    """

    def __init__(self, ip: Any) -> None:
        self._ip = ip
        with _asking("list the interfaces"):
            self.links: dict[str, int] = {link.get_attr("IFLA_IFNAME"): int(link["index"]) for link in ip.get_links()}

    def found(self, family: str) -> tuple[FoundRoute, ...]:
        """All unicast routes of the main table, ours and others'.

        Raises:
            KernelError: the kernel refused, or was interrupted by a change: the next pass asks again.
        """
        names = {index: name for name, index in self.links.items()}
        with _asking(f"list the routes of IPv{family}"):
            dump = tuple(self._ip.route("dump", family=_AF[family], table=_MAIN_TABLE))
        return tuple(
            FoundRoute(
                destination=f"{route.get_attr('RTA_DST') or _ANY[family]}/{route['dst_len']}",
                gateway=route.get_attr("RTA_GATEWAY") or "",
                interface=names.get(route.get_attr("RTA_OIF"), ""),
                protocol=int(route["proto"]),
            )
            for route in dump
            if route["type"] == _UNICAST
        )

    def carry_out(self, change: Change) -> None:
        """Add, replace or remove one route of ours. Removing what is gone is success.

        Raises:
            KernelError: the kernel refused; the message names the route and the reason.
        """
        route = change.route
        with _asking(change.describe()):
            try:
                self._ip.route(
                    _COMMANDS[change.verb],
                    family=_AF[family_of(route.destination)],
                    dst=route.destination,
                    gateway=route.gateway,
                    oif=self._index(route),
                    table=_MAIN_TABLE,
                    proto=PROTOCOL,
                )
            except NetlinkError as error:
                if change.verb is not Verb.REMOVE or error.code not in _GONE:
                    raise

    def _index(self, route: Route) -> int:
        try:
            return self.links[route.interface]
        except KeyError as error:
            raise KernelError(f"route to {route.destination}: no interface {route.interface}") from error


_GONE: Final = (2, 3)  # ENOENT, ESRCH


@contextmanager
def _asking(what: str) -> Iterator[None]:
    try:
        yield
    except (NetlinkError, OSError) as error:
        raise KernelError(f"cannot {what}: {error}") from error


@contextmanager
def netlink() -> Iterator[Netlink]:
    """Open a netlink socket.

    Raises:
        KernelError: netlink cannot be used.
    """
    with _asking("open netlink"):
        ip = IPRoute()
    try:
        yield Netlink(ip)
    finally:
        ip.close()
