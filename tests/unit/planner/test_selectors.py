"""Pods selected by labels: which ones, by whom, and at what cost."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.simulation import GATEWAY, Simulation, client, gateway, pod

from veg_contracts import names
from veg_contracts.base import encode
from veg_contracts.commands import ChangeMembers, EnsureMembers, members_part
from veg_contracts.events import CommandRefused, MembersObserved, RowsListed, StreamsCreated
from veg_contracts.intent import RoutePolicy
from veg_contracts.objects import Namespace, Pod
from veg_planner.core import Entry
from veg_planner.selectors import matches, selects
from veg_planner.spec import PodSelector, Selector

GROUP = names.port_group(GATEWAY)
YOUNG_GROUP = names.port_group("default/young")
APP = [{"podSelector": {"matchLabels": {"app": "web"}}}]


def selecting(selectors: list[dict[str, Any]] = APP, **fields: Any) -> Simulation:
    simulation = Simulation()
    simulation.prepare()
    simulation.see(Namespace(name="default"))
    simulation.create(selectors=selectors, **{"policies": []} | fields)
    simulation.answer_all()
    simulation.start_pods(1)
    simulation.report_config(1)
    simulation.answer_all()
    return simulation


def test_selected_pods_have_a_port_group_and_a_policy_and_snat() -> None:
    simulation = selecting()
    simulation.see(client("a"))
    simulation.see(client("b", {"app": "db"}))
    simulation.answer_all()

    assert simulation.members[GROUP] == {"a.default"}
    rows = simulation.rows[GATEWAY]
    assert rows.port_groups == (GROUP,)
    match = f"ip4.src == ${GROUP}_ip4"
    policy = RoutePolicy(family="4", priority=29160, match=match, action="reroute", nexthops=("10.16.0.12",))
    assert rows.policies == (policy,)
    config = simulation.config[GATEWAY]
    assert config is not None
    assert config.default_snat
    assert simulation.status().ready


@pytest.mark.parametrize("selectors", [[{}], [{"podSelector": {}}], [{"namespaceSelector": {}, "podSelector": {}}]])
def test_nil_and_empty_selectors_mean_all_but_gateway_pods(selectors: list[dict[str, Any]]) -> None:
    simulation = selecting(selectors)
    simulation.see(client("a", {}))
    simulation.answer_all()
    assert simulation.members[GROUP] == {"a.default"}
    assert simulation.world.find(Pod, pod(0).key) is not None, "the gateway's own pod is there, and no member"


@pytest.mark.parametrize(
    "changes",
    [
        {"host_network": True},
        {"allocated": False},
        {"logical_router": "vpc1"},
        {"phase": "Succeeded"},
        {"phase": "Failed"},
        {"labels": {}},
    ],
)
def test_a_pod_that_does_not_take_part_leaves(changes: dict[str, Any]) -> None:
    simulation = selecting()
    simulation.see(client("a"))
    simulation.answer_all()
    assert simulation.members[GROUP] == {"a.default"}

    simulation.see(client("a", **changes))
    simulation.answer_all()
    assert simulation.members[GROUP] == set()


def test_a_namespace_that_gains_the_label_brings_all_its_pods() -> None:
    simulation = selecting([{"namespaceSelector": {"matchLabels": {"team": "red"}}}])
    for name in "abc":
        simulation.see(client(name, {}))
    simulation.answer_all()
    assert simulation.members[GROUP] == set()

    simulation.see(Namespace(name="default", labels={"team": "red"}))
    simulation.answer_all()
    assert simulation.members[GROUP] == {"a.default", "b.default", "c.default"}
    simulation.see(Namespace(name="default"))
    simulation.answer_all()
    assert simulation.members[GROUP] == set()


def test_one_pod_more_costs_one_pod() -> None:
    simulation = selecting()
    for number in range(1000):
        simulation.see(client(f"pod-{number}"))
    simulation.answer_all_of(EnsureMembers, ChangeMembers)

    outcome = simulation.see(client("one-more"))
    (command,) = [outgoing.data for outgoing in outcome.commands]
    assert isinstance(command, ChangeMembers)
    assert (command.added, command.removed) == (("one-more.default",), ())
    assert command.generation == command.base + 1
    assert len(outcome.entries) <= 4


@pytest.mark.parametrize("change", [{"app": "web"}, {"app": "db"}])
def test_what_one_pod_costs_does_not_depend_on_how_many_there_are(change: dict[str, str]) -> None:
    def stored(others: int) -> tuple[int, int, int]:
        simulation = selecting()
        for number in range(others):
            simulation.see(client(f"pod-{number}"))
        simulation.see(client("x", {"app": "web" if change["app"] == "db" else "db"}))
        simulation.answer_all_of(EnsureMembers, ChangeMembers)
        simulation.log += simulation.log[:1] * (5_000 - len(simulation.log))  # positions of as many digits in both
        simulation.revision = 5_000
        outcome = simulation.see(client("x", change))
        (command,) = [outgoing.data for outgoing in outcome.commands]
        assert isinstance(command, ChangeMembers)
        assert (*command.added, *command.removed) == ("x.default",)
        assert outcome.intents == ()
        data = sum(len(entry.data) for entry in outcome.entries if isinstance(entry, Entry))
        return len(outcome.entries), len(encode(command)) - len(str(command.generation) + str(command.base)), data

    few, many = stored(3), stored(300)
    assert few[:2] == many[:2]
    assert many[2] - few[2] <= 10, "but for the digits of a generation"


def test_a_successor_with_a_bad_spec_lets_the_pods_of_its_predecessor_go() -> None:
    simulation = selecting()
    simulation.see(client("a"))
    young = gateway(
        name="young", spec={"externalSubnet": "macvlan1", "selectors": APP}, created_at="2026-02-01T00:00:00Z"
    )
    simulation.see(young)
    simulation.answer_all()
    assert simulation.members[YOUNG_GROUP] == set()

    simulation.see(gateway(created_at="2026-03-01T00:00:00Z", spec={"replicas": "x"}), "another-uid")
    simulation.answer_all()
    assert simulation.members[YOUNG_GROUP] == {"a.default"}


def test_a_deleted_pod_leaves_and_may_come_back() -> None:
    simulation = selecting()
    simulation.see(client("a"))
    simulation.lose(client("a"))
    simulation.answer_all()
    assert simulation.members[GROUP] == set()
    simulation.see(client("a"), "another-uid")
    simulation.answer_all()
    assert simulation.members[GROUP] == {"a.default"}


def test_a_writer_that_knows_another_membership_is_sent_the_whole() -> None:
    simulation = selecting()
    simulation.see(client("a"))
    simulation.see(client("b"))
    *_, last = [outgoing for outgoing in simulation.pending if isinstance(outgoing.data, ChangeMembers)]
    simulation.pending.clear()
    refused = CommandRefused(
        command_id=last.id,
        gateway=GATEWAY,
        gateway_uid=last.data.gateway_uid,
        part=members_part(GROUP),
        generation=last.data.generation,
        applied_generation=40,
    )
    outcome = simulation.happen(refused)
    (whole,) = [outgoing.data for outgoing in outcome.commands if isinstance(outgoing.data, EnsureMembers)]
    assert whole.ports == ("a.default", "b.default")
    assert whole.generation == 41


@pytest.mark.parametrize(
    "event",
    [
        MembersObserved(gateway=GATEWAY, port_group=GROUP, generation=1, missing=("a.default",)),
        RowsListed(gateways=(GATEWAY,)),
    ],
)
def test_drift_and_a_new_writer_bring_the_whole(event: Any) -> None:
    simulation = selecting()
    simulation.see(client("a"))
    simulation.answer_all()
    outcome = simulation.happen(event)
    (whole,) = [outgoing.data for outgoing in outcome.commands if isinstance(outgoing.data, EnsureMembers)]
    assert whole.ports == ("a.default",)


def test_of_two_gateways_the_oldest_has_the_pod_and_the_other_one_says_so() -> None:
    simulation = selecting()
    young = gateway(
        name="young", spec={"externalSubnet": "macvlan1", "selectors": APP}, created_at="2026-02-01T00:00:00Z"
    )
    simulation.see(young)
    simulation.see(client("a"))
    simulation.answer_all()
    assert simulation.members == {GROUP: {"a.default"}, YOUNG_GROUP: set()}
    report = simulation.world.report("default/young")
    assert report is not None
    assert any("VpcEgressGateway default/gateway1 selects too" in step.text for step in report.steps)

    simulation.see(gateway(deleting=True, generation=2, policies=[], selectors=APP))
    simulation.answer_all()
    assert simulation.members[YOUNG_GROUP] == {"a.default"}


def test_a_new_gateway_that_loses_pods_to_an_older_one_reports_once() -> None:
    """Its selectors change who loses what, so it is planned again within the same event."""
    simulation = selecting()
    simulation.see(client("a"))
    young = gateway(
        name="young", spec={"externalSubnet": "macvlan1", "selectors": APP}, created_at="2026-02-01T00:00:00Z"
    )
    (report,) = simulation.see(young).reports
    assert any("VpcEgressGateway default/gateway1 selects too" in step.text for step in report.steps)


def test_selectors_that_go_take_the_port_group_and_at_last_the_snat_along() -> None:
    simulation = selecting()
    simulation.create(policies=[{"snat": True, "ipBlocks": ["10.17.0.0/16"]}], generation=2)
    config = simulation.intent().config
    assert config is not None
    assert config.default_snat, "the chassis may still send selected pods here"
    simulation.answer_all()
    simulation.report_config(1)
    simulation.answer_all()
    simulation.report_config(1)
    simulation.answer_all()
    config = simulation.config[GATEWAY]
    assert config is not None
    assert not config.default_snat
    assert simulation.rows[GATEWAY].port_groups == ()
    assert simulation.status().ready


LABELS = st.dictionaries(st.sampled_from("ab"), st.sampled_from("xy"))


@given(LABELS, LABELS)
def test_the_empty_selector_matches_everything(namespace: dict[str, str], labels: dict[str, str]) -> None:
    assert selects((PodSelector(),), namespace, labels)
    assert matches(Selector(), labels)
    assert matches(None, labels)


@given(LABELS, st.sampled_from("ab"), st.sets(st.sampled_from("xy"), min_size=1))
def test_not_in_is_the_opposite_of_in(labels: dict[str, str], key: str, values: set[str]) -> None:
    def requirement(operator: str) -> Selector:
        raw = {"matchExpressions": [{"key": key, "operator": operator, "values": sorted(values)}]}
        return msgspec.convert(raw, Selector)

    assert matches(requirement("In"), labels) != matches(requirement("NotIn"), labels)


def test_a_change_that_the_bus_lost_is_sent_as_the_whole() -> None:
    simulation = selecting()
    simulation.see(client("a"))
    simulation.answer_all()
    simulation.see(client("b"))
    simulation.pending.clear()

    simulation.happen(StreamsCreated(created={"VEG_COMMANDS": "2026-02-02T00:00:00Z"}))
    simulation.answer_all()

    assert simulation.members[GROUP] == {"a.default", "b.default"}
