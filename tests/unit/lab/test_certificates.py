"""What openssl says of the certificates that the lab and the tests make."""

from pathlib import Path

import pytest

from veg_lab import certificates
from veg_lab.certificates import Pair
from veg_lab.errors import LabError
from veg_lab.netns import run


@pytest.fixture
def authority(tmp_path: Path) -> Pair:
    made = Pair.at(tmp_path, "ca")
    certificates.make_authority(made, "/CN=authority")
    return made


def verify(authority: Pair, pair: Pair) -> str:
    return run(["openssl", "verify", "-CAfile", str(authority.certificate), str(pair.certificate)])


def test_a_certificate_is_signed_and_has_its_extensions(tmp_path: Path, authority: Pair) -> None:
    one = Pair.at(tmp_path, "one")
    certificates.issue(one, authority, "/O=group/CN=one", "subjectAltName=DNS:one", "extendedKeyUsage=clientAuth")
    assert "OK" in verify(authority, one)
    said = run(["openssl", "x509", "-in", str(one.certificate), "-noout", "-subject", "-ext", _EXTENSIONS])
    assert all(word in said for word in ("O = group", "DNS:one", "CA:FALSE", "Client Authentication"))
    assert one.key.stat().st_mode & 0o777 == 0o600


_EXTENSIONS = "subjectAltName,basicConstraints,extendedKeyUsage"


def test_an_expired_certificate_is_the_same_but_for_its_end(tmp_path: Path, authority: Pair) -> None:
    one = Pair.at(tmp_path, "one")
    certificates.issue(one, authority, "/CN=one", "subjectAltName=DNS:one")
    certificates.expire(one, authority)
    with pytest.raises(LabError, match="certificate has expired"):
        verify(authority, one)
    assert "DNS:one" in run(["openssl", "x509", "-in", str(one.certificate), "-noout", "-ext", "subjectAltName"])
