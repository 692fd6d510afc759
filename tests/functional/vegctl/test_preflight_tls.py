"""`vegctl preflight` by TLS: OVN by `ssl:`, NATS by `tls:`; a wrong authority is one line that names the setting."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from functional.ovsdb import Ovsdb
from functional.servers import Nats, free_port
from support.certificates import ADDRESS, Authority

Json = dict[str, Any]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


@pytest.fixture
def environment(tmp_path: Path, authority: Authority) -> Iterator[dict[str, str]]:
    """A database and a bus that are reached by TLS only; the database wants to know its clients."""
    own, port = authority.issue("nb"), free_port()
    files = (f"--private-key={own.key}", f"--certificate={own.certificate}", f"--ca-cert={authority.file}")
    database = Ovsdb(tmp_path, options=(f"--remote=pssl:{port}:127.0.0.1", *files))
    server = authority.issue("bus", ADDRESS)
    bus = Nats(tmp_path, {"cert_file": str(server.certificate), "key_file": str(server.key)})
    database.start()
    database.nbctl("init")
    bus.start()
    us = authority.issue("preflight")
    yield {
        "KUBECONFIG": "/nowhere",
        "VEG_NB_REMOTE": f"ssl:127.0.0.1:{port}",
        "VEG_OVN_TLS_CA_FILE": str(authority.file),
        "VEG_OVN_TLS_CERT_FILE": str(us.certificate),
        "VEG_OVN_TLS_KEY_FILE": str(us.key),
        "VEG_NATS_TLS_CA_FILE": str(authority.file),
        **bus.environment("reader"),
    }
    bus.kill()
    database.kill()


def preflight(environment: dict[str, str]) -> dict[str, Json]:
    """The findings by their ids."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("VEG_", "KUBE"))}
    argv = [sys.executable, "-m", "vegctl", "preflight", "--output", "json"]
    done = subprocess.run(argv, env=clean | environment, capture_output=True, text=True, timeout=90, check=False)
    assert "Traceback" not in done.stderr
    return {each["id"]: each for each in json.loads(done.stdout)["findings"]}


def test_both_are_reached(environment: dict[str, str]) -> None:
    found = preflight(environment)
    assert found["ovn.schema"]["severity"] == found["bus"]["severity"] == "ok"


def test_a_wrong_authority_is_named_by_its_setting(environment: dict[str, str], tmp_path: Path) -> None:
    other = str(Authority(tmp_path / "other").file)
    found = preflight(environment | {"VEG_OVN_TLS_CA_FILE": other, "VEG_NATS_TLS_CA_FILE": other})
    assert "VEG_OVN_TLS_CA: the server's certificate is refused" in found["ovn.schema"]["found"]
    assert "VEG_NATS_TLS_CA: the server's certificate is refused" in found["bus"]["found"]
    assert found["ovn.schema"]["severity"] == found["bus"]["severity"] == "blocker"


def test_a_client_that_the_database_does_not_know(environment: dict[str, str], tmp_path: Path) -> None:
    stranger = Authority(tmp_path / "other").issue("stranger")
    files = {"VEG_OVN_TLS_CERT_FILE": str(stranger.certificate), "VEG_OVN_TLS_KEY_FILE": str(stranger.key)}
    found = preflight(environment | files)["ovn.schema"]
    assert found["severity"] == "blocker"
    assert "VEG_OVN_TLS_CERT" in found["found"], "also when the connection ended before the reason was read"
