"""What the passing of time does: slow ticks look again at what failed, those in between only let go of sessions."""

from support.simulation import GATEWAY, created, gateway

from veg_contracts import names
from veg_contracts.events import SessionChanged, Ticked
from veg_planner.leader import due_tick


def test_a_removal_waits_as_long_as_ever_while_a_session_of_another_gateway_is_held_back() -> None:
    simulation = created()
    simulation.see(gateway(deleting=True, finalizers=(names.FINALIZER,), generation=2))
    simulation.answer_all(programmed=False)
    for second in range(5):
        simulation.happen(Ticked(at=f"2026-01-01T00:01:{second:02}Z", early=True))
        assert not simulation.pending, "nothing is sent again"
    assert simulation.intent().workload is not None
    for second in (10, 20):
        simulation.happen(Ticked(at=f"2026-01-01T00:01:{second}Z"))
    assert simulation.intent().workload is None


def test_a_tick_is_due_after_10_s_or_when_a_session_is_to_be_let_go() -> None:
    simulation = created()
    assert due_tick(simulation.world, "2026-01-01T00:00:05Z", since_s=60) is None, "nothing waits for time"
    for second, status in enumerate(("up", "down", "up", "down", "up", "down", "up")):
        at = f"2026-01-01T00:00:0{second}Z"
        simulation.happen(
            SessionChanged(
                gateway=GATEWAY, logical_port="bfd@ovn-cluster", dst_ip="10.16.0.12", status=status, previous="", at=at
            )
        )
    assert due_tick(simulation.world, "2026-01-01T00:00:15Z", since_s=60) is None
    now = "2026-01-01T00:00:16.000001Z"
    assert due_tick(simulation.world, now, since_s=1) == Ticked(at=now, early=True)
    simulation.happen(Ticked(at=now, early=True))
    assert due_tick(simulation.world, now, since_s=60) is None

    simulation.see(gateway(deleting=True, finalizers=(names.FINALIZER,), generation=2))
    simulation.answer_all(programmed=False)
    assert due_tick(simulation.world, now, since_s=9) is None
    assert due_tick(simulation.world, now, since_s=10) == Ticked(at=now)
