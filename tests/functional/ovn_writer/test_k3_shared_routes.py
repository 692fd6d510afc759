"""A next hop of ours never stands in one ECMP group with a stranger's (CASES K3), and strangers' routes are told."""

from collections.abc import Callable

import msgspec
import pytest
from functional.ovn_writer.harness import GATEWAY, Bus, Writer, command, policy, route
from functional.ovsdb import Ovsdb
from functional.servers import wait_for

from veg_contracts.events import RoutesObserved, RowsListed
from veg_contracts.intent import NbRows

ROUTER = "vpc1"
PREFIX = "192.168.0.0/24"
TABLE = "Logical_Router_Static_Route"
BY_ROUTES = NbRows(router=ROUTER, static_routes=(route(PREFIX, "192.168.0.2"), route(PREFIX, "192.168.0.3")))
BY_POLICIES = NbRows(router=ROUTER, policies=(policy(PREFIX, "192.168.0.2", "192.168.0.3"),))


@pytest.fixture(autouse=True)
def router(nb: Ovsdb) -> None:
    nb.nbctl("lr-add", ROUTER)


def _theirs(nb: Ovsdb, prefix: str = PREFIX, *options: str, policy: str = "src-ip") -> None:
    """As Kube-OVN >= 1.14 adds for each subnet of a custom VPC."""
    nb.nbctl("--ecmp", f"--policy={policy}", *options, "lr-route-add", ROUTER, prefix, "192.168.0.1")


def _groups(nb: Ovsdb) -> list[tuple[str, str]]:
    return sorted((row["ip_prefix"], row["nexthop"]) for row in nb.rows(TABLE))


def test_k3_a_strangers_route_that_comes_after_ours(nb: Ovsdb, bus: Bus, writer: Writer) -> None:
    bus.send(command(1, BY_ROUTES))
    bus.wait_event(f"uid-{GATEWAY}/1/nb/applied")
    _theirs(nb)
    assert bus.wait_routes_observed() == RoutesObserved(router=ROUTER, prefixes=(PREFIX,))
    before = nb.dump()
    bus.send(command(2, BY_ROUTES))
    message = bus.wait_event(f"uid-{GATEWAY}/2/nb/failed").message
    assert f"{PREFIX} -> 192.168.0.2" in message
    assert f"{PREFIX} -> 192.168.0.1" in message
    assert ROUTER in message
    assert nb.dump() == before
    # The plan that knows: one command and so one transaction from one form to the other.
    bus.send(command(3, BY_POLICIES))
    detail = bus.wait_event(f"uid-{GATEWAY}/3/nb/applied").detail
    assert (detail["inserted"], detail["removed"]) == ("1", "2")
    assert _groups(nb) == [(PREFIX, "192.168.0.1")]
    nb.nbctl("lr-route-del", ROUTER)
    assert bus.wait_routes_observed(2) == RoutesObserved(router=ROUTER)
    bus.send(command(4, BY_ROUTES))
    bus.wait_event(f"uid-{GATEWAY}/4/nb/applied")
    assert _groups(nb) == [(PREFIX, "192.168.0.2"), (PREFIX, "192.168.0.3")]
    assert bus.observed("drift") == []
    assert writer.alive


@pytest.mark.parametrize("prefix", ["192.168.0.9/24", PREFIX])
def test_k3_a_route_that_another_one_has_already_is_refused(nb: Ovsdb, bus: Bus, writer: Writer, prefix: str) -> None:
    (theirs,) = (("--id=@r", "create", TABLE, f'ip_prefix="{prefix}"', 'nexthop="192.168.0.1"', "policy=src-ip"),)
    nb.nbctl(*theirs, "--", "add", "Logical_Router", ROUTER, "static_routes", "@r")
    bus.send(command(1, BY_ROUTES))
    assert prefix in bus.wait_event(f"uid-{GATEWAY}/1/nb/failed").message
    assert bus.wait_routes_observed() == RoutesObserved(router=ROUTER, prefixes=(PREFIX,))
    assert len(_groups(nb)) == 1
    assert writer.alive


def test_k3_routes_of_other_groups_are_in_nobodys_way(nb: Ovsdb, bus: Bus, writer: Writer) -> None:
    _theirs(nb, policy="dst-ip")
    _theirs(nb, PREFIX, "--route-table=elsewhere")
    _theirs(nb, "192.168.1.0/24")
    nb.nbctl("lr-add", "vpc2", "--", "--policy=src-ip", "lr-route-add", "vpc2", PREFIX, "192.168.0.1")
    bus.send(command(1, BY_ROUTES))
    bus.wait_event(f"uid-{GATEWAY}/1/nb/applied")
    wanted = {ROUTER: ("192.168.1.0/24",), "vpc2": (PREFIX,)}
    wait_for("all is told", lambda: {event.router: event.prefixes for event in bus.routes_observed()} == wanted)
    assert writer.alive


def test_k3_what_there_is_is_told_after_each_start(nb: Ovsdb, bus: Bus, make_writer: Callable[[], Writer]) -> None:
    _theirs(nb)
    _theirs(nb, "10.0.0.0/8")
    first = make_writer()
    assert bus.wait_listed() == RowsListed(routers=(ROUTER,))
    assert bus.routes_observed() == [RoutesObserved(router=ROUTER, prefixes=("10.0.0.0/8", PREFIX))]
    first.kill()
    nb.nbctl("lr-route-del", ROUTER)
    make_writer()
    assert bus.wait_listed(2) == RowsListed()


def test_k3_a_route_of_ours_that_loses_its_owner_is_a_strangers(nb: Ovsdb, bus: Bus, writer: Writer) -> None:
    bus.send(command(1, BY_ROUTES))
    bus.wait_event(f"uid-{GATEWAY}/1/nb/applied")
    (uuid,) = [row["_uuid"] for row in nb.rows(TABLE) if row["nexthop"] == "192.168.0.2"]
    nb.nbctl("clear", TABLE, uuid, "external_ids")
    assert bus.wait_routes_observed().prefixes == (PREFIX,)
    assert bus.wait_observed("drift").after == (
        msgspec.structs.replace(BY_ROUTES, static_routes=BY_ROUTES.static_routes[1:]),
    )
    bus.send(command(1, BY_ROUTES, number="/again"))
    message = bus.wait_event(f"uid-{GATEWAY}/1/nb/again/failed").message
    assert "192.168.0.2" in message
    assert writer.alive


def test_k3_an_edit_in_place_is_told(nb: Ovsdb, bus: Bus, writer: Writer) -> None:
    _theirs(nb)
    assert bus.wait_routes_observed().prefixes == (PREFIX,)
    (row,) = nb.rows(TABLE)
    nb.nbctl("set", TABLE, row["_uuid"], 'ip_prefix="192.168.7.0/24"')
    assert bus.wait_routes_observed(2).prefixes == ("192.168.7.0/24",)
    nb.nbctl("set", TABLE, row["_uuid"], "policy=dst-ip")
    assert bus.wait_routes_observed(3).prefixes == ()
    assert writer.alive
