import json

from veg_lab import control_plane
from veg_lab.netns import run
from veg_lab.paths import Lab


def test_the_api_server_has_a_certificate_of_the_labs_authority(lab: Lab) -> None:
    control_plane.prepare(lab)
    pki = lab.run / "pki"
    assert "OK" in run(["openssl", "verify", "-CAfile", f"{pki}/ca.crt", f"{pki}/apiserver.crt"])
    assert "127.0.0.1" in run(["openssl", "x509", "-in", f"{pki}/apiserver.crt", "-noout", "-ext", "subjectAltName"])


def test_every_user_has_a_kubeconfig_with_a_token_of_its_own(lab: Lab) -> None:
    control_plane.prepare(lab)
    configs = {user: json.loads(lab.kubeconfig(user).read_text()) for user in control_plane.USERS}
    tokens = {config["users"][0]["user"]["token"] for config in configs.values()}
    assert len(tokens) == len(control_plane.USERS)
    assert {lab.kubeconfig(user).stat().st_mode & 0o777 for user in control_plane.USERS} == {0o600}


def test_keys_and_tokens_outlive_a_second_start(lab: Lab) -> None:
    control_plane.prepare(lab)
    before = {file: file.read_bytes() for file in lab.run.rglob("*") if file.is_file()}
    control_plane.prepare(lab)
    assert {file: file.read_bytes() for file in lab.run.rglob("*") if file.is_file()} == before
