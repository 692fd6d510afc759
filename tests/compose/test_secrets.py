"""compose/secrets makes what is missing, keeps what is there, and says what is wrong with the settings."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from compose.engine import Engine
from compose.project import Project
from support.lab import ROOT


@pytest.fixture
def own(project: Project, tmp_path: Path) -> Path:
    """Settings and secrets of the project, as a copy."""
    shutil.copytree(project.settings.parent, tmp_path / "project", copy_function=_with_owner)
    settings = tmp_path / "project" / "settings.env"
    settings.write_text(settings.read_text().replace(str(project.settings.parent), str(tmp_path / "project")))
    return settings


def _with_owner(source: str, target: str) -> str:
    shutil.copy2(source, target)
    found = Path(source).stat()
    os.chown(target, found.st_uid, found.st_gid)
    return target


def make(engine: Engine, settings: Path) -> "subprocess.CompletedProcess[str]":
    return engine.run(str(ROOT / "compose" / "secrets"), str(settings), check=False)


def contents(settings: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (settings.parent / "secrets").iterdir()}


def test_what_is_there_stays(engine: Engine, own: Path) -> None:
    before = contents(own)
    done = make(engine, own)
    assert (done.returncode, done.stderr) == (0, "")
    assert contents(own) == before


def test_what_was_removed_is_made_anew_with_what_follows_from_it(engine: Engine, own: Path) -> None:
    before = contents(own)
    (own.parent / "secrets" / "nats-watcher-password").unlink()
    assert make(engine, own).returncode == 0
    after = contents(own)
    assert {name for name in after if after[name] != before[name]} == {"nats-watcher-password", "nats-accounts"}


def test_another_address_of_the_bus_is_another_certificate_of_the_same_ca(engine: Engine, own: Path) -> None:
    before = contents(own)
    own.write_text(own.read_text() + "GATEWAY_NATS_URL=tls://bus.example.org:4222\n")
    assert make(engine, own).returncode == 0
    after = contents(own)
    assert {name for name in after if after[name] != before[name]} == {"nats.crt", "nats.key", "nats.names"}
    directory = own.parent / "secrets"
    words = ["openssl", "verify", "-CAfile", str(directory / "ca.crt"), "-verify_hostname", "bus.example.org"]
    subprocess.run([*words, str(directory / "nats.crt")], check=True, capture_output=True)


def test_each_file_is_for_one_user_alone(project: Project) -> None:
    declared = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["secrets"]
    directory = project.settings.parent / "secrets"
    files = {Path(secret["file"].rpartition("}/")[2]).name for secret in declared.values()}
    assert directory.stat().st_mode & 0o777 == 0o700
    for name in files - {"ca.crt"}:
        found = (directory / name).stat()
        user = 999 if name.startswith("postgres") and not name.endswith("url") else 10001
        assert (found.st_mode & 0o777, found.st_uid) == (0o400, user), name


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("WATCHER_KUBECONFIG=", "WATCHER_KUBECONFIG is empty: the kubeconfig of watcher is needed"),
        ("WATCHER_KUBECONFIG=/nowhere", "WATCHER_KUBECONFIG=/nowhere: there is no such file"),
        ("GATEWAY_NATS_URL=", "GATEWAY_NATS_URL is empty"),
        ("OVN_TLS_CA=/nowhere", "OVN_TLS_CA=/nowhere: there is no such file"),
    ],
)
def test_a_wrong_setting_is_named(engine: Engine, own: Path, line: str, said: str) -> None:
    own.write_text(f"{own.read_text()}{line}\n")
    done = make(engine, own)
    assert done.returncode == 1
    assert said in done.stderr


def test_a_kubeconfig_that_names_other_files_is_refused(engine: Engine, own: Path) -> None:
    file = own.parent / "watcher.kubeconfig"
    file.write_text("clusters:\n- cluster:\n    certificate-authority: /etc/ca.crt\n")
    assert "names other files, which the container does not have" in make(engine, own).stderr
