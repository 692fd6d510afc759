"""OVN's schema, its patches, and src-ip routes of others."""

import msgspec
import pytest
from support.preflight import BESIDE, CLUSTER, EVERYTHING, NORTHBOUND, cluster, facts, said

from veg_contracts import names
from veg_ovn_writer import replica
from veg_ovn_writer.tables import TABLES
from vegctl.preflight import ovn
from vegctl.preflight.derive import report
from vegctl.preflight.facts import BfdPort, Northbound, Program, Route, Subnet, Unreached
from vegctl.preflight.findings import Verdict

ROUTE = Route(router="vpc1", prefix="192.168.0.0/24", nexthop="192.168.0.1", policy="src-ip")


def northbound(**changes: object) -> Northbound:
    return msgspec.structs.replace(NORTHBOUND, **changes)


def test_what_is_needed_is_what_the_ovn_writer_reads_and_writes() -> None:
    used = {name: set(columns) for name, columns in replica.BFD_PORT_COLUMNS.items()}
    used[replica.NB_GLOBAL] = {"nb_cfg", "sb_cfg", "hv_cfg"}
    for table in TABLES:
        used.setdefault(table.name, set()).update(table.columns, table.watched_columns)
        if table.parent_column:
            used["Logical_Router"].add(table.parent_column)
    used[ovn.ROUTES].remove(ovn.SELECTION_FIELDS)
    assert {name: set(columns) for name, columns in ovn.NEEDED.items()} == used


def test_an_ovn_without_sessions_of_policies_is_too_old() -> None:
    table = "Logical_Router_Policy"
    columns = EVERYTHING | {table: EVERYTHING[table] - {"bfd_sessions"}}
    found = report(facts(northbound=northbound(columns=columns)))
    assert "lacks Logical_Router_Policy.bfd_sessions" in said(found)["ovn.schema OVN Northbound"]
    assert found.verdict is Verdict.DOES_NOT_WORK


def test_an_ovn_without_selection_fields_has_limits() -> None:
    found = report(facts(northbound=northbound(columns=ovn.NEEDED)))
    assert list(said(found)) == ["ovn.selection-fields Logical_Router_Static_Route.selection_fields"]
    assert found.verdict is Verdict.WORKS_WITH_LIMITS


def test_a_database_that_is_not_named_is_unknown_and_one_that_is_away_a_blocker() -> None:
    found = report(facts(northbound=None))
    assert "set VEG_NB_REMOTE" in said(found)["ovn.schema OVN Northbound"]
    assert found.verdict is Verdict.WORKS_WITH_LIMITS
    found = report(facts(northbound=Unreached(where="tcp:10.0.0.1:6641", reason="refused")))
    assert "no answer from tcp:10.0.0.1:6641: refused" in said(found)["ovn.schema OVN Northbound"]
    assert found.verdict is Verdict.DOES_NOT_WORK


@pytest.mark.parametrize(
    ("ports", "image", "patched"),
    [
        ((), "", None),
        ((), "docker.io/kubeovn/kube-ovn:v1.17.0", True),
        ((), "example.com/ovn:25.03", None),
        ((BfdPort(name="bfd@vpc1", peered=False, up=1),), "", True),
        ((BfdPort(name="bfd@vpc1", peered=True, up=1),), "", None),
        ((BfdPort(name="bfd@vpc1", peered=False, up=0),), "", None),
    ],
)
def test_k5_the_relay_is_on_where_nothing_shows_the_patches(
    ports: tuple[BfdPort, ...], image: str, patched: bool | None
) -> None:
    seen = cluster(central=Program(key="kube-system/ovn-central", image=image) if image else None)
    database = northbound(bfd_ports=ports)
    assert ovn.has_patches(seen, database) is patched
    found = report(facts(cluster=seen, northbound=database))
    assert found.values is not None
    assert found.values.bfd_relay == ("auto" if patched else "on")
    off = said(report(facts(cluster=seen, northbound=database, asked={"bfd_relay": "off"})))
    assert ("ovn.patches OVN" in off) is (not patched)


def test_the_relay_of_ports_that_we_make_needs_no_setting() -> None:
    found = report(facts(cluster=CLUSTER)).values
    assert found is not None
    assert found.bfd_relay == "auto"


def test_k10_with_the_patches_ipv6_sources_of_a_policy_are_not_spread() -> None:
    six = Subnet(name="six", vpc="ovn-cluster", provider="ovn", cidr="10.17.0.0/16,fd00:17::/64")
    patched = cluster(
        central=Program(key="kube-system/ovn-central", image="kubeovn/kube-ovn:v1.17.0"), subnets=(*BESIDE.subnets, six)
    )
    assert list(said(report(facts(cluster=patched)))) == ["ovn.ipv6-hashing OVN"]


def test_k3_src_ip_routes_of_others_are_named_by_router() -> None:
    mine = msgspec.structs.replace(ROUTE, prefix="10.1.0.0/24", ours=True)
    default = Route(router="vpc1", prefix="0.0.0.0/0", nexthop="192.168.0.254", policy="dst-ip")
    database = northbound(routes=(ROUTE, mine, default))
    found = report(facts(northbound=database))
    (routes,) = [each for each in found.findings if each.id == "ovn.src-ip"]
    assert routes.found == "has src-ip routes that are not ours: 192.168.0.0/24 -> 192.168.0.1"
    assert routes.follows == "sources of these prefixes go by policies"
    assert found.verdict is Verdict.WORKS
    wrong = report(facts(northbound=database, asked={"custom_vpc_routing": "static-route"}))
    assert "set VEG_CUSTOM_VPC_ROUTING=auto" in said(wrong)["ovn.src-ip Logical_Router vpc1"]
    assert wrong.verdict is Verdict.DOES_NOT_WORK


def test_many_routes_are_counted() -> None:
    routes = tuple(msgspec.structs.replace(ROUTE, prefix=f"192.168.{number}.0/24") for number in range(9))
    found = report(facts(northbound=northbound(routes=routes)))
    (finding,) = [each for each in found.findings if each.id == "ovn.src-ip"]
    assert finding.found.endswith("192.168.3.0/24 -> 192.168.0.1 and 5 more")
    assert names.DEFAULT_VPC not in finding.object
