"""BFD sessions as OVN reports them, and how often they went down: a session that flaps is held back for a while.

Time enters as the time of the event, so a replay holds back what was held back then.
"""

import msgspec

from veg_contracts.configuration import PlannerSettings
from veg_contracts.events import SessionChanged, Ticked
from veg_planner.state import SessionState
from veg_planner.times import later
from veg_planner.world import SESSION, World

_UP = "up"


def changed(world: World, event: SessionChanged) -> list[str]:
    """Take in what OVN says of a session; its gateway, if that is news."""
    key, known = f"{event.gateway}/{event.dst_ip}", world.session(event.gateway, event.dst_ip)
    if not event.status:
        world.remove(SESSION, key)
        return [event.gateway] if known is not None else []
    if known is None:
        new = SessionState(status=event.status, since=event.at, been_up=event.status == _UP)
    elif event.at < known.since or event.status == known.status:
        return []
    else:
        new = _next(known, event, world.settings)
    world.put(SESSION, key, new)
    return [event.gateway]


def ticked(world: World, event: Ticked) -> list[str]:
    """Let go of the sessions that have been held back long enough; their gateways."""
    touched = []
    for key, session in world.overdue_sessions(event.at):
        world.put(SESSION, key, msgspec.structs.replace(session, held=False, held_until=""))
        touched.append(key.rpartition("/")[0])
    return touched


def _next(known: SessionState, event: SessionChanged, settings: PlannerSettings) -> SessionState:
    downs = _lately(known.downs, event.at, settings.flap_window_s)
    if known.status == _UP:
        downs = (*downs, event.at)
    new = msgspec.structs.replace(known, status=event.status, since=event.at, downs=downs, held=False, held_until="")
    if event.status != _UP:
        return new
    hold_s = _hold_s(len(downs), settings)
    held_until = later(event.at, hold_s) if hold_s else ""
    return msgspec.structs.replace(new, been_up=True, held=bool(hold_s), held_until=held_until)


def _hold_s(downs: int, settings: PlannerSettings) -> int:
    """For how many seconds a session that has gone down so often lately is held back."""
    if not settings.flap_count or downs < settings.flap_count:
        return 0
    doubled: int = settings.flap_hold_s * 2 ** (downs - settings.flap_count)
    return min(doubled, settings.flap_hold_max_s)


def _lately(downs: tuple[str, ...], now: str, window_s: int) -> tuple[str, ...]:
    since = later(now, -window_s)
    return tuple(at for at in downs if at > since)
