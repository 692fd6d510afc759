"""Properties of every report, whatever the facts are."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as some
from support.preflight import (
    BESIDE,
    BUS,
    CLUSTER,
    KUBE_OVN_GATEWAYS,
    MANAGED,
    MANAGEMENT,
    NORTHBOUND,
    WORKS,
    cluster,
    controller,
    definition,
    ours,
    vpcs_definition,
)

from veg_contracts.names import OWN_GROUP
from veg_planner.main import ServiceSettings
from veg_runtime.settings import load
from vegctl.preflight.derive import report
from vegctl.preflight.facts import Asked, BfdPort, Cluster, Facts, Program, Unreached
from vegctl.preflight.findings import Severity, Verdict
from vegctl.preflight.values import NAMES

AWAY = Unreached(where="there", reason="gone")
PARTS = ("controller", "central", "definitions", "vpcs", "subnets", "attachments", "gateways", "service", "rights")


@some.composite
def clusters(draw: Any) -> Cluster:
    """Any Kube-OVN, in any state, of which any part may not be told."""
    kinds = (vpcs_definition(), vpcs_definition(bfd_port=False))
    gateways = (ours(), definition(KUBE_OVN_GATEWAYS), ours(OWN_GROUP))
    fields: dict[str, Any] = draw(some.sampled_from([{}, MANAGED]))
    release = draw(some.sampled_from(["", "latest", "v1.12.0", "v1.13.1", "v1.14.2", "v1.16.0", "v1.17.0", "v1.19.0"]))
    chosen = draw(some.lists(some.sampled_from(gateways), unique_by=lambda each: each.name))
    made = cluster(
        **fields,
        controller=controller(release) if release else None,
        central=draw(some.sampled_from([None, Program(key="kube-system/ovn-central", image="kube-ovn:1")])),
        definitions=(draw(some.sampled_from(kinds)), *chosen),
    )
    unread = draw(some.frozensets(some.sampled_from(PARTS)))
    empty = {name: getattr(Cluster(version=""), name) for name in unread}
    return msgspec.structs.replace(made, **empty, unread=dict.fromkeys(unread, "403"))


asked = some.builds(
    Asked,
    api_group=some.sampled_from(["", "kubeovn.io", OWN_GROUP]),
    custom_vpc_routing=some.sampled_from(["", "auto", "static-route", "policy"]),
    manage_bfd_ports=some.sampled_from(["", "auto", "true", "false"]),
    bfd_relay=some.sampled_from(["", "auto", "on", "off"]),
    management_network=some.sampled_from(["", MANAGEMENT, "nowhere/nothing"]),
    agent_nats_url=some.sampled_from(["", "nats://10.96.0.20:4222", "nats://nats:4222", "x"]),
    vpcs=some.sampled_from([(), ("vpc1",)]),
)
ports = some.sampled_from([(), (BfdPort(name="bfd@vpc1", peered=False, up=2),)])
databases = some.one_of(
    some.none(), some.just(AWAY), ports.map(lambda found: msgspec.structs.replace(NORTHBOUND, bfd_ports=found))
)
anything = some.builds(
    Facts,
    asked=asked,
    cluster=some.one_of(some.just(AWAY), clusters()),
    northbound=databases,
    bus=some.sampled_from([None, AWAY, BUS]),
)


@given(anything)
def test_the_verdict_is_that_of_the_worst_finding_which_comes_first(facts: Facts) -> None:
    found = report(facts)
    severities = [each.severity for each in found.findings]
    assert severities == sorted(severities, key=list(Severity)[::-1].index)
    worst = {"blocker": Verdict.DOES_NOT_WORK, "ok": Verdict.WORKS}
    assert found.verdict is worst.get(severities[0], Verdict.WORKS_WITH_LIMITS)


@given(anything)
def test_every_finding_that_is_not_ok_says_what_follows(facts: Facts) -> None:
    for finding in report(facts).findings:
        assert finding.id
        assert finding.object
        assert finding.found
        assert finding.follows or finding.severity is Severity.OK


@given(anything)
def test_a_server_that_is_away_is_never_a_cluster_that_works(facts: Facts) -> None:
    found = report(facts)
    if AWAY in (facts.cluster, facts.northbound, facts.bus):
        assert found.verdict is Verdict.DOES_NOT_WORK
    if isinstance(facts.cluster, Cluster) and facts.cluster.unread:
        assert found.verdict is not Verdict.WORKS


@given(anything)
def test_who_takes_what_follows_hears_no_more_of_settings(facts: Facts) -> None:
    """The settings that follow are judged right by the same rules, and lead to themselves."""
    first = report(facts)
    if first.values is None:
        return
    settings = {field: getattr(first.values, field) for field in NAMES}
    second = report(msgspec.structs.replace(facts, asked=msgspec.structs.replace(facts.asked, **settings)))
    assert second.values == first.values
    about = {"kube-ovn.gateways", "kube-ovn.bfd-port", "ovn.patches", "ovn.src-ip"}
    wrong = [each for each in second.findings if each.id in about and each.severity in ("limit", "blocker")]
    assert wrong == []


@given(anything)
def test_the_planner_takes_what_follows(facts: Facts) -> None:
    found = report(facts).values
    if found is not None:
        loaded = load(ServiceSettings, {"VEG_POSTGRES_URL": "postgresql://x/y", **found.settings})
        assert loaded.planning().manage_bfd_ports is found.makes_bfd_ports


def test_both_worlds_of_the_tests_work() -> None:
    assert report(WORKS).verdict is Verdict.WORKS
    assert report(msgspec.structs.replace(WORKS, cluster=CLUSTER)).verdict is Verdict.WORKS_WITH_LIMITS, "it deletes"
    assert BESIDE.controller != CLUSTER.controller
