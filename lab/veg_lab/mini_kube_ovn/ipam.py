"""Addresses of pods and nodes. No I/O: the caller says who exists, and stores what was given in annotations.

- An address belongs to one owner per subnet; subnets of different VPCs may overlap.
- An address is freed only when its owner is gone, never because a lease could be renewed better.
- A freed address is given out again as late as possible: the search goes on after the last one given.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from veg_lab.mini_kube_ovn.model import Address, Network, Range, Subnet
from veg_lab.mini_kube_ovn.names import stable_mac


class AcquireError(Exception):
    """No address can be given; the message says why."""


@dataclass(frozen=True)
class Owner:
    """One interface: of a pod (uid and provider), or of a node (its name as uid)."""

    uid: str
    provider: str

    @property
    def mac(self) -> str:
        return stable_mac(f"{self.uid}/{self.provider}")


@dataclass(frozen=True)
class Lease:
    subnet: str
    addresses: tuple[Address, ...]
    mac: str


@dataclass(frozen=True)
class Wanted:
    """What an owner may have: one of these address sets, or any of these ranges, or anything if both are empty."""

    choices: tuple[tuple[Address, ...], ...] = ()
    ranges: tuple[Range, ...] = ()
    mac: str = ""


@dataclass
class Ipam:
    leases: dict[Owner, Lease] = field(default_factory=dict)
    _holders: dict[tuple[str, Address], Owner] = field(default_factory=dict)
    _cursors: dict[tuple[str, int], int] = field(default_factory=dict)

    def retain(self, owners: Iterable[Owner]) -> None:
        """Frees what belongs to anyone else."""
        for owner in self.leases.keys() - set(owners):
            lease = self.leases.pop(owner)
            for address in lease.addresses:
                self._holders.pop((lease.subnet, address), None)

    def adopt(self, owner: Owner, lease: Lease) -> None:
        """Takes over what an earlier run gave. Raises AcquireError if somebody else holds it."""
        self._check_free(lease.subnet, lease.addresses)
        self._record(owner, lease)
        for address in lease.addresses:
            key = lease.subnet, address.version
            self._cursors[key] = max(self._cursors.get(key, 0), int(address))

    def acquire(self, owner: Owner, subnet: Subnet, wanted: Wanted, reserved: tuple[Range, ...]) -> Lease:
        """The owner's lease, a new one if it has none. `reserved` binds only those who did not ask for a range."""
        held = self.leases.get(owner)
        if held is not None:
            return held
        if wanted.choices:
            addresses = self._choose(subnet, wanted.choices)
        else:
            addresses = tuple(self._search(subnet, network, wanted.ranges, reserved) for network in subnet.networks)
        lease = Lease(subnet.name, addresses, wanted.mac or owner.mac)
        self._record(owner, lease)
        return lease

    def used(self, subnet: str, version: int) -> int:
        return sum(1 for name, address in self._holders if name == subnet and address.version == version)

    def _record(self, owner: Owner, lease: Lease) -> None:
        self.leases[owner] = lease
        for address in lease.addresses:
            self._holders[lease.subnet, address] = owner

    def _check_free(self, subnet: str, addresses: tuple[Address, ...]) -> None:
        for address in addresses:
            holder = self._holders.get((subnet, address))
            if holder is not None:
                raise AcquireError(f"address {address} of subnet {subnet} is in use")

    def _choose(self, subnet: Subnet, choices: tuple[tuple[Address, ...], ...]) -> tuple[Address, ...]:
        # A requested address may lie in excludeIps: that is how addresses are kept for those who ask for them.
        reasons = []
        for choice in choices:
            outside = [a for a in choice if not any(a in n for n in subnet.networks) or a in subnet.gateways]
            if outside:
                reasons.append(f"address {outside[0]} cannot be used in subnet {subnet.name} {subnet.cidr}")
                continue
            try:
                self._check_free(subnet.name, choice)
            except AcquireError as error:
                reasons.append(str(error))
                continue
            return choice
        raise AcquireError("; ".join(reasons))

    def _search(
        self, subnet: Subnet, network: Network, allowed: tuple[Range, ...], reserved: tuple[Range, ...]
    ) -> Address:
        own = tuple(Range(gateway, gateway) for gateway in subnet.gateways)
        barred = (*own, *(() if allowed else (*subnet.excludes, *reserved)))
        key = subnet.name, network.version
        spans = [(int(r.first), int(r.last)) for r in allowed if r.first.version == network.version]
        if not allowed:
            lowest, highest = int(network[0]) + 1, int(network[-1]) - 1
            start = self._cursors.get(key, lowest - 1) + 1
            spans = [(start, highest), (lowest, min(start - 1, highest))]
        for first, last in spans:
            found = self._first_free(subnet.name, network, (first, last), barred)
            if found is not None:
                if not allowed:
                    self._cursors[key] = int(found)
                return found
        raise AcquireError(f"no available address in subnet {subnet.name} {network}")

    def _first_free(
        self, subnet: str, network: Network, span: tuple[int, int], barred: tuple[Range, ...]
    ) -> Address | None:
        base, at = int(network[0]), span[0]
        while at <= span[1] and 0 <= at - base < network.num_addresses:
            address = network[at - base]
            hit = next((r for r in barred if address in r), None)
            if hit is None and (subnet, address) not in self._holders:
                return address
            at = int(hit.last) + 1 if hit else at + 1
        return None
