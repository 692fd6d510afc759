"""The world: what the log says the cluster looks like. A set of immutable entries, and indexes derived from them.

Every change goes through `put` and `remove`, which remember it, so that the store can write exactly what changed and
`World.load` gives the same world again.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final, TypeVar

import msgspec

from veg_contracts import names
from veg_contracts.base import Value, encode
from veg_contracts.commands import members_part
from veg_contracts.configuration import PlannerSettings
from veg_contracts.intent import Intent, Part, Report
from veg_contracts.objects import AnyProjection, Deployment, EgressGateway, Pod, Vpc
from veg_planner.spec import FieldError, Spec, parse
from veg_planner.state import (
    AgentState,
    Basis,
    Floor,
    Listing,
    LocalGroup,
    Member,
    Orphan,
    PartState,
    Repairs,
    Selecting,
    SessionState,
    SilentSet,
    Stored,
    StrangeRoutes,
    Streams,
    Tombstone,
)
from veg_planner.times import later

OBJECT: Final = "object"  # key "<Kind>/<object key>"
TOMBSTONE: Final = "tombstone"  # key uid
LISTING: Final = "listing"  # key kind
INTENT: Final = "intent"  # key gateway, or Vpc
REPORT: Final = "report"  # key gateway
PART: Final = "part"  # key "<gateway>/<part>"
FLOOR: Final = "floor"  # key gateway
AGENT: Final = "agent"  # key pod uid
ORPHAN: Final = "orphan"  # key gateway
BASIS: Final = "basis"  # key gateway
SELECTING: Final = "selecting"  # key gateway
MEMBER: Final = "member"  # key logical switch port
LOCAL: Final = "local"  # key port group
SESSION: Final = "session"  # key "<gateway>/<address of the pod>"
REPAIRS: Final = "repairs"  # key gateway, or Vpc
SETTINGS: Final = "settings"  # key "planner"
STREAMS: Final = "streams"  # key "bus"
ROUTES: Final = "routes"  # key router
SILENT: Final = "silent"  # key "chassis"

_TYPES: Final[dict[str, type[Value]]] = {
    OBJECT: Stored,
    TOMBSTONE: Tombstone,
    LISTING: Listing,
    INTENT: Intent,
    REPORT: Report,
    PART: PartState,
    FLOOR: Floor,
    AGENT: AgentState,
    ORPHAN: Orphan,
    BASIS: Basis,
    SELECTING: Selecting,
    MEMBER: Member,
    LOCAL: LocalGroup,
    SESSION: SessionState,
    REPAIRS: Repairs,
    SETTINGS: PlannerSettings,
    STREAMS: Streams,
    ROUTES: StrangeRoutes,
    SILENT: SilentSet,
}

# Late messages about a deleted object come seconds after, not thousands of deletions after.
_TOMBSTONES_MAX: Final = 10_000

ProjectionT = TypeVar("ProjectionT", bound=AnyProjection)


class Entry(Value, frozen=True, kw_only=True):
    """One entry of the world as stored; `data` is its canonical JSON."""

    kind: str
    key: str
    data: bytes


class Removed(Value, frozen=True, kw_only=True):
    """An entry that is no more."""

    kind: str
    key: str


class World:
    """All entries, by kind and key.

    Order of iteration is order of insertion, so every decision that depends on an order sorts for itself.
    """

    def __init__(self) -> None:
        self._tables: dict[str, dict[str, Any]] = {kind: {} for kind in _TYPES}
        self._changes: dict[tuple[str, str], Any] = {}
        self._objects: dict[str, dict[str, Stored]] = {}
        self._key_of_uid: dict[str, str] = {}
        self._pods_of_gateway: dict[tuple[str, str], set[str]] = {}
        self._pods_of_namespace: dict[str, set[str]] = {}
        self._specs: dict[str, Spec | tuple[FieldError, ...]] = {}
        self._members_of: dict[str, set[str]] = {}
        self._lost_to: dict[str, Counter[str]] = {}
        self._ports_at: dict[tuple[str, str], set[str]] = {}
        self._local_at: dict[tuple[str, str], set[str]] = {}
        self._held: set[str] = set()
        self._other_hands: set[str] = set()
        self._foreign: dict[str, str] = {}  # Deployment -> uid of its owner
        self._owner_of: dict[str, str] = {}
        self._member_changes: dict[str, dict[str, bool]] = {}

    @classmethod
    def load(cls, entries: Iterable[Entry]) -> "World":
        """The world that was stored as these entries."""
        world = cls()
        for entry in entries:
            world.put(entry.kind, entry.key, msgspec.json.decode(entry.data, type=_TYPES[entry.kind]))
        world.take_changes()
        world._member_changes = {}
        return world

    def put(self, kind: str, key: str, value: Value) -> None:
        if self._tables[kind].get(key) == value:
            return
        self._unindex(kind, key)
        self._tables[kind].pop(key, None)  # so that the order of insertion is the order of the last change
        self._tables[kind][key] = value
        self._changes[kind, key] = value
        self._index(kind, key, value)

    def remove(self, kind: str, key: str) -> None:
        self._unindex(kind, key)
        if self._tables[kind].pop(key, None) is not None:
            self._changes[kind, key] = None

    def take_changes(self) -> tuple[Entry | Removed, ...]:
        """What changed since the last call, sorted, for the store."""
        changes = sorted(self._changes.items())
        self._changes = {}
        return tuple(
            Removed(kind=kind, key=key) if value is None else Entry(kind=kind, key=key, data=encode(value))
            for (kind, key), value in changes
        )

    # Objects of Kubernetes.

    def stored(self, kind: str, key: str) -> Stored | None:
        return self._objects.get(kind, {}).get(key)

    def stored_by_uid(self, uid: str) -> Stored | None:
        return self._tables[OBJECT].get(self._key_of_uid.get(uid, ""))

    def objects(self, kind: str) -> list[Stored]:
        return list(self._objects.get(kind, {}).values())

    def find(self, projection: type[ProjectionT], key: str) -> ProjectionT | None:
        stored = self.stored(projection.KIND, key)
        return stored.object if stored is not None and isinstance(stored.object, projection) else None

    def gateways(self) -> list[str]:
        """The keys of all gateways there are, or of which something is left, oldest first."""
        intents = (key for key in self._tables[INTENT] if is_gateway(key))
        return sorted({*self._objects.get(EgressGateway.KIND, {}), *intents}, key=self.age)

    def vpcs(self) -> list[str]:
        """The names of all Vpcs there are, or of whose BFD port something is left, sorted."""
        intents = (key for key in self._tables[INTENT] if not is_gateway(key))
        return sorted({*self._objects.get(Vpc.KIND, {}), *intents})

    def subjects(self) -> list[str]:
        """Everything that is planned: Vpcs, and then gateways, oldest first."""
        return [*self.vpcs(), *self.gateways()]

    def exists(self, subject: str) -> bool:
        """Whether the gateway or Vpc is there in Kubernetes."""
        return self.stored(EgressGateway.KIND if is_gateway(subject) else Vpc.KIND, subject) is not None

    def age(self, gateway: str) -> tuple[str, str]:
        """A total order of gateways: oldest first, those that are gone before all."""
        found = self.find(EgressGateway, gateway)
        return (found.created_at if found is not None else "", gateway)

    def spec(self, gateway: str) -> Spec | tuple[FieldError, ...] | None:
        """The spec of a gateway, or what is wrong with it; None of one that does not exist."""
        return self._specs.get(gateway)

    def pods_of(self, gateway: str) -> list[Stored]:
        """The pods that carry the gateway's labels, sorted by name.

        Not those of a gateway of the same name in another API group, which carry them too: their Deployment says so.
        """
        namespace, _, name = gateway.rpartition("/")
        keys = self._pods_of_gateway.get((namespace, names.label_value(name)), set())
        found = (self._tables[OBJECT][key] for key in sorted(keys))
        return [stored for stored in found if not self._of_another(stored.object, gateway)]

    def _of_another(self, pod: Pod, gateway: str) -> bool:
        deployment = self.find(Deployment, f"{pod.namespace}/{pod.deployment}") if pod.deployment else None
        stored, intent = self.stored(EgressGateway.KIND, gateway), self.intent(gateway)
        uid = stored.uid if stored is not None else intent.gateway_uid if intent is not None else ""
        return deployment is not None and bool(deployment.owner_uid) and deployment.owner_uid != uid

    def deployment_of(self, gateway_uid: str) -> str:
        """The key of the Deployment that the gateway owns; empty for none."""
        found = (stored.object for stored in self.objects(Deployment.KIND))
        owned = [each.key for each in found if isinstance(each, Deployment) and each.owner_uid == gateway_uid]
        return min(owned, default="")

    def is_marked(self, gateway: str) -> bool:
        """Whether another controller has left its mark on the gateway. Never in a group of our own."""
        stored, found = self.stored(EgressGateway.KIND, gateway), self.find(EgressGateway, gateway)
        if stored is None or found is None or self.settings.api_group != names.KUBE_OVN_GROUP:
            return False
        marked = names.KUBE_OVN_FINALIZER in found.finalizers or bool(found.status_managers)
        return marked or bool(self.foreign_deployment(stored.uid))

    def other_hands(self) -> list[str]:
        """The gateways whose status somebody else writes, sorted: only a controller has the right to. As above."""
        return sorted(self._other_hands) if self.settings.api_group == names.KUBE_OVN_GROUP else []

    def foreign_deployment(self, gateway_uid: str) -> str:
        """The key of a Deployment that names this gateway as its owner and that another one made; empty for none.

        An owner of another namespace is none (Kubernetes' own rule): a tenant could name any.
        """
        owner = self.stored_by_uid(gateway_uid)
        space = f"{owner.object.namespace}/" if owner is not None and isinstance(owner.object, EgressGateway) else "/"
        found = (key for key, uid in self._foreign.items() if uid == gateway_uid and key.startswith(space))
        return min(found, default="")

    def gateway_of_labels(self, namespace: str, labels: dict[str, str]) -> list[str]:
        """The gateways an object with these labels belongs to: one at most, unless a shortened label is shared."""
        value = labels.get(names.LABEL_GATEWAY)
        if value is None or labels.get(names.LABEL_APP) != names.APP:
            return []
        candidates = (gateway.rpartition("/") for gateway in self.gateways())
        return [
            f"{space}/{name}"
            for space, _, name in candidates
            if space == namespace and names.label_value(name) == value
        ]

    # What was decided and reported.

    @property
    def settings(self) -> PlannerSettings:
        settings: PlannerSettings = self._tables[SETTINGS].get("planner", PlannerSettings())
        return settings

    @property
    def streams(self) -> dict[str, str]:
        """When the streams on the bus were created, by name; empty: not known."""
        streams: Streams = self._tables[STREAMS].get("bus", Streams())
        return streams.created

    def intent(self, gateway: str) -> Intent | None:
        return self._tables[INTENT].get(gateway)

    def report(self, gateway: str) -> Report | None:
        return self._tables[REPORT].get(gateway)

    def part(self, gateway: str, part: Part | str) -> PartState | None:
        return self._tables[PART].get(f"{gateway}/{part}")

    def floor(self, gateway: str) -> Floor | None:
        return self._tables[FLOOR].get(gateway)

    def basis(self, gateway: str) -> Basis | None:
        return self._tables[BASIS].get(gateway)

    def agent(self, pod_uid: str) -> AgentState | None:
        return self._tables[AGENT].get(pod_uid)

    def agent_uids(self) -> list[str]:
        return list(self._tables[AGENT])

    def orphans(self) -> list[str]:
        return sorted(self._tables[ORPHAN])

    def strange_routers(self) -> list[str]:
        """The routers with src-ip routes that are not ours, sorted."""
        return sorted(self._tables[ROUTES])

    def strange_routes(self, router: str) -> StrangeRoutes:
        routes: StrangeRoutes = self._tables[ROUTES].get(router, StrangeRoutes())
        return routes

    @property
    def silent_chassis(self) -> SilentSet:
        """The chassis that are left out when rows count as programmed."""
        silent: SilentSet = self._tables[SILENT].get("chassis", SilentSet())
        return silent

    def tombstone(self, uid: str) -> Tombstone | None:
        return self._tables[TOMBSTONE].get(uid)

    def listing(self, kind: str) -> Listing:
        listing: Listing = self._tables[LISTING].get(kind, Listing())
        return listing

    def parts(self, subject: str) -> tuple[str, ...]:
        """The names of all parts that a subject has or may have: those of an intent, and its port groups' members."""
        intent = self.intent(subject)
        groups = intent.nb.port_groups if intent is not None and intent.nb is not None else ()
        return (*Part, *(members_part(group) for group in groups))

    def wants_tick(self) -> bool:
        """Whether something goes on when time passes: a failure, or rows that no chassis has confirmed yet."""
        return any(self.awaits_tick(subject) for subject in self.subjects())

    def awaits_tick(self, subject: str) -> bool:
        """Whether something of this gateway or Vpc failed, is unconfirmed, or was overwritten."""
        # A config fails for its size alone: time does not mend that.
        states = [self.part(subject, part) for part in self.parts(subject) if part != Part.CONFIG]
        failed = any(state is not None and state.state == "failed" for state in states)
        return failed or self.unconfirmed(subject) is not None or self.is_conflict_lost(subject)

    def is_conflict_lost(self, gateway: str) -> bool:
        """Whether the condition Conflict was written and is not there: an older status of another one overwrote it."""
        intent, found, state = self.intent(gateway), self.find(EgressGateway, gateway), self.part(gateway, Part.STATUS)
        wanted = intent is not None and intent.conflict is not None
        return wanted and found is not None and not found.conflict and state is not None and state.state == "applied"

    def unconfirmed(self, subject: str) -> PartState | None:
        """The state of NB rows that are written and of which not every chassis has the flows."""
        state = self.part(subject, Part.NB)
        return state if state is not None and state.state == "applied" and state.programmed < state.generation else None

    # BFD.

    def session(self, gateway: str, address: str) -> SessionState | None:
        """OVN's end of the session with a pod of the gateway."""
        return self._tables[SESSION].get(f"{gateway}/{address}")

    def overdue_sessions(self, at: str) -> list[tuple[str, SessionState]]:
        """The sessions that have been held back long enough at this time, with their keys, sorted."""
        held = ((key, self._tables[SESSION][key]) for key in sorted(self._held))
        return [(key, session) for key, session in held if session.held_until <= at]

    def repairs(self, subject: str) -> Repairs:
        """When somebody else changed rows of this gateway or Vpc."""
        repairs: Repairs = self._tables[REPAIRS].get(subject, Repairs())
        return repairs

    def repaired(self) -> list[str]:
        """The gateways and Vpcs of which somebody else changed rows lately, sorted."""
        return sorted(self._tables[REPAIRS])

    def overdue_repairs(self, at: str) -> list[str]:
        """Those of whose repairs some that are said are so long ago that they count no more, sorted."""
        since = later(at, -Repairs.WINDOW_S)
        return [one for one in self.repaired() if any(found[0] <= since for found in self.repairs(one).often.values())]

    # Who is in which port group: pods that are selected by labels, and pods by node.

    def pods_in(self, namespace: str) -> list[Pod]:
        return [self._tables[OBJECT][key].object for key in sorted(self._pods_of_namespace.get(namespace, ()))]

    def selecting(self) -> list[tuple[str, Selecting]]:
        """The gateways that select pods by labels, oldest first."""
        return sorted(self._tables[SELECTING].items(), key=lambda item: (item[1].created_at, item[0]))

    def member(self, port: str) -> Member | None:
        return self._tables[MEMBER].get(port)

    def members_of(self, group: str) -> list[str]:
        """The ports of a port group, sorted."""
        return sorted(self._members(group))

    def owner_of(self, group: str) -> str:
        """The gateway whose intent has this port group; empty for none."""
        return self._owner_of.get(group, "")

    def local_group(self, group: str) -> LocalGroup | None:
        return self._tables[LOCAL].get(group)

    def lost_to(self, gateway: str) -> list[str]:
        """The older gateways that have pods which this one selects too, sorted."""
        return sorted(self._lost_to.get(gateway, ()))

    def member_changes(self) -> list[str]:
        """The port groups whose membership has changed since their changes were last taken, sorted."""
        return sorted(self._member_changes)

    def take_member_changes(self, group: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The ports that were added to, and removed from, a port group since the last call, sorted."""
        changes = self._member_changes.pop(group, {})
        now = self._members(group)
        # A port that went and came again in between is no change.
        added = sorted(port for port, was in changes.items() if not was and port in now)
        removed = sorted(port for port, was in changes.items() if was and port not in now)
        return tuple(added), tuple(removed)

    def bury(self, uid: str, tombstone: Tombstone) -> None:
        self.put(TOMBSTONE, uid, tombstone)
        if len(self._tables[TOMBSTONE]) > _TOMBSTONES_MAX:
            # By version and uid, not by insertion: a loaded world must choose the same one.
            oldest = min(self._tables[TOMBSTONE].items(), key=lambda item: (item[1].resource_version, item[0]))
            self.remove(TOMBSTONE, oldest[0])

    # Indexes.

    def _index(self, kind: str, key: str, value: Any) -> None:
        if kind == MEMBER:
            group = names.port_group(value.gateway)
            self._note_member(group, key)
            self._members_of.setdefault(group, set()).add(key)
            for other in value.others:
                self._lost_to.setdefault(other, Counter())[value.gateway] += 1
        if kind == LOCAL:
            self._local_at.setdefault((value.router, value.node), set()).add(key)
        if kind == SESSION and value.held:
            self._held.add(key)
        if kind == INTENT and value.nb is not None:
            self._owner_of |= dict.fromkeys(value.nb.port_groups, key)
        if kind == OBJECT:
            self._index_object(key, value)

    def _index_object(self, key: str, value: Stored) -> None:
        if isinstance(value.object, EgressGateway):
            self._specs[value.object.key] = parse(value.object.spec)
            if value.object.status_managers:
                self._other_hands.add(value.object.key)
        if isinstance(value.object, Deployment) and value.object.foreign and value.object.owner_uid:
            self._foreign[value.object.key] = value.object.owner_uid
        if isinstance(value.object, Pod):
            self._pods_of_namespace.setdefault(value.object.namespace, set()).add(key)
            self._index_place(value.object, present=True)
        self._key_of_uid[value.uid] = key
        self._objects.setdefault(value.object.KIND, {})[value.object.key] = value
        if isinstance(value.object, Pod) and (owner := _gateway_label(value.object)) is not None:
            self._pods_of_gateway.setdefault(owner, set()).add(key)

    def _unindex(self, kind: str, key: str) -> None:
        value = self._tables[kind].get(key)
        if value is None:
            return
        if kind == MEMBER:
            self._unindex_member(key, value)
        if kind == LOCAL:
            self._local_at[value.router, value.node].discard(key)
        if kind == SESSION:
            self._held.discard(key)
        if kind == INTENT and value.nb is not None:
            for group in value.nb.port_groups:
                self._owner_of.pop(group, None)
        if kind == OBJECT:
            self._unindex_object(key, value)

    def _unindex_object(self, key: str, value: Stored) -> None:
        if isinstance(value.object, EgressGateway):
            del self._specs[value.object.key]
            self._other_hands.discard(value.object.key)
        if isinstance(value.object, Deployment):
            self._foreign.pop(value.object.key, None)
        if isinstance(value.object, Pod):
            self._pods_of_namespace[value.object.namespace].discard(key)
            self._index_place(value.object, present=False)
        self._key_of_uid.pop(value.uid, None)
        del self._objects[value.object.KIND][value.object.key]
        if isinstance(value.object, Pod) and (owner := _gateway_label(value.object)) is not None:
            self._pods_of_gateway[owner].discard(key)
            if not self._pods_of_gateway[owner]:
                del self._pods_of_gateway[owner]

    def _unindex_member(self, port: str, member: Member) -> None:
        group = names.port_group(member.gateway)
        self._note_member(group, port)
        self._members_of[group].discard(port)
        for other in member.others:
            self._lost_to[other][member.gateway] -= 1
            self._lost_to[other] += Counter()  # drops what has come to zero

    def _index_place(self, pod: Pod, *, present: bool) -> None:
        """Which ports are on which node and router."""
        if not sends_traffic(pod):
            return
        place, port = (pod.logical_router, pod.node), names.logical_switch_port(pod.namespace, pod.name)
        for group in self._local_at.get(place, ()):
            self._note_member(group, port)
        ports = self._ports_at.setdefault(place, set())
        ports.add(port) if present else ports.discard(port)

    def _members(self, group: str) -> set[str]:
        local = self.local_group(group)
        found = self._members_of.get(group) if local is None else self._ports_at.get((local.router, local.node))
        return found or set()

    def _note_member(self, group: str, port: str) -> None:
        """Remember what a port was before it changes, once."""
        self._member_changes.setdefault(group, {}).setdefault(port, port in self._members(group))


def is_gateway(subject: str) -> bool:
    """Whether a subject of planning is a gateway (`namespace/name`), and not a Vpc (a bare name)."""
    return "/" in subject


def sends_traffic(pod: Pod) -> bool:
    """Whether the pod is in a VPC and sends traffic. Gateway pods are no clients of a gateway."""
    ended = pod.phase in ("Succeeded", "Failed")
    return pod.allocated and not pod.host_network and not ended and pod.labels.get(names.LABEL_APP) != names.APP


def _gateway_label(labelled: Pod | Deployment) -> tuple[str, str] | None:
    value = labelled.labels.get(names.LABEL_GATEWAY)
    if value is None or labelled.labels.get(names.LABEL_APP) != names.APP:
        return None
    return labelled.namespace, value
