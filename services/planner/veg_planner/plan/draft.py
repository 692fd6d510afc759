"""What `plan` returns: an intent without its place in history, and its report's sentences."""

from veg_contracts.base import Value
from veg_contracts.intent import Condition, GatewayStatus, NbRows, PodConfig, Step, VpcBfdStatus, Workload
from veg_planner.state import Basis, LocalGroup, Selecting


class Draft(Value, frozen=True, kw_only=True):
    """The parts of an intent. Generations and the times of conditions are given to it when it differs from the last.

    `vpc` is the name of the VPC that the command for the ovn-writer goes by.
    """

    gateway: str
    gateway_uid: str
    nb: NbRows | None = None
    workload: Workload | None = None
    finalizer: bool = False
    status: GatewayStatus | None = None
    conflict: Condition | None = None
    config: PodConfig | None = None
    vpc_status: VpcBfdStatus | None = None


class Plan(Value, frozen=True, kw_only=True):
    """A draft and why it is so. `basis` is what it was made from, to be remembered; None: nothing is.

    `selecting` is by what the gateway selects pods from now on; None: by nothing. `local` are its port groups that hold
    the pods of one node each.
    """

    draft: Draft
    steps: tuple[Step, ...]
    basis: Basis | None = None
    selecting: Selecting | None = None
    local: dict[str, LocalGroup] = {}
