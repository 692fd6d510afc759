"""The accounts and users of the bus, as a file that a NATS server's configuration includes (`scripts/accounts`).

It holds no secret. Passwords and the keys of the auth callout are variables of NATS' configuration, which a file
`secrets.conf` beside it gives values: it is included here, since a file sees no variables of the one that includes it.
"""

import json
import sys
import textwrap
from collections.abc import Iterator
from typing import Any, Final

from veg_contracts import permissions, subjects
from veg_contracts.permissions import (
    AGENT_ACCOUNT,
    AGENT_CONNECTIONS_MAX,
    AGENT_SUBSCRIPTIONS_MAX,
    AUTH_ACCOUNT,
    BUS_AUTH,
    ROLES,
    SERVICE_ACCOUNT,
    SYSTEM_ACCOUNT,
    USERS,
)

ISSUER: Final = "AUTH_ISSUER"
XKEY: Final = "AUTH_XKEY"
# bus-auth asks the API server five times before it answers. NATS' own limit is 2 s.
_TIMEOUT_S: Final = 10

_HEAD: Final = """\
# Made by scripts/accounts from libs/contracts. Beside this file is secrets.conf, with a line NAME: "value" for each of
# {names}.
#
# The account VEG has the streams, and a user for each service. Gateway pods are in AGENTS: bus-auth, the one user of
# AUTH, tells the server who they are and what each of them may do.
include secrets.conf

"""


def password_variable(user: str) -> str:
    """The variable of NATS' configuration that holds the user's password."""
    return f"{user.upper().replace('-', '_')}_PASSWORD"


def variables() -> tuple[str, ...]:
    """All that `secrets.conf` must set: a password for each user, and the public keys of the auth callout."""
    return (*(password_variable(user) for user in USERS), ISSUER, XKEY)


def render(rights: dict[str, dict[str, Any]] | None = None) -> str:
    """The file. `rights` are the permissions of each user, those of the contracts unless told otherwise."""
    rights = rights or {user: permissions.nats_permissions(user) for user in USERS}
    listed = textwrap.fill(", ".join(variables()), 110).replace("\n", "\n# ")
    return _HEAD.format(names=listed) + "\n".join(_lines(rights)) + "\n"


def _lines(rights: dict[str, dict[str, Any]]) -> Iterator[str]:
    exports = [(kind, subject) for kind, listed in permissions.exports().items() for subject in listed]
    yield "accounts {"
    yield f"  {SERVICE_ACCOUNT} {{"
    yield "    jetstream: enabled"
    yield "    exports: ["
    for kind, subject in exports:
        yield f'      {{ {kind}: "{subject}", accounts: [{AGENT_ACCOUNT}] }}'
    yield "    ]"
    yield from _users(ROLES, rights)
    yield "  }"
    yield f"  {AGENT_ACCOUNT} {{"
    # Payload and subscriptions are of each connection. Limits in the claims of an auth callout are not looked at.
    most = f"max_payload: {subjects.AGENT_MESSAGE_BYTES_MAX}, max_subscriptions: {AGENT_SUBSCRIPTIONS_MAX}"
    # Of all of them together: whoever opens more takes the places of other pods, and none of a service.
    yield f"    limits {{ max_connections: {AGENT_CONNECTIONS_MAX}, {most} }}"
    yield "    imports: ["
    for kind, subject in exports:
        yield f'      {{ {kind}: {{ account: {SERVICE_ACCOUNT}, subject: "{subject}" }} }}'
    yield "    ]"
    yield "  }"
    yield f"  {AUTH_ACCOUNT} {{"
    yield from _users((BUS_AUTH,), rights)
    yield "  }"
    yield f"  {SYSTEM_ACCOUNT} {{}}"
    yield "}"
    yield f"system_account: {SYSTEM_ACCOUNT}"
    yield "authorization {"
    yield f"  timeout: {_TIMEOUT_S}"
    yield "  auth_callout {"
    yield f"    issuer: ${ISSUER}"
    yield f"    xkey: ${XKEY}"
    yield f"    account: {AUTH_ACCOUNT}"
    yield f"    auth_users: [{', '.join(USERS)}]"
    yield "  }"
    yield "}"


def _users(users: tuple[str, ...], rights: dict[str, dict[str, Any]]) -> Iterator[str]:
    yield "    users: ["
    for user in users:
        text = json.dumps(rights[user], indent=2).replace("\n", "\n        ")
        yield f"      {{ user: {user}, password: ${password_variable(user)}, permissions: {text} }}"
    yield "    ]"


if __name__ == "__main__":
    sys.stdout.write(render())
