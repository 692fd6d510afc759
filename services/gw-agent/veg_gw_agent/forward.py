"""What may not be forwarded: packets that NAT does not see, and everything until there is NAT. Pure."""

import re
from typing import Final

from veg_contracts.intent import PodConfig
from veg_gw_agent import nat

# The nat table is asked only for packets of a connection. What connection tracking calls invalid (a FIN or RST of a
# stream that has moved here, what is outside of a window) and what it leaves alone (some kinds of ICMPv6) would leave
# under the client's address. In another table, so that the nat table shows what the user's document shows.
DROP_TABLE: Final = "mangle"
_UNSEEN: Final = "-m conntrack --ctstate INVALID,UNTRACKED -j"
# Rules of exactly this shape are ours.
_OURS: Final = re.compile(rf"-A FORWARD(?: -s (?P<source>\S+))?(?P<rest> -o \S+ {_UNSEEN} (?:DROP|RETURN))")

# What an interface that leads to the bus alone has in this table: nothing is forwarded into it or out of it, so that no
# client gets there, nor what is there to clients. They stand before all others.
_APART: Final = ("-i {0} -j DROP", "-o {0} -j DROP")

POLICY_TABLE: Final = "filter"
CLOSED: Final = "DROP"
OPEN: Final = "ACCEPT"
_POLICY: Final = re.compile(r"^:FORWARD (\w+)", re.MULTILINE)


def wanted(config: PodConfig, family: str) -> tuple[str, ...]:
    """The drop rules of that family, each once: for the packets that the rules of `nat.wanted` are for."""
    outside = f" -o {config.external_interface} {_UNSEEN}"
    with_snat, forwarded = nat.cidrs(config, family)
    rules = [_rule(cidr, f"{outside} DROP") for cidr in with_snat]
    if config.default_snat and family in config.families:
        rules += [*(_rule(cidr, f"{outside} RETURN") for cidr in forwarded), _rule("", f"{outside} DROP")]
    return tuple(rules)


def found(saved: str) -> tuple[str, ...]:
    """The drop rules of ours in the output of `iptables-save -t mangle`, in their order, doubles included."""
    matches = (match for line in saved.splitlines() if (match := _OURS.fullmatch(line.strip())))
    return tuple(_rule(match["source"] or "", match["rest"]) for match in matches)


def apart_input(saved: str, interface: str) -> str:
    """The input of `iptables-restore --noflush` that keeps an interface out of all forwarding; empty if it is."""
    there = [line.strip() for line in saved.splitlines()]
    rules = [f"FORWARD {shape.format(interface)}" for shape in _APART]
    lines = [f"-I {rule}" for rule in rules if f"-A {rule}" not in there]
    return "\n".join([f"*{DROP_TABLE}", *lines, "COMMIT", ""]) if lines else ""


def policy(saved: str) -> str:
    """What becomes of forwarded packets, by the output of `iptables-save -t filter`."""
    match = _POLICY.search(saved)
    return match[1] if match else OPEN  # of a table that nobody has used yet nothing is shown


def policy_input(saved: str, wanted: str) -> str:
    """The input of `iptables-restore --noflush` that makes `wanted` the policy; empty if it is."""
    return "" if policy(saved) == wanted else f"*{POLICY_TABLE}\n:FORWARD {wanted} [0:0]\nCOMMIT\n"


def _rule(source: str, rest: str) -> str:
    return nat.rule(source, rest, "FORWARD")
