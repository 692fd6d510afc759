"""Brings the pod's kernel to what a config says, in one idempotent pass. Level-triggered: it looks, then changes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from veg_contracts.addresses import FAMILIES
from veg_contracts.intent import PodConfig
from veg_gw_agent import nat, routes
from veg_gw_agent.privileged import netfilter, routing, sysctls
from veg_gw_agent.privileged.errors import KernelError

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


def ensure_forwarding(internal_interface: str) -> tuple[str, ...]:
    """What needs more rights than the agent has later on, done once by the init container; says what it changed.

    The reverse path filter (the stricter of `all` and the interface's own counts) would drop traffic of sources whose
    way back is not through the internal interface: with a default route through the external one, that is every
    source outside the internal subnet until its route is there.

    Raises:
        KernelError: a sysctl cannot be set.
    """
    wanted = {
        _FORWARDING["4"]: "1",
        "net/ipv4/conf/all/rp_filter": "0",
        f"net/ipv4/conf/{internal_interface}/rp_filter": "0",
    }
    if _has_ipv6():
        wanted[_FORWARDING["6"]] = "1"
    return tuple(f"{key} = {value}" for key, value in wanted.items() if sysctls.ensure(key, value))


def ensure(config: PodConfig) -> tuple[str, ...]:
    """Make the pod as `config` says; returns what had to be changed, in words.

    Raises:
        EnsureError: something is missing or was refused; the rest was done.
    """
    done = _Pass()
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
        with done.step():
            done.changes += _ensure_nat(config, family)
    if done.problems:
        raise EnsureError("; ".join(done.problems))
    return tuple(done.changes)


def _families(config: PodConfig) -> tuple[str, ...]:
    """Those of the config; and the others too, where the kernel has them: rules of a family that left must go."""
    return tuple(family for family in FAMILIES if family in config.families or family == "4" or _has_ipv6())


def _has_ipv6() -> bool:
    return Path("/proc/net/if_inet6").exists()


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


def _ensure_nat(config: PodConfig, family: str) -> tuple[str, ...]:
    want = nat.wanted(config, family)
    have = nat.found(netfilter.saved(family, "nat"))
    text = nat.restore_input(want, have)
    if not text:
        return ()
    netfilter.restore(family, text)
    after = nat.found(netfilter.saved(family, "nat"))
    if after != want:  # somebody else writes too: say so, the next pass tries again
        raise KernelError(f"NAT rules of IPv{family}: are {', '.join(after) or 'none'} after the change, not as wanted")
    return nat.changes(want, have)


def _ensure_routes(config: PodConfig, done: _Pass) -> None:
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
