"""Which gateway is being planned."""

from veg_contracts.base import Value
from veg_contracts.intent import Intent
from veg_contracts.objects import EgressGateway


class Subject(Value, frozen=True, kw_only=True):
    """A gateway that exists, its uid, and its intent before this planning (None: it had none)."""

    gateway: EgressGateway
    uid: str
    last: Intent | None = None
