"""Whatever happens to a cluster, and however late, often and mixed up the planner hears of it: it ends where a planner
ends that is told of the final cluster at once. (DESIGN 5.2: the decision reads the world, never the message.)
"""

from typing import Any, Final

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from support.cluster import Cluster

from veg_contracts import names
from veg_contracts.events import AnyEvent, KindListed, ObjectChanged, ObjectDeleted
from veg_contracts.intent import Intent
from veg_contracts.objects import (
    AnyProjection,
    EgressGateway,
    Namespace,
    NetworkAttachment,
    Pod,
    Subnet,
    Vpc,
)

GATEWAYS: Final = ("default/a", "default/b", "other/c")
KINDS: Final = (EgressGateway, Vpc, Subnet, NetworkAttachment, Pod, Namespace)


def subnet(name: str, vpc: str, cidr: str, gateway: str, **changes: Any) -> Subnet:
    made = Subnet(name=name, vpc=vpc, provider="ovn", cidr=cidr, gateway=gateway, validated=True)
    return msgspec.structs.replace(made, **changes)


def client(name: str, namespace: str, router: str = "ovn-cluster", app: str = "web", **changes: Any) -> Pod:
    made = Pod(
        namespace=namespace, name=name, labels={"app": app}, phase="Running", allocated=True, logical_router=router
    )
    return msgspec.structs.replace(made, **changes)


# Every state that an object other than a gateway may be in; the first one of a name is what a gateway needs.
STATES: Final[tuple[AnyProjection, ...]] = (
    Vpc(name="ovn-cluster", router="ovn-cluster", default_subnet="ovn-default"),
    Vpc(name="vpc1", router="vpc1", default_subnet="subnet1"),
    Vpc(name="vpc1", default_subnet="subnet1"),
    Vpc(name="vpc1", router="vpc1-made-again", default_subnet="subnet1"),
    subnet("ovn-default", "ovn-cluster", "10.16.0.0/16", "10.16.0.1"),
    subnet("ovn-default", "", "10.16.0.0/16,fd00:10:16::/112", "10.16.0.1,fd00:10:16::1"),
    subnet("ovn-default", "ovn-cluster", "10.18.0.0/16", "10.18.0.1"),
    subnet("subnet1", "vpc1", "192.168.0.0/24", "192.168.0.1"),
    subnet("subnet1", "vpc1", "192.168.8.0/24", "192.168.8.1"),
    subnet("subnet2", "vpc1", "192.168.1.0/24,fd00:1::/64", "192.168.1.1,fd00:1::1"),
    subnet("subnet2", "ovn-cluster", "10.17.0.0/16", "10.17.0.1"),
    subnet("subnet2", "vpc1", "192.168.1.0/24", "192.168.1.1", validated=False),
    subnet("macvlan1", "", "172.17.0.0/16", "172.17.0.1", provider="eth1.default"),
    subnet("macvlan1", "", "172.17.0.0/16,fc00:172:17::/64", "172.17.0.1,fc00:172:17::1", provider="eth1.default"),
    NetworkAttachment(namespace="default", name="eth1", config="{}"),
    Namespace(name="default", labels={"team": "red"}),
    Namespace(name="default"),
    Namespace(name="other", labels={"team": "red"}),
    Namespace(name="other", labels={"team": "blue"}),
    client("p", "default"),
    client("p", "default", app="db"),
    client("p", "default", allocated=False, logical_router=""),
    client("p", "default", phase="Succeeded"),
    client("p", "other"),
    client("p", "other", router="vpc1"),
    client("q", "other", router="vpc1", app="db"),
    client("q", "other", router="vpc1"),
    client("q", "other", host_network=True),
)
NEEDED: Final = {item.key: item for item in reversed(STATES) if isinstance(item, Vpc | Subnet | NetworkAttachment)}

POLICIES: Final[tuple[dict[str, Any], ...]] = (
    {"snat": True, "subnets": ["ovn-default"]},
    {"snat": False, "subnets": ["ovn-default", "subnet2"]},
    {"snat": True, "ipBlocks": ["10.16.0.0/16"]},
    {"snat": True, "ipBlocks": ["10.17.0.9/16", "fd00:10:16::7"]},
    {"snat": True, "subnets": ["subnet1"], "ipBlocks": ["192.168.1.0/24"]},
)
SELECTORS: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"podSelector": {"matchLabels": {"app": "web"}}},
    {"namespaceSelector": {"matchLabels": {"team": "red"}}},
    {"namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["blue"]}]}},
)
SPECS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"policies": st.lists(st.sampled_from(POLICIES), max_size=2)},
    optional={
        "selectors": st.lists(st.sampled_from(SELECTORS), max_size=1),
        "vpc": st.sampled_from(["ovn-cluster", "vpc1"]),
        "replicas": st.integers(0, 2),
        "externalSubnet": st.sampled_from(["macvlan1", "missing", ""]),
        "podAntiAffinity": st.just("Required"),
    },
).map(lambda spec: {"externalSubnet": "macvlan1", "replicas": 1} | spec)

# Every kind as often as any other one, or the few states of a Vpc would hardly ever come.
OBJECTS: st.SearchStrategy[AnyProjection] = st.sampled_from((Vpc, Subnet, NetworkAttachment, Namespace, Pod)).flatmap(
    lambda kind: st.sampled_from([item for item in STATES if isinstance(item, kind)])
)

# What happens, as a value: so that hypothesis can print it and make it smaller.
Act = tuple[Any, ...]
ACTS: st.SearchStrategy[Act] = st.one_of(
    st.tuples(st.just("settle")),
    st.tuples(st.just("gateway"), st.sampled_from(GATEWAYS), SPECS),
    st.tuples(st.just("gateway"), st.sampled_from(GATEWAYS), SPECS),
    st.tuples(st.just("object"), OBJECTS),
    st.tuples(st.just("object"), OBJECTS),
    st.tuples(st.just("object"), OBJECTS),
    st.tuples(st.just("delete"), st.sampled_from(GATEWAYS)),
    st.tuples(st.just("erase"), st.just(EgressGateway), st.sampled_from(GATEWAYS), st.booleans()),
    st.builds(lambda item, seen: ("erase", type(item), item.key, seen), OBJECTS, st.booleans()),
    st.builds(lambda item, seen: ("erase", type(item), item.key, seen), OBJECTS, st.booleans()),
    st.tuples(st.just("list"), st.sampled_from(KINDS)),
)
# For each message: how many acts later it arrives, and the same for a second time; None: it does not come twice.
DELAYS = st.tuples(st.integers(0, 6), st.none() | st.integers(0, 12))


class Story:
    """A cluster, and messages that are on their way to its planner."""

    def __init__(self) -> None:
        self.cluster = Cluster()
        self._under_way: list[tuple[int, AnyEvent]] = []
        self._act = 0
        self._missed: set[type[AnyProjection]] = set()
        for item in NEEDED.values():
            self.cluster.happen(self.cluster.write(item))

    def live(self, acts: list[tuple[Act, tuple[int, int | None]]]) -> None:
        for act, (delay, again) in acts:
            self._act += 1
            for message in self._perform(act):
                self._send(message, delay, again)
            self._deliver(self._act)
        self._repair()
        self._deliver(self._act + 100)
        # A watcher that missed a deletion lists again.
        for kind in sorted(self._missed, key=lambda kind: kind.KIND):
            self.cluster.happen(self._listed(kind))
        self.cluster.settle()

    def _send(self, message: AnyEvent, delay: int, again: int | None) -> None:
        self._under_way.append((self._act + delay, message))
        if again is not None:
            self._under_way.append((self._act + again, message))

    def _deliver(self, until: int) -> None:
        due = sorted((entry for entry in self._under_way if entry[0] <= until), key=lambda entry: entry[0])
        self._under_way = [entry for entry in self._under_way if entry[0] > until]
        for _, message in due:
            self.cluster.happen(message)

    def _perform(self, act: Act) -> list[AnyEvent]:
        cluster = self.cluster
        match act:
            case ("gateway", key, spec):
                return [cluster.write(self._gateway(key, spec))]
            case ("object", item):
                return [cluster.write(item)]
            case ("delete", key) if (found := cluster.find(EgressGateway.KIND, key)) is not None:
                return [cluster.write(msgspec.structs.replace(found, deleting=True))]
            case ("erase", kind, key, seen) if cluster.find(kind.KIND, key) is not None:
                deletion = cluster.erase(kind.KIND, key)
                if seen:
                    return [deletion]
                self._missed.add(kind)
            case ("list", kind):
                return [self._listed(kind)]
            case ("settle",):
                cluster.settle()
        return []

    def _gateway(self, key: str, spec: dict[str, Any]) -> EgressGateway:
        """A gateway of that spec: an edit of the one there is, which deletion cannot be taken back from."""
        namespace, _, name = key.partition("/")
        found = self.cluster.find(EgressGateway.KIND, key)
        before = found if isinstance(found, EgressGateway) else None
        return EgressGateway(
            namespace=namespace,
            name=name,
            generation=before.generation + 1 if before is not None else 1,
            # Two in a second are no rarity, so three acts take one.
            created_at=before.created_at if before is not None else f"2026-01-01T00:00:{self._act // 3:02}Z",
            deleting=before.deleting if before is not None else False,
            finalizers=(names.FINALIZER,),
            spec=spec,
        )

    def _listed(self, kind: type[AnyProjection]) -> KindListed:
        # What the cluster around the planner does (gateways' pods) is heard at once, so it is in no list.
        own = [entry[0] for entry in self.cluster.gateway_pods.values()] if kind is Pod else []
        uids = [uid for (name, _), (uid, _, _) in self.cluster.objects.items() if name == kind.KIND]
        return KindListed(kind=kind.KIND, resource_version=self.cluster.revision, part=0, parts=1, uids=(*uids, *own))

    def _repair(self) -> None:
        """In the end every gateway can be planned: with what cannot, the last good state stays, which is history.

        Only what is broken is written: a write too many would have everything planned again, and hide what was not.
        """
        for item in NEEDED.values():
            found = self.cluster.find(item.KIND, item.key)
            if found is None or (isinstance(found, Vpc) and not found.router):
                self._send(self.cluster.write(item), 0, None)
        for key in GATEWAYS:
            found = self.cluster.find(EgressGateway.KIND, key)
            if not isinstance(found, EgressGateway):
                continue
            spec = found.spec | {"externalSubnet": "macvlan1"}
            if not spec["policies"] and not spec.get("selectors"):
                spec["policies"] = [POLICIES[0]]
            if spec != found.spec:
                self._send(self.cluster.write(self._gateway(key, spec)), 0, None)


def told_at_once(story: Story) -> Cluster:
    """A planner that begins with the final cluster."""
    fresh = Cluster()
    fresh.revision = story.cluster.revision
    fresh.objects = dict(story.cluster.objects)
    fresh.see_all()
    fresh.settle()
    return fresh


def end(cluster: Cluster) -> dict[str, Any]:
    """Where a cluster has come to, without the history: what is planned, and what its writers and agents have."""
    return {key: _of_gateway(cluster, key) for key in GATEWAYS if cluster.world.intent(key) is not None}


def _of_gateway(cluster: Cluster, key: str) -> Any:
    intent: Intent = cluster.intent(key)
    status = cluster.status(key)
    conditions = [(item.type, item.status, item.reason, item.message) for item in status.conditions]
    rows = intent.nb if intent.nb is not None and not intent.nb.empty else None
    written = cluster.rows.get(key)
    group = names.port_group(key)
    members = cluster.world.members_of(group)
    assert (written if written is None or not written.empty else None) == rows, "OVN has what is planned"
    assert sorted(cluster.members.get(group, ())) == members or rows is None or not rows.port_groups
    assert cluster.config.get(key) == intent.config
    config = msgspec.structs.replace(intent.config, generation=0) if intent.config is not None else None
    report = cluster.world.report(key)
    return {
        "rows": rows,
        "workload": intent.workload,
        "finalizer": intent.finalizer,
        "config": config,
        "status": msgspec.structs.replace(status, conditions=()),
        "conditions": conditions,
        "members": members,
        "steps": report.steps if report is not None else None,
    }


# Without a least size hypothesis would make most of them too short for anything to meet; it still makes them smaller,
# by settling instead of acting.
@given(st.lists(st.tuples(ACTS, DELAYS), min_size=12, max_size=40))
def test_any_story_ends_as_its_last_page(acts: list[tuple[Act, tuple[int, int | None]]]) -> None:
    story = Story()
    story.live(acts)
    ended = end(story.cluster)
    assert ended == end(told_at_once(story))
    for key, rows in story.cluster.rows.items():
        assert rows.empty or story.cluster.find(EgressGateway.KIND, key) is not None, f"{key} left rows behind"
    for record in reversed(story.cluster.log[:]):
        if isinstance(record.envelope.data, ObjectChanged | ObjectDeleted | KindListed):
            assert story.cluster.happen(record.envelope.data).intents == (), "all that is old news"
    assert end(story.cluster) == ended
