"""A cluster around the simulated planner: it starts and stops the pods of each Deployment, and its writers refuse
what the real ones refuse. `settle` lets everything come to rest.
"""

import msgspec

from support.simulation import SETTINGS, Simulation
from veg_contracts import addresses, names
from veg_contracts.commands import (
    ChangeMembers,
    EnsureFinalizer,
    EnsureMembers,
    EnsureNb,
    EnsureWorkload,
    part_of,
)
from veg_contracts.events import CommandRefused, ObjectChanged, ObjectDeleted, PlannerConfigured
from veg_contracts.objects import AnyProjection, Attachment, Deployment, EgressGateway, Pod, Subnet
from veg_planner.core import Outgoing

Uid = str


class Cluster(Simulation):
    """`objects` is what the API server holds, by kind and key; what of it the planner knows is another matter."""

    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[tuple[str, str], tuple[Uid, int, AnyProjection]] = {}
        self.templates: dict[str, dict[str, str]] = {}
        self.gateway_pods: dict[str, tuple[Uid, Pod]] = {}
        self._applied: dict[tuple[Uid, str], int] = {}
        self._reported: dict[Uid, int] = {}
        self.happen(PlannerConfigured(settings=SETTINGS))

    def configure(self, **settings: object) -> None:
        """A planner starts with these settings."""
        self.happen(PlannerConfigured(settings=msgspec.structs.replace(SETTINGS, **settings)))

    # What the API server does. It gives the message that tells of it, which may be delivered at any time.

    def write(self, projection: AnyProjection, uid: Uid = "") -> ObjectChanged:
        """Create or change an object; a new one gets a new uid unless it is told which."""
        self.revision += 1
        known = self.objects.get((projection.KIND, projection.key))
        uid = uid or (known[0] if known is not None else f"uid-{projection.KIND}-{projection.key}-{self.revision}")
        self.objects[projection.KIND, projection.key] = (uid, self.revision, projection)
        return ObjectChanged(uid=uid, resource_version=self.revision, object=projection)

    def erase(self, kind: str, key: str) -> ObjectDeleted:
        self.revision += 1
        uid, _, projection = self.objects.pop((kind, key))
        return ObjectDeleted(
            kind=kind,
            namespace=projection.namespace,
            name=projection.name,
            uid=uid,
            resource_version=self.revision,
        )

    def find(self, kind: str, key: str) -> AnyProjection | None:
        found = self.objects.get((kind, key))
        return found[2] if found is not None else None

    def see_all(self) -> None:
        """The planner is told of everything there is, each thing once."""
        for uid, version, projection in list(self.objects.values()):
            self.happen(ObjectChanged(uid=uid, resource_version=version, object=projection))

    # What comes to rest.

    def settle(self) -> None:
        """Writers, pods and agents do what they are told, and what follows from that, until nothing follows."""
        for _ in range(100):
            before = len(self.log)
            while self.pending:
                self.answer(self.pending.pop(0))
            self._roll_out()
            self._report()
            if len(self.log) == before:
                return
        raise AssertionError("the planner and its surroundings do not come to rest")

    def answer(self, outgoing: Outgoing, *, programmed: bool = True) -> None:
        command = outgoing.data
        if isinstance(command, EnsureNb | EnsureMembers | ChangeMembers):
            part = part_of(command)
            key = (command.gateway_uid, part)
            known = self._applied.get(key, 0)
            base = command.base if isinstance(command, ChangeMembers) else known
            if command.generation < known or base != known:
                self._refuse(outgoing, part, known)
                return
            self._applied[key] = command.generation
        if isinstance(command, EnsureWorkload):
            template = command.workload.manifest["spec"]["template"]["metadata"]
            self.templates[command.gateway] = template["annotations"]
        super().answer(outgoing, programmed=programmed)
        if isinstance(command, EnsureFinalizer) and not command.present:
            self._let_go(command.gateway, command.gateway_uid)

    def _refuse(self, outgoing: Outgoing, part: str, applied: int) -> None:
        self.happen(
            CommandRefused(
                command_id=outgoing.id,
                gateway=outgoing.data.gateway,
                gateway_uid=outgoing.data.gateway_uid,
                part=part,
                generation=outgoing.data.generation,
                applied_generation=applied,
            )
        )

    def _let_go(self, gateway: str, uid: Uid) -> None:
        """The last finalizer is gone: an object that is being deleted goes."""
        found = self.objects.get((EgressGateway.KIND, gateway))
        if found is not None and found[0] == uid and isinstance(found[2], EgressGateway) and found[2].deleting:
            self.happen(self.erase(EgressGateway.KIND, gateway))

    def _roll_out(self) -> None:
        wanted: dict[str, tuple[Uid, Pod]] = {}
        for gateway, (uid, deployment) in sorted(self.deployments.items()):
            for index in range(deployment.replicas_wanted):
                made = self._gateway_pod(gateway, index)
                wanted[made.key] = (deployment.owner_uid, made)
            self._count(gateway, uid, deployment)
        for key, (uid, made) in list(self.gateway_pods.items()):
            owner = uid.rpartition("/")[0]
            if key not in wanted or wanted[key][0] != owner:
                del self.gateway_pods[key]
                self.lose(made, uid)
        for key, (owner, made) in wanted.items():
            known = self.gateway_pods.get(key)
            if known is None or known[1] != made:
                uid = known[0] if known is not None else f"{owner}/{self.revision}"
                self.gateway_pods[key] = (uid, made)
                self.see(made, uid)

    def _count(self, gateway: str, uid: Uid, deployment: Deployment) -> None:
        count = deployment.replicas_wanted
        ready = msgspec.structs.replace(
            deployment, observed_generation=deployment.generation, replicas=count, updated=count, available=count
        )
        if ready != deployment:
            self.deployments[gateway] = (uid, ready)
            self.see(ready, uid)

    def _gateway_pod(self, gateway: str, index: int) -> Pod:
        """A pod with addresses in the subnets that its Deployment names, as those are now."""
        annotations = self.templates[gateway]
        internal = self.find(Subnet.KIND, annotations[names.ANNOTATION_LOGICAL_SWITCH])
        number = 20 + index + 10 * sum(gateway.encode()) % 200
        namespace, _, name = gateway.partition("/")
        attachment = annotations[names.ANNOTATION_NETWORKS].partition(",")[0]
        return Pod(
            namespace=namespace,
            name=f"{name}-{index}",
            labels=names.workload_labels(name),
            node=f"node{index}",
            phase="Running",
            ready=True,
            ips=_addresses(internal, number),
            allocated=True,
            logical_router=internal.vpc or SETTINGS.default_vpc if isinstance(internal, Subnet) else "",
            logical_switch=annotations[names.ANNOTATION_LOGICAL_SWITCH],
            attachments=(
                Attachment(
                    network=attachment, interface="net1", ips=(f"172.17.0.{number}", f"fc00:172:17::{number:x}")
                ),
            ),
        )

    def _report(self) -> None:
        """Each agent applies the newest config of its gateway, if that is addressed to it."""
        for _key, (uid, of) in sorted(self.gateway_pods.items()):
            gateway = f"{of.namespace}/{of.labels[names.LABEL_GATEWAY]}"
            config = self.config.get(gateway)
            if config is None or not uid.startswith(f"{config.gateway_uid}/"):
                continue
            if self._reported.get(uid) != config.generation:
                self._reported[uid] = config.generation
                self.happen_config(gateway, of, uid)


def _addresses(subnet: AnyProjection | None, number: int) -> tuple[str, ...]:
    if not isinstance(subnet, Subnet):
        return ()
    networks = (addresses.parse(cidr).network for cidr in addresses.split(subnet.cidr))
    return tuple(str(network.network_address + number) for network in networks)
