import errno
from typing import Any

import pytest
from pyroute2.netlink.exceptions import NetlinkDumpInterrupted, NetlinkError

from veg_contracts.intent import Route
from veg_gw_agent.privileged.errors import KernelError
from veg_gw_agent.privileged.routing import Netlink
from veg_gw_agent.routes import Change, Verb

REMOVE = Change(Verb.REMOVE, Route(destination="10.20.0.0/16", gateway="10.16.0.1", interface="eth0"))
ERRORS = [NetlinkError(errno.EBUSY, "busy"), NetlinkDumpInterrupted(), OSError(errno.ENOBUFS, "no buffer space")]


class Link(dict[str, Any]):
    def get_attr(self, _: str) -> str:
        return "eth0"


class Kernel:
    """Answers for the links; what it answers for routes is an error."""

    def __init__(self, links: Exception | None, routes: Exception) -> None:
        self._links, self._routes = links, routes

    def get_links(self) -> list[Link]:
        if self._links is not None:
            raise self._links
        return [Link(index=1)]

    def route(self, *_: Any, **__: Any) -> Any:
        raise self._routes


@pytest.mark.parametrize("error", ERRORS)
def test_what_netlink_refuses_is_an_error_of_the_kernel(error: Exception) -> None:
    with pytest.raises(KernelError, match="list the interfaces"):
        Netlink(Kernel(error, error))
    link = Netlink(Kernel(None, error))
    with pytest.raises(KernelError, match="list the routes of IPv4"):
        link.found("4")
    with pytest.raises(KernelError, match="remove route to 10"):
        link.carry_out(REMOVE)


def test_what_is_gone_is_removed() -> None:
    Netlink(Kernel(None, NetlinkError(errno.ESRCH, "no such process"))).carry_out(REMOVE)
