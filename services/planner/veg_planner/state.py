"""What the world remembers besides the projections of objects: what was reported, and what it was last planned from."""

from typing import ClassVar, Final

from veg_contracts import addresses
from veg_contracts.base import Value
from veg_contracts.events import SilentChassis
from veg_contracts.intent import NbRows, Source
from veg_contracts.objects import AnyProjection, Subnet
from veg_planner.spec import PodSelector, Spec

# What the ovn-writer says of the BFD port of a Vpc that it was told to write: whose the router port is.
BFD_PORT: Final = "bfd_port"
# And the addresses of the relay that it has made beside it, joined by commas.
BFD_RELAY: Final = "bfd_relay"
OURS: Final = "ours"
FOREIGN: Final = "foreign"
_DIGITS_MAX: Final = 18  # of a generation that fits 64 bits


class Stored(Value, frozen=True, kw_only=True):
    """The newest projection of an object that the log holds."""

    uid: str
    resource_version: int
    object: AnyProjection


class Tombstone(Value, frozen=True, kw_only=True):
    """An object that is gone: a late event about it must not bring it back."""

    kind: str
    resource_version: int


class Listing(Value, frozen=True, kw_only=True):
    """How far a listing of a kind has come in; `complete` is the newest resourceVersion a whole one had, or 0.

    `existing` are the uids of that whole one: what it does not have was gone then, and an older event about such an
    object is late. None: not known.
    """

    complete: int = 0
    existing: tuple[str, ...] | None = None
    resource_version: int = 0
    parts: dict[int, tuple[str, ...]] = {}


class Way(Value, frozen=True, kw_only=True):
    """The pods' way to the bus: an interface and its gateways ("v4", "v6" or "v4,v6"). Else the default route.

    `attachment` is the network that the interface is for, `namespace/name`, if it is one of the way's own.
    """

    interface: str = ""
    gateways: str = ""
    attachment: str = ""


class Network(Value, frozen=True, kw_only=True):
    """The networks of one gateway, all of them there. `attachment` is the external network, `namespace/name`."""

    vpc: str
    router: str
    internal: Subnet
    external: Subnet
    attachment: str
    way: Way = Way()

    @property
    def families(self) -> tuple[str, ...]:
        """The address families that have a gateway address on both sides: only those can be forwarded."""
        return tuple(
            family
            for family in addresses.FAMILIES
            if addresses.of_family(self.internal.gateway, family) and addresses.of_family(self.external.gateway, family)
        )


class Basis(Value, frozen=True, kw_only=True):
    """What a gateway was last planned from. `sources` are those that its policies came to then.

    `held` are the CIDRs among them that no older gateway had. `spared` are the addresses of pods that had traffic when
    BFD came to them, and kept it (plan/bfd).
    """

    gateway_uid: str
    spec: Spec
    network: Network
    sources: tuple[Source, ...]
    spared: tuple[str, ...] = ()
    held: tuple[str, ...] = ()


class Selecting(Value, frozen=True, kw_only=True):
    """A gateway that selects pods by labels: on which logical router, how old it is, and by what."""

    router: str
    created_at: str
    selectors: tuple[PodSelector, ...]


class Member(Value, frozen=True, kw_only=True):
    """A pod that is selected: by `gateway`, the oldest, and by younger `others` that do not get it."""

    gateway: str
    others: tuple[str, ...] = ()


class LocalGroup(Value, frozen=True, kw_only=True):
    """A port group with the pods of one node and logical router, for a gateway whose trafficPolicy is Local."""

    gateway: str
    router: str
    node: str


class SessionState(Value, frozen=True, kw_only=True):
    """OVN's end of a BFD session: its `status` (ovn-nb(5)) since `since`, and whether it has ever been up.

    `downs` are the times at which it went down lately. A session that flaps is `held` back until `held_until` although
    it is up. Times are RFC 3339, UTC.
    """

    status: str
    since: str
    been_up: bool = False
    downs: tuple[str, ...] = ()
    held: bool = False
    held_until: str = ""


class Repairs(Value, frozen=True, kw_only=True):
    """When somebody else changed rows of ours, by table: the newest times within a while, sorted. RFC 3339, UTC."""

    WINDOW_S: ClassVar[int] = 600
    OFTEN: ClassVar[int] = 3
    KEPT_MAX: ClassVar[int] = 10

    times: dict[str, tuple[str, ...]] = {}

    @property
    def often(self) -> dict[str, tuple[str, ...]]:
        """The tables in which it was often enough to be said."""
        return {table: times for table, times in self.times.items() if len(times) >= self.OFTEN}


class PartState(Value, frozen=True, kw_only=True):
    """What became of the last command for one part of a gateway's intent.

    `state` is "sent", "applied", "failed" or "drifted"; `generation` is that of the command. `programmed` is the
    newest generation of NB rows that every chassis has flows for; `ticks` counts how long it has not been.
    A message of a failure stays until a later command is applied. A config stays "sent": agents say what became of it.
    """

    gateway_uid: str
    command_id: str
    generation: int
    state: str
    message: str = ""
    detail: dict[str, str] = {}
    programmed: int = 0
    ticks: int = 0

    @property
    def whose(self) -> dict[str, str]:
        """Of `detail`, what stays true until a later command is applied: whose a BFD port is, and its relay."""
        return {key: value for key, value in self.detail.items() if key in (BFD_PORT, BFD_RELAY) and value}

    @property
    def object_generation(self) -> int:
        """The `metadata.generation` of the object that the command wrote; 0 when its writer said none."""
        return self._number("generation")

    @property
    def budget_generation(self) -> int:
        """The same of the PodDisruptionBudget that the command wrote beside it."""
        return self._number("budget_generation")

    @property
    def budget_uid(self) -> str:
        """The uid of that budget; empty for none of ours."""
        return self.detail.get("budget_uid", "")

    def _number(self, key: str) -> int:
        said = self.detail.get(key, "")
        return int(said) if said.isdecimal() and len(said) <= _DIGITS_MAX else 0


class AgentState(Value, frozen=True, kw_only=True):
    """What the agent in one gateway pod has configured, and what it last complained of.

    `pod` is the name of the pod that said so; empty of what was remembered before names were.
    """

    gateway: str
    gateway_uid: str
    pod: str = ""
    generation: int = 0
    sources: tuple[Source, ...] = ()
    default_snat: bool = False
    error: str = ""


class Floor(Value, frozen=True, kw_only=True):
    """A writer or agent has seen this generation already; the next one of the gateway must be higher."""

    gateway_uid: str
    generation: int


class Streams(Value, frozen=True, kw_only=True):
    """When the streams on the bus were created, by name: others at their place hold nothing of what was sent."""

    created: dict[str, str] = {}


class StrangeRoutes(Value, frozen=True, kw_only=True):
    """The prefixes of src-ip routes on a router that are not ours; `left_out`: how many more there are."""

    prefixes: tuple[str, ...] = ()
    left_out: int = 0


class SilentSet(Value, frozen=True, kw_only=True):
    """The chassis without which rows count as programmed, by name; `left_out`: how many more there are."""

    KEPT_MAX: ClassVar[int] = 100

    chassis: tuple[SilentChassis, ...] = ()
    left_out: int = 0


class Orphan(Value, frozen=True, kw_only=True):
    """Rows in the Northbound database that carry the name of a gateway that we know nothing of."""

    rows: tuple[NbRows, ...] = ()
