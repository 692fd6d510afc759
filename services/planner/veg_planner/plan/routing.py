"""The rows of a gateway in the Northbound database: one reroute policy for each source (default VPC)."""

from veg_contracts import addresses, names
from veg_contracts.intent import NbRows, RoutePolicy, Source
from veg_planner.plan.network import Network
from veg_planner.plan.notes import Notes
from veg_planner.plan.pods import Member


def rows(network: Network, sources: tuple[Source, ...], serving: tuple[Member, ...], notes: Notes) -> NbRows:
    """The policies, sorted by family, priority and match. A source without a nexthop has none.

    A pod is a nexthop of a source only when its agent takes that source: it would leave un-NATed, or find no way back.
    """
    policies = []
    for source in sources:
        family = addresses.family(source.cidr)
        nexthops = sorted({member.internal[family] for member in serving if member.takes(source)})
        if not nexthops:
            notes.waits("routing", f"source {source.cidr} has no nexthop: waits for an agent that takes it")
            continue
        policies.append(
            RoutePolicy(
                family=family,
                priority=names.PRIORITY_CLUSTER,
                match=f"ip{family}.src == {source.cidr}",
                action="reroute",
                nexthops=tuple(nexthops),
            )
        )
    policies.sort(key=lambda policy: (policy.family, policy.priority, policy.match))
    return NbRows(router=network.router, policies=tuple(policies)) if policies else NbRows()
