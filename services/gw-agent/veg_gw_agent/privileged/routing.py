"""Routes of the pod, of its main table or of one of ours, and rules of ours, by netlink."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from veg_contracts.addresses import family as family_of
from veg_contracts.intent import Route
from veg_gw_agent.privileged.errors import KernelError
from veg_gw_agent.routes import PROTOCOL, Change, FoundRoute, Verb
from veg_gw_agent.way import TABLE, Rule

_AF: Final = {"4": 2, "6": 10}  # AF_INET and AF_INET6 of Linux
_ANY: Final = {"4": "0.0.0.0", "6": "::"}  # noqa: S104  # the destination of a default route, which netlink leaves out
MAIN_TABLE: Final = 254  # RT_TABLE_MAIN
_TO_TABLE, _UNREACHABLE = "FR_ACT_TO_TBL", "FR_ACT_UNREACHABLE"
_LOOPBACK: Final = "lo"  # as the interface that a packet came in by: the pod's own packets
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

    def found(self, family: str, table: int = MAIN_TABLE) -> tuple[FoundRoute, ...]:
        """All unicast routes of a table, ours and others'.

        Raises:
            KernelError: the kernel refused, or was interrupted by a change: the next pass asks again.
        """
        names = {index: name for name, index in self.links.items()}
        with _asking(f"list the routes of IPv{family}"):
            dump = tuple(self._ip.route("dump", family=_AF[family], table=table))
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

    def carry_out(self, change: Change, table: int = MAIN_TABLE) -> None:
        """Add, replace or remove one route of ours in a table. Removing what is gone is success.

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
                    table=table,
                    proto=PROTOCOL,
                )
            except NetlinkError as error:
                if change.verb is not Verb.REMOVE or error.code not in _GONE:
                    raise

    def rules(self, family: str) -> tuple[Rule, ...]:
        """The rules of ours.

        Raises:
            KernelError: the kernel refused.
        """
        with _asking(f"list the rules of IPv{family}"):
            dump = tuple(self._ip.rule("dump", family=_AF[family]))
        return tuple(
            Rule(priority=rule.get_attr("FRA_PRIORITY"), destination=f"{rule.get_attr('FRA_DST')}/{rule['dst_len']}")
            for rule in dump
            if rule.get_attr("FRA_PROTOCOL") == PROTOCOL
        )

    def add_rule(self, rule: Rule) -> None:
        """Add a rule of ours.

        Raises:
            KernelError: the kernel refused; the message names the rule.
        """
        with _asking(f"add {rule.describe()}"):
            self._rule("add", rule)

    def remove_rule(self, rule: Rule) -> None:
        """Remove a rule of ours. Removing what is gone is success.

        Raises:
            KernelError: the kernel refused; the message names the rule.
        """
        with _asking(f"remove {rule.describe()}"):
            try:
                self._rule("del", rule)
            except NetlinkError as error:
                if error.code not in _GONE:
                    raise

    def _rule(self, command: str, rule: Rule) -> None:
        address, _, length = rule.destination.partition("/")
        more = {"action": _UNREACHABLE} if rule.refuses else {"action": _TO_TABLE, "table": TABLE}
        self._ip.rule(
            command,
            family=_AF[family_of(rule.destination)],
            priority=rule.priority,
            dst=address,
            dst_len=int(length),
            iifname=_LOOPBACK,
            protocol=PROTOCOL,
            **more,
        )

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
