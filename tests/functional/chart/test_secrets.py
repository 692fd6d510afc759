"""The Job that makes secrets, with the rights that the chart gives it."""

import base64
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from chart.rendering import CHART, of_kind
from functional.chart.conftest import Cluster
from functional.control_plane import RefusedError
from functional.servers import Postgres

from veg_runtime.nkeys import Curve, Kind, Signer

NAMESPACE = "kube-system"
SECRETS = f"/api/v1/namespaces/{NAMESPACE}/secrets"
# Keys of nobody.
KEYS = {
    "issuer-seed": "SAAFYOZ2NCXQPKY3EVBJDDLUDCWPWRRNIWH4YDBXLKAR7CY2UHBHLGKRXM",
    "issuer": "A" * 56,
    "xkey-seed": "SX" + "A" * 56,
    "xkey": "X" * 56,
}


class Account:
    """The Job's ServiceAccount: its token in a directory, as in a pod."""

    def __init__(self, cluster: Cluster, directory: Path) -> None:
        self._cluster = cluster
        self._directory = directory
        rights = of_kind("evaluation", "ServiceAccount", "Role", "RoleBinding")
        cluster.apply(yaml.safe_dump_all(each for each in rights if each["metadata"]["name"] == "veg-secrets"))
        token = cluster.kubectl("create", "token", "veg-secrets", f"--namespace={NAMESPACE}")
        assert token.returncode == 0, token.stderr
        (directory / "token").write_text(token.stdout)
        (directory / "ca.crt").write_text(cluster.plane.certificate.read_text())

    def run(self, *names: str) -> subprocess.CompletedProcess[str]:
        address = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(self._cluster.plane.port)}
        programs = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}  # vegctl's are in its image
        environment = os.environ | programs | address | {"SERVICE_ACCOUNT_DIRECTORY": str(self._directory)}
        argv = [sys.executable, str(CHART / "files" / "make_secrets.py"), NAMESPACE, *names]
        return subprocess.run(argv, check=False, capture_output=True, text=True, env=environment, timeout=60)

    def data(self, name: str) -> dict[str, str]:
        found = self._cluster.plane.request("GET", f"{SECRETS}/{name}")["data"]
        return {key: base64.b64decode(value).decode() for key, value in found.items()}

    def give(self, name: str, data: dict[str, str]) -> None:
        try:
            self._cluster.plane.delete(f"{SECRETS}/{name}")
        except RefusedError as error:
            assert error.code == 404  # noqa: PT017
        if data:
            self._cluster.plane.create(SECRETS, {"metadata": {"name": name}, "stringData": data})


@pytest.fixture
def account(cluster: Cluster, tmp_path: Path) -> Account:
    return Account(cluster, tmp_path)


def test_what_is_missing_is_made_once_and_never_printed(account: Account) -> None:
    account.give("veg-postgres", {})
    first = account.run("veg-postgres")
    assert first.returncode == 0, first.stderr
    made = account.data("veg-postgres")
    passwords = [made[role] for role in ("superuser", "owner", "planner", "reader")]
    assert len(set(passwords)) == len(passwords)
    assert made["planner-url"] == f"postgresql+psycopg://veg_planner:{made['planner']}@/veg"
    again = account.run("veg-postgres")
    assert (again.returncode, again.stdout) == (0, f"{NAMESPACE}/veg-postgres: nothing was missing\n")
    assert account.data("veg-postgres") == made
    assert not [value for value in passwords if value in first.stdout + first.stderr]


def test_the_key_pairs_of_the_bus_are_pairs_and_never_printed(account: Account) -> None:
    account.give("veg-bus", {})
    done = account.run("veg-bus")
    assert done.returncode == 0, done.stderr
    made = account.data("veg-bus")
    assert Signer.read(Kind.ACCOUNT, made["issuer-seed"]).public == made["issuer"]
    assert Curve.read(made["xkey-seed"]).public == made["xkey"]
    assert f'AUTH_ISSUER: "{made["issuer"]}"' in made["secrets.conf"]
    assert not [value for value in made.values() if value in done.stdout + done.stderr]


def test_what_is_there_is_kept_and_the_rest_is_added(account: Account) -> None:
    account.give("veg-bus", KEYS | {"watcher": "mine"})
    done = account.run("veg-bus")
    assert done.returncode == 0, done.stderr
    made = account.data("veg-bus")
    assert made | KEYS | {"watcher": "mine"} == made
    lines = dict(line.split(": ") for line in made["secrets.conf"].splitlines())
    assert lines["WATCHER_PASSWORD"] == '"mine"'
    assert lines["AUTH_ISSUER"] == f'"{KEYS["issuer"]}"'
    accounts = (CHART / "files" / "nats" / "accounts.conf").read_text()
    assert {word for word in lines if f"${word}" in accounts} == set(lines), "each is used"
    assert KEYS["issuer-seed"] not in made["secrets.conf"], "the server needs no seed"


def test_no_other_secret_is_within_its_rights(account: Account) -> None:
    account.give("veg-other", {"a": "b"})
    words = ("auth", "can-i", f"--as=system:serviceaccount:{NAMESPACE}:veg-secrets", f"--namespace={NAMESPACE}")
    for verb, name, allowed in (
        ("get", "secrets/veg-bus", "yes"),
        ("patch", "secrets/veg-postgres", "yes"),
        ("get", "secrets/veg-other", "no"),
        ("patch", "secrets/veg-other", "no"),
        ("list", "secrets", "no"),
        ("delete", "secrets/veg-bus", "no"),
    ):
        assert account._cluster.kubectl(*words, verb, name).stdout.strip() == allowed, (verb, name)


def test_the_bundled_database_gets_its_roles_and_no_argv_has_a_password() -> None:
    server = Postgres()
    try:
        server.start()
        passwords = server.directory / "passwords"
        passwords.mkdir()
        for role in ("owner", "planner", "reader"):
            (passwords / role).write_text(f"it's {role}")
        passwords.chmod(0o755)
        script = (CHART / "files" / "postgres-roles.sh").read_text().replace("/etc/veg/postgres", str(passwords))
        environment = os.environ | {"POSTGRES_USER": "postgres", "PGHOST": str(server.directory)}
        done = subprocess.run(
            ["bash", "-eu", "-c", script], check=False, capture_output=True, text=True, env=environment
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert server.sql("select rolname from pg_authid where rolpassword like 'SCRAM%' order by 1").split() == [
            "veg_owner",
            "veg_planner",
            "veg_reader",
        ]
        assert server.sql("select datdba::regrole from pg_database where datname = 'veg'") == "veg_owner"
    finally:
        server.remove()
