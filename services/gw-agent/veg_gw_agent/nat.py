"""The NAT rules of a config, and the least change from what is found to what is wanted. Pure."""

import re
from typing import Final

from veg_contracts.addresses import family as family_of
from veg_contracts.addresses import masked
from veg_contracts.intent import PodConfig, Source

# A rule of exactly this shape is ours; every other rule belongs to somebody else and is never touched.
# iptables leaves `-s` out for a source of prefix length 0.
_RULE: Final = re.compile(r"-A POSTROUTING(?: -s (?P<source>\S+))? -j MASQUERADE --random-fully")
# The kernel tracks connections in a namespace only while a rule there needs it. With the last NAT rule gone, even for a
# moment, it would forget them all: open connections would be reset, and later be taken for new ones and given another
# address. This rule, without a target, needs tracking for as long as the pod lives and does nothing else. It is in
# another table, so that the nat table shows what the user's document shows.
TRACKING_TABLE: Final = "mangle"
_TRACKING_RULE: Final = "-A FORWARD -m conntrack --ctstate INVALID"
_ANY: Final = {"4": "0.0.0.0/0", "6": "::/0"}


def taken(config: PodConfig) -> tuple[Source, ...]:
    """All sources whose traffic the pod takes: those of the config, then those that linger.

    A source that is in both counts as the config has it now: it has not left.
    """
    cidrs = {source.cidr for source in config.sources}
    return (*config.sources, *(source for source in config.lingering if source.cidr not in cidrs))


def wanted(config: PodConfig, family: str) -> tuple[str, ...]:
    """The CIDRs that leave under the gateway's own address, each once, in the order of the config."""
    if family not in config.families:
        return ()
    cidrs = (source.cidr for source in taken(config) if source.snat and family_of(source.cidr) == family)
    return tuple(dict.fromkeys(cidrs))


def found(saved: str, family: str) -> tuple[str, ...]:
    """The CIDRs of the rules of ours in the output of `iptables-save -t nat`, in their order, doubles included."""
    matches = (_RULE.fullmatch(line.strip()) for line in saved.splitlines())
    return tuple(masked(match["source"] or _ANY[family]) for match in matches if match)


def restore_input(want: tuple[str, ...], have: tuple[str, ...]) -> str:
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
    lines = [f"-A {_specification(cidr)}" for cidr in want[keep:]]
    lines += [f"-D {_specification(cidr)}" for cidr in have[keep:]]
    return "\n".join(["*nat", *lines, "COMMIT", ""])


def tracking_input(saved: str) -> str:
    """The input of `iptables-restore --noflush` that adds the rule that keeps tracking on; empty when it is there."""
    if any(line.strip() == _TRACKING_RULE for line in saved.splitlines()):
        return ""
    return f"*{TRACKING_TABLE}\n{_TRACKING_RULE}\nCOMMIT\n"


def changes(want: tuple[str, ...], have: tuple[str, ...]) -> tuple[str, ...]:
    """The same in words, for the log."""
    added = [f"added NAT of {cidr}" for cidr in want if cidr not in have]
    removed = [f"removed NAT of {cidr}" for cidr in dict.fromkeys(have) if cidr not in want]
    return tuple(added + removed) or ("put the NAT rules in order",)


def _head(want: tuple[str, ...], have: tuple[str, ...]) -> int:
    keep = 0
    while keep < min(len(want), len(have)) and want[keep] == have[keep] and want[keep] not in have[keep + 1 :]:
        keep += 1
    return keep


def _specification(cidr: str) -> str:
    return f"POSTROUTING -s {cidr} -j MASQUERADE --random-fully"
