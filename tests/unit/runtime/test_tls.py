import ssl
from pathlib import Path

import pytest
from support.certificates import Authority

from veg_lab.netns import run
from veg_runtime.settings import SettingsError
from veg_runtime.tls import Pem, authorities, in_file

BROKEN = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls") / "authority")


def test_without_authorities_those_of_the_system_are_trusted() -> None:
    context = Pem(prefix="VEG_X_TLS").context()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_only_the_authorities_that_are_given_are_trusted(authority: Authority) -> None:
    context = Pem(prefix="VEG_X_TLS", ca=authority.pem).context()
    assert [each["subject"] for each in context.get_ca_certs()] == [((("commonName", "authority"),),)]
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_what_stands_around_certificates_is_left_out(authority: Authority) -> None:
    alone = authority.pem.strip()
    assert authorities("VEG_X_TLS_CA", f"# Főtanúsítvány\n{alone}\n# and again\n{alone}\n") == f"{alone}\n{alone}"
    assert authorities("VEG_X_TLS_CA", "") == ""


@pytest.mark.parametrize("text", ["x", BROKEN, "Főtanúsítvány"])
def test_what_is_no_list_of_certificates_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^VEG_X_TLS_CA: certificates in PEM form are needed: "):
        authorities("VEG_X_TLS_CA", text)


def test_a_broken_certificate_among_good_ones_is_refused(authority: Authority) -> None:
    with pytest.raises(SettingsError, match="VEG_X_TLS_CA"):
        authorities("VEG_X_TLS_CA", f"{authority.pem}\n{BROKEN}")


def test_a_private_key_beside_authorities_is_refused_and_not_repeated(authority: Authority) -> None:
    key = authority.issue("one").key.read_text()
    with pytest.raises(SettingsError, match="VEG_X_TLS_CA: a private key is not allowed here") as refused:
        authorities("VEG_X_TLS_CA", authority.pem + key)
    assert key.splitlines()[1] not in str(refused.value)


def test_a_certificate_needs_its_own_key_without_a_password(authority: Authority) -> None:
    one, other = authority.issue("one"), authority.issue("other")
    locked = run(["openssl", "ec", "-in", str(one.key), "-aes128", "-passout", "pass:word"])
    certificate = one.certificate.read_text()
    assert Pem(prefix="VEG_X_TLS", certificate=certificate, key=one.key.read_text()).context()
    for key, reason in ((other.key.read_text(), "key values mismatch"), (locked, "the key is encrypted")):
        with pytest.raises(SettingsError, match=f"^VEG_X_TLS_CERT and VEG_X_TLS_KEY: .*: {reason}$"):
            Pem(prefix="VEG_X_TLS", certificate=certificate, key=key).context()
    with pytest.raises(SettingsError, match="VEG_X_TLS_CERT and VEG_X_TLS_KEY: one without the other"):
        Pem(prefix="VEG_X_TLS", certificate=certificate).context()


def test_a_file_in_memory_can_be_read_again_and_ends_with_its_context() -> None:
    with in_file("secret") as path:
        assert [Path(path).read_text() for _ in range(2)] == ["secret", "secret"]
    with pytest.raises(FileNotFoundError):
        Path(path).read_text()
