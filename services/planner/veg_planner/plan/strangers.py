"""The src-ip routes of others on a router, and how a source lies to them."""

from bisect import bisect_left
from collections import defaultdict

from veg_contracts import addresses
from veg_planner.state import StrangeRoutes


class Strangers:
    """Built once for a plan: a router may have thousands of such routes, and a gateway thousands of sources."""

    def __init__(self, router: str, routes: StrangeRoutes) -> None:
        self.router = router
        self.crowded = routes.left_out > 0  # some are not known, so any prefix may be among them
        self._prefixes = frozenset(routes.prefixes)
        self._starts: defaultdict[int, list[int]] = defaultdict(list)  # by IP version, sorted
        self._masked: defaultdict[tuple[int, int], set[int]] = defaultdict(set)  # by version and prefix length
        for prefix in routes.prefixes:
            network = addresses.parse(prefix).network
            self._starts[network.version].append(int(network.network_address))
            self._masked[network.version, network.prefixlen].add(int(network.network_address))
        for starts in self._starts.values():
            starts.sort()

    def have(self, cidr: str) -> bool:
        """Whether one of them has this very prefix."""
        return cidr in self._prefixes

    def cover(self, cidr: str) -> bool:
        """Whether one of them has this prefix, or one around it: then a packet from there has a routing hit."""
        network = addresses.parse(cidr).network
        start, bits = int(network.network_address), network.max_prefixlen
        return any(
            start >> (bits - length) << (bits - length) in starts
            for (version, length), starts in self._masked.items()
            if version == network.version and length <= network.prefixlen
        )

    def lie_inside(self, cidr: str) -> bool:
        """Whether one of them has a part of this prefix, which none covers."""
        network = addresses.parse(cidr).network
        starts = self._starts.get(network.version, [])
        # Prefixes lie inside one another or apart: one that begins in here is a part, since it is not around it.
        index = bisect_left(starts, int(network.network_address))
        return index < len(starts) and starts[index] <= int(network.broadcast_address)
