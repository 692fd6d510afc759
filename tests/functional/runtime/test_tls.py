"""The bus by TLS, on a real server with certificates of an authority of the test's own."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from functional.servers import Nats, Service, wait_for
from support.certificates import ADDRESS, NAME, Authority

from veg_lab.certificates import Pair
from veg_runtime import bus

_DEADLINE_S = 20
_TRIES = 3


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


@contextmanager
def serving(directory: Path, own: Pair, **more: Any) -> Iterator[Nats]:
    server = Nats(directory, {"cert_file": str(own.certificate), "key_file": str(own.key), **more})
    server.start()
    try:
        yield server
    finally:
        server.kill()


async def reached(server: Nats, **tls: str) -> bool:
    """Whether a client with these settings talks to the server."""
    settings = msgspec.structs.replace(server.settings("planner"), **tls)
    async with asyncio.timeout(_DEADLINE_S):
        client = await bus.connect(settings, "planner")
        await client.flush()
    connected: bool = client.is_connected
    await client.close()
    return connected


async def test_a_server_of_that_authority_is_reached(tmp_path: Path, authority: Authority) -> None:
    with serving(tmp_path, authority.issue("bus", ADDRESS)) as server:
        assert await reached(server, nats_tls_ca=authority.pem)


async def test_the_name_to_verify_may_be_another_than_the_one_in_the_url(tmp_path: Path, authority: Authority) -> None:
    with serving(tmp_path, authority.issue("bus", NAME)) as server:
        assert await reached(server, nats_tls_ca=authority.pem, nats_tls_server_name="bus.example")


async def test_a_server_that_wants_to_know_us_is_shown_our_certificate(tmp_path: Path, authority: Authority) -> None:
    own, ours = authority.issue("bus", ADDRESS), authority.issue("planner")
    with serving(tmp_path, own, ca_file=str(authority.file), verify=True) as server:
        pair = {"nats_tls_cert": ours.certificate.read_text(), "nats_tls_key": ours.key.read_text()}
        assert await reached(server, nats_tls_ca=authority.pem, **pair)


def errors(service: Service) -> list[str]:
    return [line["error"] for line in service.said() if line["event"] == "bus error"]


Start = Callable[..., Service]


@pytest.fixture
def tried(tmp_path: Path) -> Iterator[Start]:
    """What a service says of the bus when it has tried a few times; every line of its log is a line of JSON."""
    started: list[Service] = []

    def start(server: Nats, **settings: str) -> Service:
        own = {"VEG_NB_REMOTE": f"unix:{tmp_path}/none.sock", **server.environment("ovn-writer"), **settings}
        service = Service("veg_ovn_writer", own, tmp_path / "service.log")
        started.append(service)
        service.start()
        wait_for("the service to try again", lambda: service.log.exists() and len(errors(service)) >= _TRIES)
        assert service.alive
        return service

    yield start
    for service in started:
        service.kill()


def test_a_server_of_another_authority_is_refused(tmp_path: Path, authority: Authority, tried: Start) -> None:
    other = Authority(tmp_path / "other")
    with serving(tmp_path, authority.issue("bus", ADDRESS)) as server:
        service = tried(server, VEG_NATS_TLS_CA_FILE=str(other.file))
    reason = "the server's certificate is refused: unable to get local issuer certificate"
    assert set(errors(service)) == {f"VEG_NATS_TLS_CA: {reason}"}


def test_an_expired_certificate_is_refused(tmp_path: Path, authority: Authority, tried: Start) -> None:
    with serving(tmp_path, authority.issue("bus", ADDRESS, expired=True)) as server:
        service = tried(server, VEG_NATS_TLS_CA_FILE=str(authority.file))
    assert set(errors(service)) == {"VEG_NATS_TLS_CA: the server's certificate is refused: certificate has expired"}


@pytest.mark.parametrize(
    ("settings", "asked"),
    [({}, "IP address mismatch"), ({"VEG_NATS_TLS_SERVER_NAME": "x.example"}, "Hostname mismatch")],
)
def test_another_name_is_refused(
    tmp_path: Path, authority: Authority, tried: Start, settings: dict[str, str], asked: str
) -> None:
    with serving(tmp_path, authority.issue("bus", NAME)) as server:
        service = tried(server, VEG_NATS_TLS_CA_FILE=str(authority.file), **settings)
    assert all(
        line.startswith(f"VEG_NATS_TLS_SERVER_NAME: the server's certificate is refused: {asked}")
        for line in errors(service)
    )


def test_without_a_certificate_of_ours_it_says_so(tmp_path: Path, authority: Authority, tried: Start) -> None:
    own = authority.issue("bus", ADDRESS)
    with serving(tmp_path, own, ca_file=str(authority.file), verify=True) as server:
        service = tried(server, VEG_NATS_TLS_CA_FILE=str(authority.file))
        # Not each time: a write may find the connection closed before the reason has been read.
        sentence = "VEG_NATS_TLS_CERT: the server refuses us: tlsv13 alert certificate required"
        wait_for("the reason", lambda: sentence in errors(service))


def test_a_server_without_tls_gets_no_password(nats_server: Nats, authority: Authority, tried: Start) -> None:
    url = nats_server.url.replace("nats://", "tls://")
    service = tried(nats_server, VEG_NATS_URL=url, VEG_NATS_TLS_CA_FILE=str(authority.file))
    assert set(errors(service)) == {"Error('VEG_NATS_URL begins with tls:// and the server does without TLS')"}


def test_it_is_there_as_soon_as_the_server_has_a_good_certificate(
    tmp_path: Path, authority: Authority, tried: Start
) -> None:
    with serving(tmp_path, authority.issue("bus", NAME)) as server:
        service = tried(server, VEG_NATS_TLS_CA_FILE=str(authority.file))
        server.kill()
        authority.issue("bus", ADDRESS)
        server.start()
        wait_for("the service to look for its stream", lambda: "waiting for the stream" in service.log.read_text())


async def test_a_client_that_lost_its_server_takes_no_other(tmp_path: Path, authority: Authority) -> None:
    with serving(tmp_path, authority.issue("bus", ADDRESS)) as server:
        settings = msgspec.structs.replace(server.settings("planner"), nats_tls_ca=authority.pem)
        async with asyncio.timeout(_DEADLINE_S):
            client = await bus.connect(settings, "planner")
            await restarted(server, lambda: authority.issue("bus", NAME))
            await asyncio.to_thread(wait_for, "the client to try again", lambda: handshake_errors(server) >= _TRIES)
            assert not client.is_connected
            await restarted(server, lambda: authority.issue("bus", ADDRESS))
            await asyncio.to_thread(wait_for, "the client to be back", lambda: client.is_connected)
            await client.close()


def handshake_errors(server: Nats) -> int:
    return server.process.log.read_text().count("TLS handshake error")


async def restarted(server: Nats, meanwhile: Callable[[], object]) -> None:
    await asyncio.to_thread(server.kill)
    meanwhile()
    await asyncio.to_thread(server.start)


def test_a_file_that_is_missing_is_named(tmp_path: Path, nats_server: Nats) -> None:
    own = {"VEG_NB_REMOTE": "unix:/none", **nats_server.environment("ovn-writer")}
    missing = tmp_path / "missing.pem"
    service = Service("veg_ovn_writer", {**own, "VEG_NATS_TLS_CA_FILE": str(missing)}, tmp_path / "service.log")
    service.start()
    wait_for("the service to end", lambda: not service.alive)
    assert service.stop() == 2
    assert service.log.read_text() == f"ovn-writer: VEG_NATS_TLS_CA_FILE={missing}: No such file or directory\n"
