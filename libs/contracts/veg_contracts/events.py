"""Events: facts in the past tense. Each is the data of one CloudEvent; the envelope is `veg_contracts.envelope`."""

from typing import TypeAlias

from veg_contracts.base import Value
from veg_contracts.configuration import PlannerSettings
from veg_contracts.intent import NbRows, Source
from veg_contracts.objects import AnyProjection


class ObjectChanged(Value, frozen=True, kw_only=True):
    """The watcher saw a new or changed projection of an object."""

    uid: str
    resource_version: int
    object: AnyProjection


class ObjectDeleted(Value, frozen=True, kw_only=True):
    """The watcher saw an object go. `resource_version` is that of the deletion."""

    kind: str
    name: str
    uid: str
    resource_version: int
    namespace: str = ""


class KindListed(Value, frozen=True, kw_only=True):
    """The watcher listed a kind; `uids` is part `part` (from 0) of `parts` of what exists at `resource_version`.

    An object of that kind that is in no part and is not newer than `resource_version` is gone.
    """

    kind: str
    resource_version: int
    part: int
    parts: int
    uids: tuple[str, ...]


class CommandApplied(Value, frozen=True, kw_only=True):
    """A writer brought about what the command asks for. `detail` says what it saw, e.g. a Deployment's generation."""

    command_id: str
    gateway: str
    gateway_uid: str
    part: str
    generation: int
    detail: dict[str, str] = {}


class CommandFailed(Value, frozen=True, kw_only=True):
    """A writer cannot bring it about, and trying the same again now is of no use. `message` names object and reason."""

    command_id: str
    gateway: str
    gateway_uid: str
    part: str
    generation: int
    message: str


class CommandRefused(Value, frozen=True, kw_only=True):
    """A writer has already applied a newer generation of that part."""

    command_id: str
    gateway: str
    gateway_uid: str
    part: str
    generation: int
    applied_generation: int


class RowsProgrammed(Value, frozen=True, kw_only=True):
    """Every chassis that lives has the flows of this command: each reached its `nb_cfg` (ovn-nb(5), ovn-sb(5)).

    Which ones did not live, the ChassisObserved before it in the log says. A writer that cannot see the chassis waits
    for NB_Global.hv_cfg, and so for all of them.
    """

    command_id: str
    gateway: str
    gateway_uid: str
    generation: int
    nb_cfg: int


class RowsObserved(Value, frozen=True, kw_only=True):
    """What the Northbound database holds for a gateway, when it may not be what we wrote.

    `reason` is "resync" (after a start or a lost connection) or "drift" (somebody else changed our rows). `before`
    is what this writer last wrote or saw, None when it knows nothing. `routers` may be several after such a change.
    """

    gateway: str
    reason: str
    after: tuple[NbRows, ...] = ()
    before: tuple[NbRows, ...] | None = None


class MembersObserved(Value, frozen=True, kw_only=True):
    """Somebody else changed who is in a gateway's port group: ports that exist and are missing, or should not be there.

    `generation` is that of the membership that the writer last applied.
    """

    gateway: str
    port_group: str
    generation: int
    missing: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()


class RoutesObserved(Value, frozen=True, kw_only=True):
    """The prefixes of the src-ip static routes in the main table of a router that are not ours. None: it has none.

    Masked, sorted, each once, and of more than a message can hold only the first: `left_out` counts the others.
    """

    router: str
    prefixes: tuple[str, ...] = ()
    left_out: int = 0


class SilentChassis(Value, frozen=True, kw_only=True):
    """A chassis without the flows of the nb_cfg that it `lacks`, though they were there for it at `since`.

    `since`: RFC 3339, UTC. Names are cut where they stop to be of use, and have nothing in them that cannot be printed.
    """

    name: str
    hostname: str
    lacks: int
    since: str


class ChassisObserved(Value, frozen=True, kw_only=True):
    """The chassis that are `silent`: that have lacked flows for longer than the writer's bound. All others live.

    Rows count as programmed without them, and others run the BFD ports of ours. `back` are those that were told as
    silent before and have the newest nb_cfg again; one that was, and is in neither, is gone. Sorted by name, and of
    many only the first: `left_out` counts the other silent ones. Also said after a writer's start, once the bound has
    passed.
    """

    silent: tuple[SilentChassis, ...] = ()
    back: tuple[SilentChassis, ...] = ()
    left_out: int = 0


class RowsListed(Value, frozen=True, kw_only=True):
    """After a start or a lost connection: these gateways own rows. All others own none.

    `routers` are those with src-ip routes that are not ours (RoutesObserved says which). All others have none.
    """

    gateways: tuple[str, ...] = ()
    routers: tuple[str, ...] = ()


class ConfigApplied(Value, frozen=True, kw_only=True):
    """An agent configured its pod as that generation of the config says; `sources` are those it now takes.

    Of more than fit a message, `sources` is empty and `sources_digest` stands for them: `digest_of_sources`.
    """

    gateway: str
    gateway_uid: str
    pod: str
    pod_uid: str
    generation: int
    sources: tuple[Source, ...] = ()
    default_snat: bool = False
    sources_digest: str = ""


class ConfigFailed(Value, frozen=True, kw_only=True):
    """An agent could not configure its pod; it goes on trying. The last good configuration stays."""

    gateway: str
    gateway_uid: str
    pod: str
    pod_uid: str
    generation: int
    message: str


class SessionChanged(Value, frozen=True, kw_only=True):
    """OVN's end of a BFD session changed: the column `status` of its row (ovn-nb(5)), "" once the row is gone.

    Also said after a start or a lost connection, when `previous` is not known (""). `at`: RFC 3339, UTC.
    """

    gateway: str
    logical_port: str
    dst_ip: str
    status: str
    previous: str
    at: str


class SessionProgrammed(Value, frozen=True, kw_only=True):
    """The flows that OVN made of a session that went down at `down_at` are where RowsProgrammed says, at `nb_cfg`.

    OVN takes the static routes of such a session out by itself. From here on no packet takes them.
    """

    gateway: str
    logical_port: str
    dst_ip: str
    down_at: str
    nb_cfg: int


class SpeakerChanged(Value, frozen=True, kw_only=True):
    """The pod's end of a BFD session changed. States and `diagnostic` in the words of RFC 5880, 4.1.

    `min_rx`, `min_tx` and `detect` are what is in force, in milliseconds. `at`: RFC 3339, UTC.
    """

    gateway: str
    gateway_uid: str
    pod: str
    pod_uid: str
    local: str
    remote: str
    state: str
    previous: str
    diagnostic: str
    remote_state: str
    min_rx: int
    min_tx: int
    detect: int
    at: str


class Ticked(Value, frozen=True, kw_only=True):
    """Time passed: what failed may be tried again. The planner appends it itself.

    `early`: it came before its time, for what was only until now: BFD sessions held back, and repairs that count.
    Nothing else looks at it.
    """

    at: str
    early: bool = False


class PlannerConfigured(Value, frozen=True, kw_only=True):
    """A planner started with these settings, and they differ from those in the log. It appends this itself."""

    settings: PlannerSettings


class StreamsCreated(Value, frozen=True, kw_only=True):
    """The bus's streams were created at these times (RFC 3339, UTC), by name, and the log knows others, or none.

    What the log's streams held is lost: the configs, and commands and outcomes on their way. The planner appends it
    itself.
    """

    created: dict[str, str]


AnyEvent: TypeAlias = (
    ObjectChanged
    | ObjectDeleted
    | KindListed
    | CommandApplied
    | CommandFailed
    | CommandRefused
    | RowsProgrammed
    | RowsObserved
    | MembersObserved
    | RoutesObserved
    | ChassisObserved
    | RowsListed
    | ConfigApplied
    | ConfigFailed
    | SessionChanged
    | SessionProgrammed
    | SpeakerChanged
    | Ticked
    | PlannerConfigured
    | StreamsCreated
)

# CloudEvents `type` of each event. A change that an older reader would misunderstand gets a new version beside the old.
EVENT_TYPES: dict[str, type[AnyEvent]] = {
    "veg.k8s.object-changed.v1": ObjectChanged,
    "veg.k8s.object-deleted.v1": ObjectDeleted,
    "veg.k8s.kind-listed.v1": KindListed,
    "veg.writer.command-applied.v1": CommandApplied,
    "veg.writer.command-failed.v1": CommandFailed,
    "veg.writer.command-refused.v1": CommandRefused,
    "veg.ovn.rows-programmed.v1": RowsProgrammed,
    "veg.ovn.rows-observed.v1": RowsObserved,
    "veg.ovn.members-observed.v1": MembersObserved,
    "veg.ovn.routes-observed.v1": RoutesObserved,
    "veg.ovn.chassis-observed.v1": ChassisObserved,
    "veg.ovn.rows-listed.v1": RowsListed,
    "veg.agent.config-applied.v1": ConfigApplied,
    "veg.agent.config-failed.v1": ConfigFailed,
    "veg.ovn.session-changed.v1": SessionChanged,
    "veg.ovn.session-programmed.v1": SessionProgrammed,
    "veg.agent.speaker-changed.v1": SpeakerChanged,
    "veg.planner.ticked.v1": Ticked,
    "veg.planner.configured.v1": PlannerConfigured,
    "veg.planner.streams-created.v1": StreamsCreated,
}
