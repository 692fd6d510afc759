"""Commands: orders to one writer. Each carries final values and the generation, and leaves the writer no choice."""

from typing import Final, TypeAlias

from veg_contracts.base import Value
from veg_contracts.intent import Condition, GatewayStatus, NbRows, Part, PodConfig, VpcBfdStatus, Workload

# What outcomes call the part of commands that carry no part of an intent.
MEMBERS: Final = (
    "members"  # of a port group, followed by its name: they change with each pod, so they have own generations
)
KUBE_EVENT: Final = "event"  # each stands for itself, none is older than another


class Command(Value, frozen=True, kw_only=True):
    """Common to all: the gateway (`namespace/name`), its uid, and the generation of the part that it carries."""

    gateway: str
    gateway_uid: str
    generation: int


class EnsureNb(Command, frozen=True, kw_only=True):
    """Make the rows that this gateway owns in the Northbound database exactly these. Empty rows: it owns none."""

    rows: NbRows


class EnsureMembers(Command, frozen=True, kw_only=True):
    """Let exactly these logical switch ports be in the gateway's port group. `generation` is that of the membership.

    A port that does not exist yet joins as soon as it does.
    """

    port_group: str
    ports: tuple[str, ...]


class ChangeMembers(Command, frozen=True, kw_only=True):
    """Add ports to, and remove ports from, the gateway's port group, whose membership is of generation `base`.

    A writer that does not know the membership of that generation refuses, and is sent the whole.
    """

    base: int
    port_group: str
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


class EnsureWorkload(Command, frozen=True, kw_only=True):
    """Apply this Deployment and this PodDisruptionBudget (server-side apply)."""

    workload: Workload


class RemoveWorkload(Command, frozen=True, kw_only=True):
    """Delete the gateway's Deployment and PodDisruptionBudget `namespace/name`, each if it is ours."""

    namespace: str
    name: str


class EnsureFinalizer(Command, frozen=True, kw_only=True):
    """Let the VpcEgressGateway have (`present`), or not have, our finalizer."""

    present: bool


class EnsureStatus(Command, frozen=True, kw_only=True):
    """Write the status of the VpcEgressGateway."""

    status: GatewayStatus


class EnsureCondition(Command, frozen=True, kw_only=True):
    """Let this condition stand in the status of the VpcEgressGateway, beside whatever another one writes there."""

    condition: Condition


class EnsureVpcStatus(Command, frozen=True, kw_only=True):
    """Write `status.bfdPort` of the Vpc that `gateway` names; an empty one removes it."""

    bfd_port: VpcBfdStatus


class RecordKubeEvent(Command, frozen=True, kw_only=True):
    """Record a Kubernetes Event on the VpcEgressGateway. `type` is Normal or Warning."""

    type: str
    reason: str
    message: str
    at: str


class PublishConfig(Command, frozen=True, kw_only=True):
    """Put the config of a gateway into the KV bucket, or remove it (None). The planner's relay carries it out."""

    config: PodConfig | None


AnyCommand: TypeAlias = (
    EnsureNb
    | EnsureMembers
    | ChangeMembers
    | EnsureWorkload
    | RemoveWorkload
    | EnsureFinalizer
    | EnsureStatus
    | EnsureCondition
    | EnsureVpcStatus
    | RecordKubeEvent
    | PublishConfig
)

COMMAND_TYPES: dict[str, type[AnyCommand]] = {
    "veg.ovn.ensure-nb.v1": EnsureNb,
    "veg.ovn.ensure-members.v1": EnsureMembers,
    "veg.ovn.change-members.v1": ChangeMembers,
    "veg.kube.ensure-workload.v1": EnsureWorkload,
    "veg.kube.remove-workload.v1": RemoveWorkload,
    "veg.kube.ensure-finalizer.v1": EnsureFinalizer,
    "veg.kube.ensure-status.v1": EnsureStatus,
    "veg.kube.ensure-condition.v1": EnsureCondition,
    "veg.kube.ensure-vpc-status.v1": EnsureVpcStatus,
    "veg.kube.record-event.v1": RecordKubeEvent,
    "veg.agent.publish-config.v1": PublishConfig,
}

_PARTS: Final[dict[type[AnyCommand], str]] = {
    EnsureNb: Part.NB,
    EnsureMembers: MEMBERS,
    ChangeMembers: MEMBERS,
    EnsureWorkload: Part.WORKLOAD,
    RemoveWorkload: Part.WORKLOAD,
    EnsureFinalizer: Part.FINALIZER,
    EnsureStatus: Part.STATUS,
    EnsureCondition: Part.STATUS,
    EnsureVpcStatus: Part.VPC_STATUS,
    RecordKubeEvent: KUBE_EVENT,
    PublishConfig: Part.CONFIG,
}


def part_of(command: AnyCommand) -> str:
    """The part that a command carries, as its outcomes name it."""
    if isinstance(command, EnsureMembers | ChangeMembers):
        return members_part(command.port_group)
    return _PARTS[type(command)]


def members_part(port_group: str) -> str:
    """The part that the membership of a port group is."""
    return f"{MEMBERS}/{port_group}"
