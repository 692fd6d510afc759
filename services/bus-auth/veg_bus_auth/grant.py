"""What a gateway pod gets on the bus: a user with the rights of exactly that pod, and for how long."""

import hashlib
from typing import Any

from veg_contracts import permissions
from veg_contracts.base import Value

_UNLIMITED = -1
_VERSION = 2


class Grant(Value, frozen=True, kw_only=True):
    """A pod (its name and uid) and its gateway (`namespace/name`)."""

    gateway: str
    pod: str
    pod_uid: str


def claims(grant: Grant) -> dict[str, Any]:
    """The claims of that user, as NATS has them; who it is and how long follow with the answer."""
    rights = permissions.agent_permissions(grant.gateway, grant.pod, grant.pod_uid)
    return {
        "name": f"{permissions.AGENT} {grant.gateway} {grant.pod}",
        "aud": permissions.AGENT_ACCOUNT,
        "nats": {
            "pub": rights["publish"],
            "sub": rights["subscribe"],
            # The server looks at the limits of the account (veg_contracts.accounts), not at these.
            "subs": _UNLIMITED,
            "data": _UNLIMITED,
            "payload": _UNLIMITED,
            "allowed_connection_types": ["STANDARD"],
            "type": "user",
            "version": _VERSION,
        },
    }


def valid_s(grant: Grant, valid_s_max: int) -> int:
    """How long a pod stays in without being asked again: three quarters of the maximum to all of it.

    Not the same for all, so that those who came together, after a restart of the bus, do not come again together. For
    one pod it is always the same.
    """
    spread = int.from_bytes(hashlib.sha256(grant.pod_uid.encode()).digest()[:4], "big") / 2**32
    return int(valid_s_max * (0.75 + 0.25 * spread))
