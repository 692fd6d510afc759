"""The sources of a gateway: which traffic it takes, from `spec.policies`, canonical and each once."""

from collections.abc import Iterator
from ipaddress import ip_network

from veg_contracts import addresses
from veg_contracts.base import Value
from veg_contracts.intent import Source
from veg_contracts.objects import Subnet
from veg_planner.plan.network import Network
from veg_planner.plan.notes import Notes
from veg_planner.spec import Spec
from veg_planner.world import World


class Block(Value, frozen=True, kw_only=True):
    """A CIDR that a policy names, masked."""

    cidr: str
    snat: bool


def sources(world: World, spec: Spec, network: Network, notes: Notes) -> tuple[Source, ...]:
    """The sources of the families that the gateway can forward, sorted by family and address.

    A source that is listed both with and without SNAT gets SNAT: nothing leaves un-NATed by an oversight.
    """
    snat_of: dict[str, bool] = {}
    for block in blocks(world, spec, network.vpc, notes):
        family = addresses.family(block.cidr)
        if family not in network.families:
            text = f"source {block.cidr} is not acted on: no IPv{family} gateway on both sides of this egress gateway"
            notes.done("sources", text)
            continue
        snat_of[block.cidr] = snat_of.get(block.cidr, False) or block.snat
    return tuple(Source(cidr=cidr, snat=snat_of[cidr]) for cidr in sorted(snat_of, key=order))


def blocks(world: World, spec: Spec, vpc: str, notes: Notes) -> Iterator[Block]:
    """What the policies of a gateway in that VPC name, in their order, with repetitions."""
    for number, policy in enumerate(spec.policies):
        for text in policy.ip_blocks:
            yield Block(cidr=addresses.masked(text), snat=policy.snat)
        for name in policy.subnets:
            for cidr in _of_subnet(world, f"spec.policies[{number}].subnets", name, vpc, notes):
                yield Block(cidr=cidr, snat=policy.snat)


def inside_of(cidr: str, outer: str) -> bool:
    """Whether a CIDR is a true part of another one."""
    one, other = ip_network(cidr), ip_network(outer)
    return one != other and one.version == other.version and one.subnet_of(other)  # type: ignore[arg-type]  # of one family


def order(cidr: str) -> tuple[int, int, int]:
    """A total order of CIDRs: family, address, prefix length."""
    network = ip_network(cidr)
    return network.version, int(network.network_address), network.prefixlen


def _of_subnet(world: World, field: str, name: str, vpc: str, notes: Notes) -> list[str]:
    subnet = world.find(Subnet, name)
    if subnet is None:
        notes.waits("sources", f'{field}: Subnet "{name}" does not exist')
        return []
    if (subnet.vpc or world.settings.default_vpc) != vpc:
        notes.refused("sources", f'{field}: Subnet "{name}" belongs to Vpc "{subnet.vpc}", not to "{vpc}"')
        return []
    if not subnet.validated:
        notes.waits("sources", f'{field}: Subnet "{name}" is not validated by Kube-OVN (condition Validated)')
        return []
    found = []
    for member in addresses.split(subnet.cidr):
        try:
            found.append(addresses.masked(member))
        except ValueError:
            notes.waits("sources", f'Subnet "{name}": spec.cidrBlock: {member!r} is not a CIDR')
    return found
