import os
from collections.abc import Mapping
from typing import Final

from veg_contracts.addresses import split
from veg_contracts.base import Value
from veg_runtime.settings import Settings, SettingsError

STATE_DIR: Final = "/var/lib/gw-agent"
PROGRESS_FILE: Final = "progress.json"
READINESS_FILE: Final = "readiness"
SHARED_DIR: Final = "/run/veg-bfd"
CONFIG_FILE: Final = "bfd.json"  # the speaker's, in `bfd_dir`


class AgentSettings(Settings, frozen=True, kw_only=True):
    """`gateway` is `namespace/name`; `state_dir` an emptyDir of the pod; every `resync_s` the pod is checked.

    `bfd_dir` is an emptyDir that the agent shares with the BFD speaker.
    """

    gateway: str
    gateway_uid: str
    state_dir: str = STATE_DIR
    resync_s: float = 10.0
    bfd_dir: str = SHARED_DIR


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
