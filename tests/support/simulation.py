"""The planner's core with simulated writers, agents and Kubernetes around it: pure, fast, in any order a test wants.

What the real parts do with a command is played by `answer`; the test decides when, how often, or not at all.
"""

import msgspec

from veg_contracts import names
from veg_contracts.base import encode
from veg_contracts.commands import (
    AnyCommand,
    ChangeMembers,
    EnsureMembers,
    EnsureNb,
    EnsureVpcStatus,
    EnsureWorkload,
    PublishConfig,
    RemoveWorkload,
    part_of,
)
from veg_contracts.configuration import PlannerSettings
from veg_contracts.envelope import Envelope, type_name
from veg_contracts.events import (
    AnyEvent,
    CommandApplied,
    ConfigApplied,
    ObjectChanged,
    ObjectDeleted,
    PlannerConfigured,
    RowsProgrammed,
    SessionChanged,
    StreamsCreated,
)
from veg_contracts.intent import GatewayStatus, Intent, NbRows, PodConfig
from veg_contracts.objects import (
    AnyProjection,
    Attachment,
    Deployment,
    DisruptionBudget,
    EgressGateway,
    NetworkAttachment,
    Pod,
    Subnet,
    Vpc,
)
from veg_planner.core import Entry, Outcome, Outgoing, Record, Removed, World, step

SETTINGS = PlannerSettings(
    image="gw:test",
    management_network="kube-system/veg-mgmt",
    agent_nats_url="nats://10.96.42.22:4222",
    disruption_budgets=True,
)
GATEWAY = "default/gateway1"
SPEC = {
    "vpc": "ovn-cluster",
    "replicas": 1,
    "externalSubnet": "macvlan1",
    "policies": [{"snat": True, "subnets": ["ovn-default"]}],
}
MANAGEMENT = Subnet(
    name="veg-mgmt",
    vpc="ovn-cluster",
    provider="veg-mgmt.kube-system.ovn",
    cidr="10.250.0.0/16",
    gateway="10.250.0.1",
    validated=True,
)
NETWORKS: tuple[AnyProjection, ...] = (
    Vpc(name="ovn-cluster", router="ovn-cluster", default_subnet="ovn-default"),
    Subnet(
        name="ovn-default",
        vpc="ovn-cluster",
        provider="ovn",
        cidr="10.16.0.0/16",
        gateway="10.16.0.1",
        validated=True,
    ),
    Subnet(name="macvlan1", provider="eth1.default", cidr="172.17.0.0/16", gateway="172.17.0.1", validated=True),
    NetworkAttachment(namespace="default", name="eth1", config="{}"),
    MANAGEMENT,
)


class Simulation:
    """A world, its log, and the commands that were sent and not yet answered."""

    def __init__(self) -> None:
        self.world = World()
        self.log: list[Record] = []
        self.outcomes: list[Outcome] = []
        self.pending: list[Outgoing] = []
        self.sent: list[Outgoing] = []
        self.config: dict[str, PodConfig | None] = {}
        self.rows: dict[str, NbRows] = {}
        self.members: dict[str, set[str]] = {}  # by port group
        self.revision = 100
        self.deployments: dict[str, tuple[str, Deployment]] = {}
        self.budgets: dict[str, tuple[str, DisruptionBudget]] = {}

    # What happens.

    def happen(self, event: AnyEvent, *, source: str = "test", identity: str | None = None) -> Outcome:
        position = len(self.log) + 1
        envelope = Envelope(
            id=identity or f"event-{position}",
            source=source,
            type=type_name(event),
            subject="test",
            time=f"2026-01-01T00:00:{position // 1000:02}.{position % 1000:03}000Z",
            data=event,
        )
        return self.replay(Record(position=position, envelope=envelope))

    def replay(self, record: Record) -> Outcome:
        self.log.append(record)
        outcome = step(self.world, record)
        self._assert_storable(outcome)
        self.outcomes.append(outcome)
        self.pending += outcome.commands
        self.sent += outcome.commands
        return outcome

    def restart(self) -> None:
        """The planner starts again, from what was stored."""
        stored: dict[tuple[str, str], Entry] = {}
        for entry in (entry for outcome in self.outcomes for entry in outcome.entries):
            if isinstance(entry, Removed):
                stored.pop((entry.kind, entry.key), None)
            else:
                stored[entry.kind, entry.key] = entry
        self.world = World.load(stored.values())

    def _assert_storable(self, outcome: Outcome) -> None:
        """The keys of the store's tables: one report for each gateway and event, and no command's id twice."""
        reported = [report.gateway for report in outcome.reports]
        assert len(set(reported)) == len(reported), f"reported twice for one event: {reported}"
        generations = [(intent.gateway_uid, intent.generation) for intent in outcome.intents]
        assert len(set(generations)) == len(generations), f"a generation twice: {generations}"
        identities = [outgoing.id for outgoing in outcome.commands]
        assert len(set(identities)) == len(identities), f"the id of a command twice: {identities}"

    def see(self, projection: AnyProjection, uid: str = "") -> Outcome:
        """The watcher publishes a new projection of an object."""
        self.revision += 1
        uid = uid or f"uid-{projection.KIND}-{projection.key}"
        return self.happen(ObjectChanged(uid=uid, resource_version=self.revision, object=projection))

    def lose(self, projection: AnyProjection, uid: str = "") -> Outcome:
        """The watcher publishes that an object is gone."""
        self.revision += 1
        return self.happen(
            ObjectDeleted(
                kind=projection.KIND,
                namespace=projection.namespace,
                name=projection.name,
                uid=uid or f"uid-{projection.KIND}-{projection.key}",
                resource_version=self.revision,
            )
        )

    def prepare(self) -> None:
        """A planner that starts, and the networks of the document's first example."""
        self.happen(PlannerConfigured(settings=SETTINGS))
        self.happen(StreamsCreated(created={"VEG_EVENTS": "2026-01-01T00:00:00Z"}))
        for projection in NETWORKS:
            self.see(projection)

    def create(self, **fields: object) -> Outcome:
        return self.see(gateway(**fields))

    def start_pods(self, count: int, key: str = GATEWAY) -> None:
        """Kubernetes starts the pods, with addresses on both sides, and counts them."""
        for index in range(count):
            self.see(pod(index, key))
        uid, deployment = self.deployments[key]
        ready = msgspec.structs.replace(
            deployment,
            observed_generation=deployment.generation,
            replicas=count,
            updated=count,
            available=count,
        )
        self.deployments[key] = (uid, ready)
        self.see(ready, uid)

    def report_config(self, count: int, key: str = GATEWAY) -> None:
        """The agents of the first `count` pods apply the config that stands in the bucket."""
        for index in range(count):
            self.happen_config(key, pod(index, key))

    def happen_config(self, key: str, of: Pod, uid: str = "") -> None:
        """The agent of that pod applies the config that stands in the bucket."""
        config = self.config[key]
        assert config is not None
        self.happen(
            ConfigApplied(
                gateway=key,
                gateway_uid=config.gateway_uid,
                pod=of.name,
                pod_uid=uid or f"uid-Pod-{of.key}",
                generation=config.generation,
                sources=(*config.sources, *config.lingering),
                default_snat=config.default_snat,
            )
        )

    # What writers do.

    def answer_all_of(self, *kinds: type[AnyCommand]) -> None:
        """Answer what is pending of these kinds; forget the rest."""
        pending, self.pending = self.pending, []
        for outgoing in pending:
            if isinstance(outgoing.data, kinds):
                self.answer(outgoing)
        self.pending.clear()

    def answer_all(self, *, programmed: bool = True) -> None:
        """Writers answer whatever is pending, and what follows from that, until nothing is."""
        for _ in range(200):
            if not self.pending:
                return
            self.answer(self.pending.pop(0), programmed=programmed)
        raise AssertionError("the planner and its writers do not come to rest")

    def answer(self, outgoing: Outgoing, *, programmed: bool = True) -> None:
        command = outgoing.data
        match command:
            case PublishConfig():
                self.config[command.gateway] = command.config
                return
            case EnsureNb():
                self.rows[command.gateway] = command.rows
            case EnsureWorkload():
                self._apply_deployment(command)
            case RemoveWorkload():
                uid, deployment = self.deployments.pop(command.gateway, ("", None))
                if deployment is not None:
                    self.lose(deployment, uid)
                self._remove_budget(command.gateway)
            case EnsureMembers():
                self.members[command.port_group] = set(command.ports)
            case ChangeMembers():
                self.members[command.port_group] -= set(command.removed)
                self.members[command.port_group] |= set(command.added)
            case EnsureVpcStatus():
                self._write_vpc_status(command)
        self.applied(outgoing)
        if isinstance(command, EnsureNb) and programmed:
            self.programmed(command, outgoing.id)

    def applied(self, outgoing: Outgoing) -> Outcome:
        command = outgoing.data
        detail = {}
        if isinstance(command, EnsureWorkload):
            detail = {"generation": str(self.deployments[command.gateway][1].generation)}
            if command.gateway in self.budgets:
                uid, budget = self.budgets[command.gateway]
                detail |= {"budget_uid": uid, "budget_generation": str(budget.generation)}
        if isinstance(command, EnsureNb) and command.rows.bfd_port is not None:
            relay = command.rows.bfd_port.relay
            detail = {
                "bfd_port": "peer" if command.rows.bfd_port.peer_only else "ours",
                "bfd_relay": ",".join(relay.networks) if relay is not None else "",
            }
        return self.happen(
            CommandApplied(
                command_id=outgoing.id,
                gateway=command.gateway,
                gateway_uid=command.gateway_uid,
                part=part_of(command),
                generation=command.generation,
                detail=detail,
            )
        )

    def programmed(self, command: EnsureNb, command_id: str) -> Outcome:
        return self.happen(
            RowsProgrammed(
                command_id=command_id,
                gateway=command.gateway,
                gateway_uid=command.gateway_uid,
                generation=command.generation,
                nb_cfg=len(self.log),
            )
        )

    def session(self, ip: str, status: str, *, gateway: str = GATEWAY, vpc: str = "ovn-cluster") -> Outcome:
        """OVN's end of the session with a pod of a gateway changes; the time is that of the log."""
        position, known = len(self.log) + 1, self.world.session(gateway, ip)
        return self.happen(
            SessionChanged(
                gateway=gateway,
                logical_port=names.bfd_port(vpc),
                dst_ip=ip,
                status=status,
                previous=known.status if known is not None else "",
                at=f"2026-01-01T00:00:{position // 1000:02}.{position % 1000:03}000Z",
            )
        )

    def _write_vpc_status(self, command: EnsureVpcStatus) -> None:
        vpc = self.world.find(Vpc, command.gateway)
        # A Vpc that needs the annotation has no such field in its status: the API server drops it.
        if vpc is not None and vpc.bfd_port is not None and not vpc.bfd_port.annotated:
            port = msgspec.structs.replace(
                vpc.bfd_port, status_name=command.bfd_port.name, status_ip=command.bfd_port.ip
            )
            self.see(msgspec.structs.replace(vpc, bfd_port=port))

    def _apply_deployment(self, command: EnsureWorkload) -> None:
        uid, known = self.deployments.get(command.gateway, (f"uid-d-{len(self.log)}", None))
        manifest = command.workload.manifest
        new = Deployment(
            namespace=command.workload.namespace,
            name=command.workload.name,
            generation=(known.generation if known is not None else 0) + 1,
            owner_uid=manifest["metadata"]["ownerReferences"][0]["uid"],
            labels=manifest["metadata"]["labels"],
            replicas_wanted=manifest["spec"]["replicas"],
        )
        self.deployments[command.gateway] = (uid, new)
        self.see(new, uid)

        self._apply_budget(command)

    def _apply_budget(self, command: EnsureWorkload) -> None:
        manifest = command.workload.budget
        if manifest is None:
            self._remove_budget(command.gateway)
            return
        uid, known = self.budgets.get(command.gateway, (f"uid-b-{len(self.log)}", None))
        new = DisruptionBudget(
            namespace=command.workload.namespace,
            name=command.workload.name,
            generation=known.generation if known is not None else 1,
            labels=manifest["metadata"]["labels"],
        )
        self.budgets[command.gateway] = (uid, new)
        self.see(new, uid)

    def _remove_budget(self, gateway: str) -> None:
        uid, budget = self.budgets.pop(gateway, ("", None))
        if budget is not None:
            self.lose(budget, uid)

    # What can be seen.

    def intent(self, key: str = GATEWAY) -> Intent:
        intent = self.world.intent(key)
        assert intent is not None, f"{key} has no intent"
        return intent

    def status(self, key: str = GATEWAY) -> GatewayStatus:
        status = self.intent(key).status
        assert status is not None, f"{key} has no status"
        return status

    def message(self, kind: str = "Ready", key: str = GATEWAY) -> str:
        return next(condition.message for condition in self.status(key).conditions if condition.type == kind)

    def commands(self, kind: type[AnyCommand]) -> list[AnyCommand]:
        return [outgoing.data for outgoing in self.sent if isinstance(outgoing.data, kind)]

    def history(self) -> bytes:
        """Everything that was decided, byte for byte."""
        return b"\n".join(encode((outcome.intents, outcome.commands)) for outcome in self.outcomes)


def created(replicas: int = 1) -> Simulation:
    """The document's example, ready, with that many pods."""
    simulation = Simulation()
    simulation.prepare()
    simulation.create(replicas=replicas)
    simulation.answer_all()
    simulation.start_pods(replicas)
    simulation.report_config(replicas)
    simulation.answer_all()
    return simulation


def gateway(**fields: object) -> EgressGateway:
    """The document's `gateway1`; `spec` fields by their names, others (generation, deleting, …) as they are."""
    own: dict[str, object] = {
        "generation": 1,
        "created_at": "2026-01-01T00:00:00Z",
        "name": "gateway1",
        "namespace": "default",
        # Without it nothing else is planned (CASES K4).
        "finalizers": (names.FINALIZER,),
    }
    for name in (*own, "deleting", "finalizers", "spec"):
        if name in fields:
            own[name] = fields.pop(name)
    own.setdefault("spec", SPEC | fields)
    return msgspec.convert(own, EgressGateway, from_attributes=True)


def pod(index: int, key: str = GATEWAY, **changes: object) -> Pod:
    """A running pod of a gateway, with the addresses of the document."""
    namespace, _, name = key.partition("/")
    made = Pod(
        namespace=namespace,
        name=f"{name}-{index}",
        labels=names.workload_labels(name),
        node=f"node{index}",
        phase="Running",
        ready=True,
        ips=(f"10.16.0.{12 + index}",),
        allocated=True,
        logical_router="ovn-cluster",
        logical_switch="ovn-default",
        attachments=(Attachment(network="default/eth1", interface="net1", ips=(f"172.17.0.{11 + index}",)),),
    )
    return msgspec.structs.replace(made, **changes)


def client(name: str, labels: dict[str, str] | None = None, **changes: object) -> Pod:
    """A pod that may use a gateway."""
    made = Pod(
        namespace="default",
        name=name,
        labels={"app": "web"} if labels is None else labels,
        phase="Running",
        allocated=True,
        logical_router="ovn-cluster",
    )
    return msgspec.structs.replace(made, **changes)
