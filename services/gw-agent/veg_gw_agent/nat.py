"""The NAT rules of a config, and the least change from what is found to what is wanted. Pure.

A rule is its specification as `iptables-save` writes it, without the verb: "POSTROUTING -s 10.16.0.0/16 -j …".
"""

import re
from typing import Final

from veg_contracts.addresses import family as family_of
from veg_contracts.addresses import masked
from veg_contracts.intent import PodConfig

# Rules of exactly these shapes are ours; every other rule belongs to somebody else and is never touched.
# iptables leaves `-s` out for a source of prefix length 0.
_OURS: Final = tuple(
    re.compile(f"-A POSTROUTING{shape}")
    for shape in (
        r"(?: -s (?P<source>\S+))?(?P<rest> -j MASQUERADE --random-fully)",
        r"(?: -s (?P<source>\S+))?(?P<rest> -o \S+ -j RETURN)",
        r"(?P<source>)(?P<rest> -o \S+ -j MASQUERADE --random-fully)",
    )
)
# The kernel tracks connections in a namespace only while a rule there needs it. With the last NAT rule gone, even for a
# moment, it would forget them all: open connections would be reset, and later be taken for new ones and given another
# address. This rule, without a target, needs tracking for as long as the pod lives and does nothing else. It is in
# another table, so that the nat table shows what the user's document shows.
TRACKING_TABLE: Final = "mangle"
_TRACKING_RULE: Final = "-A FORWARD -m conntrack --ctstate INVALID"
# BFD packets of the pod itself are no traffic of a source, though its address lies in one: neither tracked nor NATed.
# What a client sends to that port outside is traffic like any other.
UNTRACKED_TABLE: Final = "raw"
_UNTRACKED_RULES: Final = (
    "-A PREROUTING -p udp -m udp --dport 3784 -m addrtype --dst-type LOCAL -j CT --notrack",
    "-A OUTPUT -p udp -m udp --dport 3784 -j CT --notrack",
)
# Ours, of an earlier version: it let forwarded packets leave without NAT.
_UNTRACKED_OLD: Final = ("-A PREROUTING -p udp -m udp --dport 3784 -j CT --notrack",)
_MASQUERADE: Final = " -j MASQUERADE --random-fully"
_ANY: Final = ("0.0.0.0/0", "::/0")


def cidrs(config: PodConfig, family: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the pod takes of that family, each once: with SNAT, and forwarded. What is named both ways has SNAT."""
    sources = [each for each in config.taken if family in config.families and family_of(each.cidr) == family]
    with_snat = dict.fromkeys(each.cidr for each in sources if each.snat)
    return tuple(with_snat), tuple(dict.fromkeys(each.cidr for each in sources if each.cidr not in with_snat))


def wanted(config: PodConfig, family: str) -> tuple[str, ...]:
    """The rules of that family, each once.

    A source with SNAT has one, in the order of the config. With `default_snat` everything else leaves under the
    gateway's address as well, so that a forwarded source has to be named: after those, as the first match counts and
    SNAT wins. Those rules and the last one name the external interface: what goes back inside is nobody's to change.
    """
    with_snat, forwarded = cidrs(config, family)
    rules = [rule(cidr, _MASQUERADE) for cidr in with_snat]
    if config.default_snat and family in config.families:
        outside = f" -o {config.external_interface}"
        rules += [*(rule(cidr, f"{outside} -j RETURN") for cidr in forwarded), rule("", outside + _MASQUERADE)]
    return tuple(rules)


def found(saved: str) -> tuple[str, ...]:
    """The rules of ours in the output of `iptables-save -t nat`, in their order, doubles included."""
    lines = [line.strip() for line in saved.splitlines()]
    matches = (match for line in lines for shape in _OURS if (match := shape.fullmatch(line)))
    return tuple(rule(match["source"] or "", match["rest"]) for match in matches)


def restore_input(want: tuple[str, ...], have: tuple[str, ...], table: str = "nat") -> str:
    """The input of `iptables-restore --noflush` that leads from `have` to `want`; empty when they are equal.

    The rules at the head that are right stay, with their counters. All others are appended first, then the old ones
    are deleted: by content, never by number, so that somebody who edits the table at the same time can at most make
    the transaction fail. A deletion by content takes the first match, which is why a rule that occurs again further
    on is not kept. Connections do not notice: NAT rules are asked for the first packet of a connection only, and
    `tracking_input` sees to it that the kernel remembers the answer.
    """
    if want == have:
        return ""
    keep = _head(want, have)
    lines = [f"-A {line}" for line in want[keep:]]
    lines += [f"-D {line}" for line in have[keep:]]
    return "\n".join([f"*{table}", *lines, "COMMIT", ""])


def tracking_input(saved: str) -> str:
    """The input of `iptables-restore --noflush` that adds the rule that keeps tracking on; empty when it is there."""
    if any(line.strip() == _TRACKING_RULE for line in saved.splitlines()):
        return ""
    return f"*{TRACKING_TABLE}\n{_TRACKING_RULE}\nCOMMIT\n"


def untracked_input(saved: str, *, bfd: bool) -> str:
    """The input of `iptables-restore --noflush` with which BFD packets are, or are not, left alone; empty if so."""
    there = [line.strip() for line in saved.splitlines()]
    want = _UNTRACKED_RULES if bfd else ()
    gone = {*_UNTRACKED_RULES, *_UNTRACKED_OLD} - set(want)
    lines = [line for line in want if line not in there]
    lines += [f"-D {line.removeprefix('-A ')}" for line in there if line in gone]  # doubles too
    return "\n".join([f"*{UNTRACKED_TABLE}", *lines, "COMMIT", ""]) if lines else ""


def changes(want: tuple[str, ...], have: tuple[str, ...], table: str) -> tuple[str, ...]:
    """The same in words, for the log."""
    added = [f"added {table} rule {line}" for line in want if line not in have]
    removed = [f"removed {table} rule {line}" for line in dict.fromkeys(have) if line not in want]
    return tuple(added + removed) or (f"put the {table} rules in order",)


def _head(want: tuple[str, ...], have: tuple[str, ...]) -> int:
    keep = 0
    while keep < min(len(want), len(have)) and want[keep] == have[keep] and want[keep] not in have[keep + 1 :]:
        keep += 1
    return keep


def rule(source: str, rest: str, chain: str = "POSTROUTING") -> str:
    """A rule for packets from `source`, as iptables writes it: any source is left out."""
    cidr = masked(source) if source else ""
    return f"{chain}{'' if cidr in ('', *_ANY) else f' -s {cidr}'}{rest}"
