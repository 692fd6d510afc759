"""What must be true of every intent, whatever led to it. Checked in production too, before an intent is recorded."""

from collections import Counter

from veg_contracts import addresses
from veg_contracts.intent import NbRows, PodConfig, RoutePolicy
from veg_planner.plan.draft import Draft


def violations(draft: Draft) -> tuple[str, ...]:
    """Every broken invariant, as a sentence. Empty: none."""
    return (*_of_rows(draft.nb), *_of_config(draft.config))


def _of_rows(rows: NbRows | None) -> list[str]:
    if rows is None or rows == NbRows():
        return []
    found = [text for policy in rows.policies for text in _of_policy(policy)]
    if not rows.router:
        found.append("rows without a logical router")
    keys = [(policy.family, policy.priority, policy.match) for policy in rows.policies]
    if keys != sorted(set(keys)):
        found.append("policies are not sorted, or one is there twice")
    return found


def _of_policy(policy: RoutePolicy) -> list[str]:
    found = []
    if f"ip{policy.family}." not in policy.match or f"ip{'6' if policy.family == '4' else '4'}." in policy.match:
        found.append(f"policy {policy.match!r} is not of family {policy.family} alone")
    if list(policy.nexthops) != sorted(set(policy.nexthops)):
        found.append(f"nexthops of {policy.match!r} are not sorted, or one is there twice")
    if any(not addresses.of_family(nexthop, policy.family) for nexthop in policy.nexthops):
        found.append(f"a nexthop of {policy.match!r} is of another family")
    if (policy.action == "reroute") != bool(policy.nexthops):
        found.append(f"policy {policy.match!r}: action {policy.action} with {len(policy.nexthops)} nexthops")
    return found


def _of_config(config: PodConfig | None) -> list[str]:
    if config is None:
        return []
    cidrs = [source.cidr for source in (*config.sources, *config.lingering)]
    found = [f"source {cidr} is in the config twice" for cidr, times in sorted(Counter(cidrs).items()) if times > 1]
    found += [f"source {cidr} has host bits" for cidr in cidrs if addresses.masked(cidr) != cidr]
    return found
