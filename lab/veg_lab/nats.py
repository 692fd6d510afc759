"""NATS with JetStream: the accounts and users of the chart, with passwords and keys of the lab's own."""

import secrets
import sys
from collections.abc import Callable
from pathlib import Path

from veg_contracts import accounts
from veg_contracts.permissions import USERS
from veg_lab import probes
from veg_lab.paths import REPOSITORY, Lab
from veg_lab.process import Component
from veg_runtime import nkeys
from veg_runtime.nkeys import Curve, Kind, Signer

PORT = 4222
_MONITOR = "127.0.0.1:8222"
_ACCOUNTS = REPOSITORY / "charts" / "vpc-egress-gateway" / "files" / "nats" / "accounts.conf"
_CONFIG = """\
server_name: {name}
host: 0.0.0.0
port: {port}
http: "{monitor}"
jetstream {{ store_dir: "{directory}/data", max_memory_store: 64MB, max_file_store: 4GB }}
include accounts.conf
"""


def password_file(lab: Lab, user: str) -> Path:
    """Where the user's password is."""
    return lab.secret(f"nats-{user}")


def issuer_seed_file(lab: Lab) -> Path:
    """Where the seed is by which bus-auth signs users."""
    return lab.secret("nats-issuer-seed")


def xkey_seed_file(lab: Lab) -> Path:
    """Where the seed is for the encryption between bus-auth and the server."""
    return lab.secret("nats-xkey-seed")


def components(lab: Lab) -> list[Component]:
    """The server."""
    argv = (str(Path(sys.prefix) / "bin" / "nats-server"), "--config", f"{lab.run}/nats/server.conf")
    return [Component("nats", argv, probes.answers(lab.namespace(), f"http://{_MONITOR}/healthz"), lab.namespace())]


def prepare(lab: Lab) -> bool:
    """Secrets and configuration. Returns whether they changed, so that a running server must reread them."""
    directory = lab.run / "nats"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    files = {
        "secrets.conf": _secrets(lab),
        "accounts.conf": _ACCOUNTS.read_text(),
        "server.conf": _CONFIG.format(name=lab.name, port=PORT, monitor=_MONITOR, directory=directory),
    }
    changed = [name for name, text in files.items() if _write(directory / name, text)]
    return bool(changed)


def _write(file: Path, text: str) -> bool:
    if file.exists() and file.read_text() == text:
        return False
    file.touch(mode=0o600)
    file.write_text(text)
    return True


def _secrets(lab: Lab) -> str:
    values = {accounts.password_variable(user): _kept(password_file(lab, user), _password) for user in USERS}
    issuer = Signer.read(Kind.ACCOUNT, _kept(issuer_seed_file(lab), lambda: nkeys.new_seed(Kind.ACCOUNT)))
    xkey = Curve.read(_kept(xkey_seed_file(lab), lambda: nkeys.new_seed(Kind.CURVE)))
    values |= {accounts.ISSUER: issuer.public, accounts.XKEY: xkey.public}
    return "".join(f'{name}: "{value}"\n' for name, value in values.items())


def _password() -> str:
    return secrets.token_hex(24)


def _kept(file: Path, make: Callable[[], str]) -> str:
    """What is in the file; made when there is none."""
    if not file.exists():
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = file.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(make())
        draft.rename(file)
    return file.read_text().strip()
