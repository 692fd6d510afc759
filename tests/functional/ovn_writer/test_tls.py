"""NB and SB by `ssl:`, on real servers that want to know their clients."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from functional.ovn_writer.harness import DOCUMENT, GATEWAY, ROUTER, Bus, Writer, command, found
from functional.ovsdb import Ovsdb
from functional.servers import free_port, wait_for
from support.certificates import Authority

from veg_lab.certificates import Pair

# ovsdb-server sends the certificate of its authority as well.
STRANGE = "VEG_OVN_TLS_CA: the server's certificate is refused: self-signed certificate in certificate chain"

MakeWriter = Callable[..., Writer]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


@pytest.fixture
def ours(authority: Authority) -> Pair:
    return authority.issue("ovn-writer")


class Secure(Ovsdb):
    """A database that listens by `ssl:` too, as OVN does: its certificate names nobody."""

    def __init__(self, directory: Path, name: str, own: Pair, authority: Authority) -> None:
        self.secure_remote = f"ssl:127.0.0.1:{(port := free_port())}"
        files = (f"--private-key={own.key}", f"--certificate={own.certificate}", f"--ca-cert={authority.file}")
        super().__init__(directory, name, options=(f"--remote=pssl:{port}:127.0.0.1", *files))


@pytest.fixture
def nb(tmp_path: Path, authority: Authority) -> Iterator[Secure]:
    server = Secure(tmp_path, "nb", authority.issue("nb"), authority)
    server.start()
    server.nbctl("init")
    server.nbctl("lr-add", ROUTER)
    yield server
    server.kill()


@pytest.fixture
def sb(tmp_path: Path, authority: Authority) -> Iterator[Secure]:
    server = Secure(tmp_path, "sb", authority.issue("sb"), authority)
    server.start()
    server.sbctl("init")
    yield server
    server.kill()


@pytest.fixture
def make_secure(make_writer: MakeWriter, nb: Secure, ours: Pair) -> MakeWriter:
    """Writers that reach the database by TLS, trust this authority, and have these settings beside."""

    def make(authority: Authority, **settings: str) -> Writer:
        own = {
            "VEG_NB_REMOTE": nb.secure_remote,
            "VEG_OVN_TLS_CA_FILE": str(authority.file),
            "VEG_OVN_TLS_CERT_FILE": str(ours.certificate),
            "VEG_OVN_TLS_KEY_FILE": str(ours.key),
        }
        return make_writer(**{**own, **settings})

    return make


def reasons(writer: Writer) -> list[str]:
    return [line["error"] for line in writer.said() if "not reached" in line["event"]]


def test_rows_are_written_and_chassis_followed_by_ssl(
    nb: Secure, sb: Secure, bus: Bus, authority: Authority, make_secure: MakeWriter
) -> None:
    sb.sbctl("chassis-add", "one", "geneve", "127.0.0.2")
    writer = make_secure(authority, VEG_SB_REMOTE=sb.secure_remote)
    bus.send(command(1, DOCUMENT))
    bus.wait_event(f"uid-{GATEWAY}/1/nb/applied")
    assert [row["priority"] for row in found(nb)[ROUTER]] == [29100]
    writer.wait_says("chassis are followed")


def test_a_server_of_another_authority_is_refused_again_and_again(
    nb: Secure, tmp_path: Path, make_secure: MakeWriter
) -> None:
    writer = make_secure(Authority(tmp_path / "other"))
    wait_for("the writer to try again", lambda: len(reasons(writer)) >= 3)
    assert set(reasons(writer)) == {f"{nb.secure_remote}: {STRANGE}"}
    assert writer.alive
    assert writer.readiness() == (503, "lost\n")


def test_a_server_that_refuses_our_certificate_says_so(
    nb: Secure, tmp_path: Path, authority: Authority, make_secure: MakeWriter
) -> None:
    stranger = Authority(tmp_path / "other").issue("ovn-writer")
    files = {"VEG_OVN_TLS_CERT_FILE": str(stranger.certificate), "VEG_OVN_TLS_KEY_FILE": str(stranger.key)}
    writer = make_secure(authority, **files)
    refused = f"{nb.secure_remote}: VEG_OVN_TLS_CERT: the server refuses us: tlsv1 alert unknown ca"
    wait_for("the reason", lambda: refused in reasons(writer))
    assert writer.alive


def test_a_certificate_that_expires_while_we_are_connected_is_told_and_its_successor_taken(
    nb: Secure, bus: Bus, authority: Authority, make_secure: MakeWriter
) -> None:
    writer = make_secure(authority)
    bus.wait_listed()
    nb.kill()
    authority.issue("nb", expired=True)
    nb.start()
    expired = "VEG_OVN_TLS_CA: the server's certificate is refused: certificate has expired"
    wait_for("the reason", lambda: reasons(writer).count(expired) >= 2)
    nb.kill()
    authority.issue("nb")
    nb.start()
    bus.wait_listed(2)


def test_chassis_are_not_followed_by_a_server_of_another_authority(
    bus: Bus, tmp_path: Path, authority: Authority, make_secure: MakeWriter
) -> None:
    other = Authority(tmp_path / "other")
    strange = Secure(tmp_path, "sb", other.issue("sb"), other)
    strange.start()
    try:
        writer = make_secure(authority, VEG_SB_REMOTE=strange.secure_remote)
        bus.wait_listed()
        writer.wait_says(f'"reason": "{strange.secure_remote}: {STRANGE}"')
    finally:
        strange.kill()
