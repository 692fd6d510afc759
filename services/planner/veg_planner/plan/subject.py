"""Which gateway is being planned."""

from veg_contracts.base import Value
from veg_contracts.intent import Intent
from veg_contracts.objects import EgressGateway
from veg_planner.state import Basis
from veg_planner.world import World


class Subject(Value, frozen=True, kw_only=True):
    """A gateway that exists, its uid, its intent before this planning, and what it was last planned from.

    The last two are None if it had none; those of a gateway of the same name before it are not its own.
    """

    gateway: EgressGateway
    uid: str
    last: Intent | None = None
    basis: Basis | None = None


def living(world: World, gateway: str) -> Subject | None:
    """The gateway, unless it is gone or being deleted."""
    stored = world.stored(EgressGateway.KIND, gateway)
    if stored is None or not isinstance(stored.object, EgressGateway) or stored.object.deleting:
        return None
    last, basis = world.intent(gateway), world.basis(gateway)
    return Subject(
        gateway=stored.object,
        uid=stored.uid,
        last=last if last is not None and last.gateway_uid == stored.uid else None,
        basis=basis if basis is not None and basis.gateway_uid == stored.uid else None,
    )
