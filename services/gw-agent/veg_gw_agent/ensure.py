"""Brings the pod's kernel to what a config says, in one idempotent pass. Level-triggered: it looks, then changes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from veg_contracts.addresses import FAMILIES
from veg_contracts.intent import PodConfig
from veg_gw_agent import forward, nat, routes, way
from veg_gw_agent.privileged import netfilter, sysctls
from veg_gw_agent.privileged.errors import KernelError

if TYPE_CHECKING:
    from veg_gw_agent.privileged import routing

_FORWARDING: Final = {"4": "net/ipv4/ip_forward", "6": "net/ipv6/conf/all/forwarding"}


class EnsureError(Exception):
    """Not everything could be brought about; the message names each object and what the kernel or tool said."""


class _Pass:
    """One pass: a step that fails does not stop the others, so that as much traffic as possible is served."""

    def __init__(self) -> None:
        self.changes: list[str] = []
        self.problems: list[str] = []

    @contextmanager
    def step(self) -> Iterator[None]:
        try:
            yield
        except KernelError as error:
            self.problems.append(str(error))


def prepare(internal_interface: str) -> tuple[str, ...]:
    """What comes first in a new network namespace, done once by the init container; says what it changed.

    Nothing is forwarded until `ensure` has succeeded: who sends here before, or while NAT cannot be made, must not
    leave under his own address. The sysctls need more rights than the agent has later on.

    The reverse path filter (the stricter of `all` and the interface's own counts) would drop traffic of sources whose
    way back is not through the internal interface: with a default route through the external one, that is every
    source outside the internal subnet until its route is there.

    Raises:
        KernelError: the chain's policy or a sysctl cannot be set.
    """
    closed = [text for family in _present() for text in _ensure_policy(family, forward.CLOSED)]
    wanted = {
        _FORWARDING["4"]: "1",
        "net/ipv4/conf/all/rp_filter": "0",
        f"net/ipv4/conf/{internal_interface}/rp_filter": "0",
    }
    if "6" in _present():
        wanted[_FORWARDING["6"]] = "1"
    return (*closed, *(f"{key} = {value}" for key, value in wanted.items() if sysctls.ensure(key, value)))


def find_way(bus: way.Way | None) -> tuple[str, ...]:
    """Make the pod's own way to the bus; returns what had to be changed, in words. None needs none.

    Raises:
        EnsureError: something is missing or was refused; the rest was done.
    """
    done = _Pass()
    if bus is not None:
        _ensure_way(bus, done)
    if done.problems:
        raise EnsureError("; ".join(done.problems))
    return tuple(done.changes)


def ensure(config: PodConfig, bus: way.Way | None = None) -> tuple[str, ...]:
    """Make the pod as `config` says, and its way to the bus; returns what had to be changed, in words.

    Forwarding is opened when all else is as it should be, and not closed again by what fails later.

    Raises:
        EnsureError: something is missing or was refused; the rest was done.
    """
    done = _Pass()
    if bus is not None:
        _ensure_way(bus, done)
    for family in config.families:
        with done.step():
            _check_forwarding(family)
        with done.step():
            done.changes += _ensure_tracking(family)  # before NAT, and whether or not there is any
    with done.step():
        _ensure_routes(config, done)
    for family in _families(config):
        with done.step():
            done.changes += _ensure_untracked(family, bfd=config.bfd is not None and family in config.families)
        with done.step():  # in this order: nothing is taken, or forwarded on, that could leave as it is
            if family not in config.families:
                done.changes += _ensure_policy(family, forward.CLOSED)
            done.changes += _ensure_rules(family, forward.DROP_TABLE, forward.wanted(config, family), forward.found)
            done.changes += _ensure_rules(family, "nat", nat.wanted(config, family), nat.found)
    for family in () if done.problems else config.families:
        with done.step():
            done.changes += _ensure_policy(family, forward.OPEN)
    if done.problems:
        raise EnsureError("; ".join(done.problems))
    return tuple(done.changes)


def is_open(config: PodConfig) -> bool:
    """Whether the pod forwards what `config` is about: `ensure` has succeeded since the namespace was made."""
    try:
        tables = [netfilter.saved(family, forward.POLICY_TABLE) for family in config.families]
    except KernelError:
        return False
    return all(forward.policy(table) == forward.OPEN for table in tables)


def _families(config: PodConfig) -> tuple[str, ...]:
    """Those of the config; and the others too, where the kernel has them: rules of a family that left must go."""
    return tuple(family for family in FAMILIES if family in config.families or family in _present())


def _present() -> tuple[str, ...]:
    return FAMILIES if Path("/proc/net/if_inet6").exists() else ("4",)


def _check_forwarding(family: str) -> None:
    key = _FORWARDING[family]
    found = sysctls.value(key)
    if found != "1":
        raise KernelError(f"sysctl {key}: is {found or 'missing'}, must be 1 (`gw-agent init` sets it)")


def _ensure_tracking(family: str) -> tuple[str, ...]:
    text = nat.tracking_input(netfilter.saved(family, nat.TRACKING_TABLE))
    if not text:
        return ()
    netfilter.restore(family, text)
    return (f"connection tracking of IPv{family} stays on",)


def _ensure_untracked(family: str, *, bfd: bool) -> tuple[str, ...]:
    text = nat.untracked_input(netfilter.saved(family, nat.UNTRACKED_TABLE), bfd=bfd)
    if not text:
        return ()
    netfilter.restore(family, text)
    return (f"BFD packets of IPv{family} are {'not ' if bfd else ''}tracked",)


def _ensure_policy(family: str, policy: str) -> tuple[str, ...]:
    text = forward.policy_input(netfilter.saved(family, forward.POLICY_TABLE), policy)
    if not text:
        return ()
    netfilter.restore(family, text)
    return (f"forwarding of IPv{family} is {'open' if policy == forward.OPEN else 'closed'}",)


def _ensure_rules(
    family: str, table: str, want: tuple[str, ...], found: Callable[[str], tuple[str, ...]]
) -> tuple[str, ...]:
    have = found(netfilter.saved(family, table))
    text = nat.restore_input(want, have, table)
    if not text:
        return ()
    netfilter.restore(family, text)
    after = found(netfilter.saved(family, table))
    if after != want:  # somebody else writes too: say so, the next pass tries again
        raise KernelError(
            f"{table} rules of IPv{family}: are {', '.join(after) or 'none'} after the change, not as wanted"
        )
    return nat.changes(want, have, table)


def _ensure_routes(config: PodConfig, done: _Pass) -> None:
    from veg_gw_agent.privileged import routing  # noqa: PLC0415  # `init` has no use for it, and it takes 0.3 s

    with routing.netlink() as link:
        for name in (config.internal_interface, config.external_interface):
            if name not in link.links:
                done.problems.append(f"interface {name}: does not exist")
        for family in _families(config):
            found = link.found(family)
            plan = routes.plan(routes.here(routes.wanted(config, family), found), found)
            done.problems += plan.conflicts
            for change in plan.changes:
                with done.step():
                    link.carry_out(change)
                    done.changes.append(change.describe())


def _ensure_way(bus: way.Way, done: _Pass) -> None:
    from veg_gw_agent.privileged import routing  # noqa: PLC0415  # as above

    done.problems += way.unreached(bus)
    with done.step(), routing.netlink() as link:
        if bus.interface not in link.links:
            done.problems.append(f"interface {bus.interface}, the way to the bus: does not exist")
            return
        for family in _present():
            with done.step():
                _ensure_rules_of_way(link, bus, family, done)
    for family in _present() if bus.apart else ():
        with done.step():
            text = forward.apart_input(netfilter.saved(family, forward.DROP_TABLE), bus.interface)
            if text:
                netfilter.restore(family, text)
                done.changes.append(f"nothing of IPv{family} is forwarded by way of {bus.interface}")


def _ensure_rules_of_way(link: "routing.Netlink", bus: way.Way, family: str, done: _Pass) -> None:
    plan = routes.plan(way.routes(bus, family), link.found(family, way.TABLE))
    done.problems += plan.conflicts
    for change in plan.changes:
        with done.step():
            link.carry_out(change, way.TABLE)
            done.changes.append(f"{change.describe()}, table {way.TABLE}")
    changes = way.rule_changes(way.rules(bus, family), link.rules(family))
    for rule in changes.add:
        with done.step():
            link.add_rule(rule)
            done.changes.append(f"add {rule.describe()}")
    for rule in changes.remove:
        with done.step():
            link.remove_rule(rule)
            done.changes.append(f"remove {rule.describe()}")
