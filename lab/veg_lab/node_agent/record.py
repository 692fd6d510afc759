"""What is on disk of a pod and its containers, so that an agent that starts again finds it. Values only."""

import msgspec

from veg_lab.node_agent.spec import ContainerPlan


class Sandbox(msgspec.Struct, frozen=True):
    """What is on disk of a pod's network. It is `ready` only when all of it was made."""

    uid: str
    node: str
    netns: str
    addresses: tuple[str, ...]
    network_status: str
    leases: dict[str, str]
    ready: bool = False


class Ended(msgspec.Struct, frozen=True):
    """How the start before this one ended."""

    exit_code: int
    started_at: float
    finished_at: float


class ContainerRecord(msgspec.Struct):
    """What is on disk of one start of a container. `lab exec` reads the fields up to `env`."""

    pid: int
    start_time: int
    uid: int
    gid: int
    caps: list[str]
    cwd: str
    env: dict[str, str]
    shim_pid: int
    shim_start_time: int
    attempt: int
    started_at: float
    plan: ContainerPlan
    exit_code: int | None = None
    finished_at: float = 0.0
    previous: Ended | None = None
