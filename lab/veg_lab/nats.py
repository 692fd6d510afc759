"""NATS with JetStream: one user per role, each allowed only the subjects that the contracts give its role."""

import json
import secrets
import sys
from pathlib import Path
from typing import Any

from veg_contracts.permissions import ROLES, nats_permissions
from veg_lab import probes
from veg_lab.paths import Lab
from veg_lab.process import Component

PORT = 4222
_MONITOR = "127.0.0.1:8222"


def password_file(lab: Lab, role: str) -> Path:
    """Where the role's password is."""
    return lab.secret(f"nats-{role}")


def components(lab: Lab) -> list[Component]:
    """The server."""
    argv = (str(Path(sys.prefix) / "bin" / "nats-server"), "--config", f"{lab.run}/nats/server.conf")
    return [Component("nats", argv, probes.answers(lab.namespace(), f"http://{_MONITOR}/healthz"), lab.namespace())]


def prepare(lab: Lab) -> bool:
    """Passwords and configuration. Returns whether it changed, so that a running server must reread it."""
    directory = lab.run / "nats"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    config = {
        "server_name": lab.name,
        "host": "0.0.0.0",
        "port": PORT,
        "http": _MONITOR,
        "jetstream": {"store_dir": str(directory / "data"), "max_memory_store": 67108864, "max_file_store": 4294967296},
        "authorization": {"users": [_user(lab, role) for role in ROLES]},
    }
    text = json.dumps(config, indent=1) + "\n"  # the server's own format is a superset of JSON
    file = directory / "server.conf"
    if file.exists() and file.read_text() == text:
        return False
    file.touch(mode=0o600)
    file.write_text(text)
    return True


def _user(lab: Lab, role: str) -> dict[str, Any]:
    return {"user": role, "password": _password(lab, role), "permissions": nats_permissions(role)}


def _password(lab: Lab, role: str) -> str:
    file = password_file(lab, role)
    if not file.exists():
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = file.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_hex(24))
        draft.rename(file)
    return file.read_text().strip()
