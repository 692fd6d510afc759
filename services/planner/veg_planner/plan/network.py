"""Where a gateway stands: router, internal and external subnet, the latter's attachment, and the way to the bus."""

from typing import Final

from veg_contracts import addresses
from veg_contracts.objects import NetworkAttachment, Subnet, Vpc
from veg_planner.plan.notes import Notes
from veg_planner.spec import Spec, vpc_of
from veg_planner.state import Network, Way
from veg_planner.world import World

__all__ = ["Network", "resolve"]

_INTERNAL_INTERFACE: Final = "eth0"
_MANAGEMENT_INTERFACE: Final = "net2"  # the second attachment; the external network is the first


def resolve(world: World, spec: Spec, notes: Notes) -> Network | None:
    """Look the networks up; None, with what is awaited in the notes, when one is not there yet."""
    vpc = _vpc(world, vpc_of(spec, world.settings), notes)
    external = _subnet(world, "spec.externalSubnet", spec.external_subnet, notes)
    internal = _internal(world, spec, vpc, notes) if vpc is not None else None
    attachment = _attachment(world, external, notes) if external is not None else None
    way = _way(world, internal, notes) if internal is not None else None
    if vpc is None or internal is None or external is None or attachment is None or way is None:
        return None
    network = Network(
        vpc=vpc.name, router=vpc.router, internal=internal, external=external, attachment=attachment, way=way
    )
    if network.families:
        return network
    text = (
        f'spec.externalSubnet: Subnets "{internal.name}" (gateway {internal.gateway}) and '
        f'"{external.name}" (gateway {external.gateway}) have no address family in common'
    )
    notes.waits("families", text)
    return None


def _vpc(world: World, name: str, notes: Notes) -> Vpc | None:
    vpc = world.find(Vpc, name)
    if vpc is None:
        notes.waits("vpc", f'spec.vpc: Vpc "{name}" does not exist')
        return None
    if not vpc.router:
        notes.waits("vpc", f'spec.vpc: waits for the logical router of Vpc "{name}" (status.router is empty)')
        return None
    return vpc


def _internal(world: World, spec: Spec, vpc: Vpc, notes: Notes) -> Subnet | None:
    name = spec.internal_subnet or vpc.default_subnet
    if not name:
        text = f'spec.internalSubnet: Vpc "{vpc.name}" has no default subnet; set spec.internalSubnet'
        notes.waits("internal subnet", text)
        return None
    subnet = _subnet(world, "spec.internalSubnet", name, notes)
    if subnet is not None and (subnet.vpc or world.settings.default_vpc) != vpc.name:
        text = f'spec.internalSubnet: Subnet "{name}" belongs to Vpc "{subnet.vpc}", not to "{vpc.name}"'
        notes.refused("internal subnet", text)
        return None
    return subnet


def _subnet(world: World, field: str, name: str, notes: Notes) -> Subnet | None:
    subnet = world.find(Subnet, name)
    if subnet is None:
        notes.waits("subnet", f'{field}: Subnet "{name}" does not exist')
        return None
    for what, text in (("spec.cidrBlock", subnet.cidr), ("spec.gateway", subnet.gateway)):
        if not addresses.are_valid(text) or (what == "spec.gateway" and "/" in text):
            notes.waits("subnet", f'{field}: Subnet "{name}": {what}: {text!r}: "v4", "v6" or "v4,v6" is needed')
            return None
    return subnet


def _attachment(world: World, external: Subnet, notes: Notes) -> str | None:
    parts = external.provider.split(".")
    if len(parts) < 2 or not all(parts[:2]):  # noqa: PLR2004  # <nad>.<namespace>[.ovn]
        text = (
            f'spec.externalSubnet: Subnet "{external.name}": spec.provider: {external.provider!r}: '
            '"<name>.<namespace>" of a NetworkAttachmentDefinition is needed'
        )
        notes.refused("attachment", text)
        return None
    key = f"{parts[1]}/{parts[0]}"
    if world.find(NetworkAttachment, key) is None:
        text = f'NetworkAttachmentDefinition "{key}" (provider of Subnet "{external.name}") does not exist'
        notes.waits("attachment", f"spec.externalSubnet: {text}")
        return None
    return key


def _way(world: World, internal: Subnet, notes: Notes) -> Way | None:
    """How pods reach the bus: in the default VPC by their own network, in others by the management network.

    Kube-OVN leads to Services and nodes from the default VPC only. Without a management network the pods of other VPCs
    have the default route, as all have when the bus is outside of the cluster.
    """
    settings = world.settings
    if settings.agent_nats_via == "external":
        return Way()
    if (internal.vpc or settings.default_vpc) == settings.default_vpc:
        return Way(interface=_INTERNAL_INTERFACE, gateways=internal.gateway)
    if not settings.management_network:
        return Way()
    namespace, _, name = settings.management_network.partition("/")
    provider = f"{name}.{namespace}.ovn"
    subnets = sorted(
        (stored.object for stored in world.objects(Subnet.KIND) if isinstance(stored.object, Subnet)),
        key=lambda subnet: subnet.name,
    )
    found = next((subnet for subnet in subnets if subnet.provider == provider), None)
    if found is None or not addresses.are_valid(found.gateway):
        text = f'VEG_MANAGEMENT_NETWORK: waits for a Subnet with spec.provider "{provider}" and a gateway'
        notes.waits("management network", text)
        return None
    return Way(interface=_MANAGEMENT_INTERFACE, gateways=found.gateway, attachment=settings.management_network)
