import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from veg_contracts.addresses import are_valid, split
from veg_contracts.base import Value
from veg_gw_agent import way
from veg_gw_agent.way import Way
from veg_runtime.settings import Settings, SettingsError

STATE_DIR: Final = "/var/lib/gw-agent"
PROGRESS_FILE: Final = "progress.json"
READINESS_FILE: Final = "readiness"
SHARED_DIR: Final = "/run/veg-bfd"
INTERNAL_INTERFACE: Final = "eth0"
CONFIG_FILE: Final = "bfd.json"  # the speaker's, in `bfd_dir`


class AgentSettings(Settings, frozen=True, kw_only=True):
    """`gateway` is `namespace/name`; `state_dir` an emptyDir of the pod; every `resync_s` the pod is checked.

    `bfd_dir` is an emptyDir that the agent shares with the BFD speaker. `bus_interface` and `bus_gateways` ("v4", "v6"
    or "v4,v6") are the pod's own way to the bus; empty: the main routing table has one. `internal_interface` is where
    clients come from. `nats_token_path` is the file of the pod's token for the bus; empty: user and password.
    """

    gateway: str
    gateway_uid: str
    state_dir: str = STATE_DIR
    resync_s: float = 10.0
    bfd_dir: str = SHARED_DIR
    internal_interface: str = INTERNAL_INTERFACE
    bus_interface: str = ""
    bus_gateways: str = ""
    nats_token_path: str = ""

    def __post_init__(self) -> None:
        """Check what the types cannot say."""
        super().__post_init__()
        if self.bus_gateways and not are_valid(self.bus_gateways):
            said = f'{self.bus_gateways!r}: "v4", "v6" or "v4,v6" is allowed'
            raise SettingsError(f"environment variable VEG_BUS_GATEWAYS: {said}")

    @property
    def way(self) -> Way | None:
        """The pod's own way to the bus."""
        return way.read(self.nats_url, self.bus_interface, self.bus_gateways, self.internal_interface)

    @property
    def token(self) -> Callable[[], str] | None:
        """Reads the token, which the kubelet renews."""
        path = Path(self.nats_token_path)
        return (lambda: path.read_text(encoding="ascii").strip()) if self.nats_token_path else None


class Pod(Value, frozen=True, kw_only=True):
    """The pod this agent runs in. `ips` are its internal addresses, one of each family."""

    name: str
    namespace: str
    uid: str
    ips: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"


def pod(environ: Mapping[str, str] | None = None) -> Pod:
    """The pod, from the variables that the downward API fills.

    Raises:
        SettingsError: one of them is not set.
    """
    environ = os.environ if environ is None else environ
    values = {}
    for variable in ("POD_NAME", "POD_NAMESPACE", "POD_UID"):
        if not environ.get(variable):
            raise SettingsError(f"environment variable {variable} is not set")
        values[variable] = environ[variable]
    return Pod(
        name=values["POD_NAME"],
        namespace=values["POD_NAMESPACE"],
        uid=values["POD_UID"],
        ips=split(environ.get("POD_IPS", "")),
    )
