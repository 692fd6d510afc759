"""Somebody else changes our rows again and again (CASES K6): it is repaired, counted, and said with what helps."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from support.sessions import Policies, StaticRoutes
from support.simulation import GATEWAY, Simulation, client, created, gateway

from veg_contracts import names
from veg_contracts.commands import EnsureNb
from veg_contracts.envelope import Envelope, type_name
from veg_contracts.events import AnyEvent, MembersObserved, RowsObserved, Ticked
from veg_contracts.intent import BfdRelay, BfdRouterPort, NbRows
from veg_planner import metrics
from veg_planner.core import Record
from veg_planner.leader import due_tick
from veg_planner.state import Repairs

SELECTORS = [{"podSelector": {"matchLabels": {"app": "web"}}}]


def at(second: float) -> str:
    return f"2026-01-01T{int(second) // 3600:02}:{int(second) // 60 % 60:02}:{second % 60:09.6f}Z"


def happen(simulation: Simulation, event: AnyEvent, second: float) -> None:
    """An event of that time, and all that follows from it."""
    position = len(simulation.log) + 1
    envelope = Envelope(
        id=f"event-{position}", source="test", type=type_name(event), subject="test", time=at(second), data=event
    )
    simulation.replay(Record(position=position, envelope=envelope))
    simulation.answer_all()


def lose(simulation: Simulation, second: float, *fields: str, key: str = GATEWAY) -> None:
    """Somebody removes the rows of these fields; without any, all rows."""
    before = simulation.rows[key]
    after = msgspec.structs.replace(before, **dict.fromkeys(fields, ())) if fields else NbRows()
    found = () if after.empty else (after,)
    happen(simulation, RowsObserved(gateway=key, reason="drift", before=(before,), after=found), second)


def stable(simulation: Simulation, key: str = GATEWAY) -> str:
    """What the condition says; empty without one."""
    found = [condition for condition in simulation.status(key).conditions if condition.type == "Stable"]
    assert all((condition.status, condition.reason) == ("False", "RepairedRepeatedly") for condition in found)
    return found[0].message if found else ""


def test_k6_the_third_time_in_ten_minutes_is_said_with_count_table_and_remedy() -> None:
    simulation = created()
    for second in (10, 300):
        lose(simulation, second)
        assert stable(simulation) == ""
    lose(simulation, 500)
    assert stable(simulation) == (
        "3 times in the last 10 minutes another controller removed or changed rows of Logical_Router_Policy of this "
        "gateway, and they were written again; Kube-OVN older than 1.15.3 does so whenever a Vpc without "
        "spec.policyRoutes changes: set that field, or upgrade"
    )
    assert simulation.status().ready, "it is repaired each time"
    lose(simulation, 501)
    assert stable(simulation).startswith("4 times in")


@pytest.mark.parametrize("seconds", [(0, 300, 601), (0, 1, 700, 701, 1400, 1401)])
def test_k6_what_is_longer_ago_does_not_count(seconds: tuple[int, ...]) -> None:
    simulation = created()
    for second in seconds:
        lose(simulation, second)
    assert stable(simulation) == ""


def test_k6_it_goes_away_when_ten_minutes_have_passed_and_nothing_wakes_the_planner_before() -> None:
    simulation = created()
    for second in (10, 20, 30):
        lose(simulation, second)
    for second in (31, 300, 609):
        assert due_tick(simulation.world, at(second), since_s=60) is None
    tick = due_tick(simulation.world, at(610), since_s=1)
    assert tick == Ticked(at=at(610), early=True)
    simulation.restart()
    happen(simulation, tick, 610)
    assert stable(simulation) == ""
    assert due_tick(simulation.world, at(9000), since_s=60) is None, "of what is not said time changes nothing"
    lose(simulation, 9000)
    assert simulation.world.repairs(GATEWAY) == Repairs(times={"Logical_Router_Policy": (at(9000),)})


def test_k6_of_many_there_is_a_bound_and_the_status_stands_still_at_it() -> None:
    simulation = created()
    for number in range(30):
        lose(simulation, 100 + number / 10)
    assert stable(simulation).startswith("10 times or more in the last 10 minutes")
    assert len(simulation.world.repairs(GATEWAY).times["Logical_Router_Policy"]) == Repairs.KEPT_MAX
    generation = simulation.intent().generations.status
    lose(simulation, 110)
    assert simulation.intent().generations.status == generation


@pytest.mark.parametrize(
    ("field", "table", "remedy"),
    [
        ("policies", "Logical_Router_Policy", "without spec.policyRoutes changes: set that field, or upgrade"),
        ("static_routes", "Logical_Router_Static_Route", "set VEG_CUSTOM_VPC_ROUTING=policy"),
        (
            "port_groups",
            "Port_Group",
            "1.15 up to 1.15.16, and 1.16 up to 1.16.2 do so whenever the controller starts: find out",
        ),
        ("sessions", "BFD", "find out what else writes to the Northbound database"),
    ],
)
def test_k6_each_table_has_its_remedy(field: str, table: str, remedy: str) -> None:
    made = StaticRoutes(selectors=SELECTORS)
    for second in (1, 2, 3):
        lose(made.simulation, second, field, key=made.key)
    said = stable(made.simulation, made.key)
    assert f"rows of {table} of this gateway" in said
    assert remedy in said
    assert said.count("another controller") == 1


def test_k6_a_group_that_goes_with_its_ports_is_one_repair_of_each() -> None:
    simulation = created()
    simulation.create(selectors=SELECTORS, generation=2)
    simulation.see(client("a"))
    simulation.answer_all()
    simulation.report_config(1)
    simulation.answer_all()
    group = names.port_group(GATEWAY)
    gone = MembersObserved(gateway=GATEWAY, port_group=group, generation=1, missing=("a.default",))
    for second in (1, 2):
        lose(simulation, second, "port_groups")
        happen(simulation, gone, second + 0.5)
    assert stable(simulation) == ""
    happen(simulation, gone, 3)
    assert "rows of Port_Group.ports of this gateway" in stable(simulation)


def test_k6_the_bfd_port_of_a_vpc_is_said_by_the_gateways_it_watches() -> None:
    made = Policies()
    simulation = made.simulation
    for second in (1, 2, 3):
        lost = RowsObserved(gateway="ovn-cluster", reason="drift", before=(simulation.rows["ovn-cluster"],), after=())
        happen(simulation, lost, second)
    assert "rows of Logical_Router_Port of the BFD port of Vpc ovn-cluster" in stable(simulation)
    happen(simulation, Ticked(at=at(700), early=True), 700)
    assert stable(simulation) == ""


MADE = BfdRouterPort(name="bfd@ovn-cluster", mac="02:00:00:00:00:01", networks=("10.255.255.255",), chassis=("a",))
PEER_ONLY = BfdRouterPort(name="bfd@ovn-cluster", mac="", networks=(), chassis=(), peer_only=True)
RELAYED = msgspec.structs.replace(MADE, relay=BfdRelay(name="bfd-relay@ovn-cluster", mac="", networks=("169.254.1.1",)))
STARTS, ASKED = "whenever the controller starts", "does not ask for: ask for it there"


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (PEER_ONLY, None, {"Logical_Switch": STARTS}),
        (PEER_ONLY, {"intact": False, "peered": False}, {"Logical_Switch": STARTS}),
        (MADE, {"intact": False, "peered": False}, {"Logical_Switch": STARTS}),
        (MADE, {"intact": False}, {"Logical_Router_Port": ASKED}),
        (MADE, {"intact": False, "mac": "", "networks": ()}, {"Logical_Router_Port": ASKED}),
        (MADE, None, {"Logical_Switch": STARTS, "Logical_Router_Port": ASKED}),
        (RELAYED, {"intact": False, "relay": None}, {"Logical_Router": STARTS}),
        (
            RELAYED,
            {"intact": False, "relay": None, "peered": False},
            {"Logical_Router": STARTS, "Logical_Switch": STARTS},
        ),
    ],
)
def test_k6_a_bfd_port_that_lost_its_peer_is_told_from_one_that_lost_itself(
    before: BfdRouterPort, after: dict[str, object] | None, said: dict[str, str]
) -> None:
    made = Policies()
    router = "" if before.peer_only else "ovn-cluster"
    was = NbRows(router=router, bfd_port=before)
    found = () if after is None else (msgspec.structs.replace(was, bfd_port=msgspec.structs.replace(before, **after)),)
    for second in (1, 2, 3):
        lost = RowsObserved(gateway="ovn-cluster", reason="drift", before=(was,), after=found)
        happen(made.simulation, lost, second)
    message = stable(made.simulation)
    tables = ("Logical_Switch", "Logical_Router_Port", "Logical_Router")
    assert {table for table in tables if f"rows of {table} of" in message} == {*said}
    assert all(remedy in message for remedy in said.values())


@pytest.mark.parametrize("reason", ["resync", "drift"])
def test_k6_a_start_of_the_writer_and_a_change_that_is_put_right_are_no_repair(reason: str) -> None:
    simulation = created()
    rows = simulation.rows[GATEWAY]
    after = () if reason == "resync" else (rows,)
    for second in range(5):
        happen(simulation, RowsObserved(gateway=GATEWAY, reason=reason, after=after), second)
    assert simulation.world.repairs(GATEWAY) == Repairs()


def test_k6_it_is_said_while_the_spec_cannot_be_acted_on_and_forgotten_with_the_gateway() -> None:
    simulation = created()
    simulation.create(replicas=11, generation=2)
    for second in (1, 2, 3):
        lose(simulation, second)
    assert stable(simulation)
    deleted = gateway(deleting=True, finalizers=(names.FINALIZER,), generation=3)
    simulation.see(deleted)
    simulation.answer_all()
    simulation.lose(deleted)
    simulation.answer_all()
    assert simulation.world.repaired() == []


def test_k6_a_metric_counts_by_table() -> None:
    simulation = created()
    for second in (1, 2, 300):
        lose(simulation, second)

    def shown() -> float | None:
        return REGISTRY.get_sample_value("veg_planner_repairs_lately", {"table": "Logical_Router_Policy"})

    metrics.look_at(simulation.world, at(301))
    assert shown() == 3
    metrics.look_at(simulation.world, at(700))
    assert shown() == 1
    metrics.look_at(created().world, at(701))
    assert shown() is None


def test_k11_a_metric_counts_gateways_in_panic() -> None:
    made = Policies()
    made.session(made.ips[0], "up", "down")
    metrics.look_at(made.simulation.world, at(1))
    assert REGISTRY.get_sample_value("veg_planner_panicking_gateways") == 1
    made.session(made.ips[1], "up")
    metrics.look_at(made.simulation.world, at(2))
    assert REGISTRY.get_sample_value("veg_planner_panicking_gateways") == 0


SEEN = st.lists(st.tuples(st.integers(0, 2000), st.sampled_from(("policies", "static_routes"))), max_size=40)


@given(SEEN, st.randoms(use_true_random=False))
def test_k6_what_is_kept_is_bounded_and_depends_on_no_order(seen: list[tuple[int, str]], chance: object) -> None:
    def kept(order: list[tuple[int, str]]) -> Repairs:
        made = StaticRoutes()
        for second, field in order:
            lose(made.simulation, second, field, key=made.key)
        return made.simulation.world.repairs(made.key)

    again = [*seen, *seen[::3]]
    chance.shuffle(again)  # type: ignore[attr-defined]
    repairs = kept(seen)
    assert kept(again) == repairs
    newest = max((second for second, _ in seen), default=0)
    for table, field in (("Logical_Router_Policy", "policies"), ("Logical_Router_Static_Route", "static_routes")):
        lately = sorted({second for second, which in seen if which == field and second > newest - Repairs.WINDOW_S})
        assert repairs.times.get(table, ()) == tuple(at(second) for second in lately[-Repairs.KEPT_MAX :])


def test_k6_a_log_folded_again_gives_the_same_bytes() -> None:
    simulation = created()
    for second in (1, 2, 3, 4):
        lose(simulation, second)
    happen(simulation, Ticked(at=at(602), early=True), 602)
    again = Simulation()
    for record in simulation.log:
        again.replay(record)
    assert again.history() == simulation.history()
    assert len(simulation.commands(EnsureNb)) > 4
