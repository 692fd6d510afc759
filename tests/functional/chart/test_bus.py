"""The bundled bus: a real server with the configuration, the certificate and the secrets that the chart gives it."""

import asyncio
import base64
import runpy
import ssl
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nats
import nats.errors
import pytest
from chart.rendering import CHART, Json, of_kind
from functional.servers import Process, free_port, wait_for

# Public keys whose seeds nobody has kept.
KEYS = {
    "issuer-seed": "none",
    "issuer": "ABWWYXJ53TLV2OXOSATSRHNG67ISY5YYLGV5QWJLICJD4EAIGQQ7UBJJ",
    "xkey-seed": "none",
    "xkey": "XCRBJFSQRDUPVYWARQTE4QHEFMB6J675MZHX72NESNMV5SNNQHGAD6XM",
}
NAME = "veg-nats.kube-system.svc"  # what services check the certificate for (VEG_NATS_TLS_SERVER_NAME)


@dataclass(frozen=True)
class Bus:
    directory: Path
    port: int
    passwords: dict[str, str]

    async def enter(self, user: str, password: str, name: str = NAME) -> None:
        """Connect over TLS as that user, and leave. Raises what the client raises."""
        context = ssl.create_default_context(cafile=str(self.directory / "ca.crt"))
        url = f"tls://127.0.0.1:{self.port}"
        client = await nats.connect(
            url, user=user, password=password, tls=context, tls_hostname=name, allow_reconnect=False
        )
        await client.flush()
        await client.close()


def rendered(kind: str, name: str) -> Json:
    (found,) = (each for each in of_kind("evaluation", kind) if each["metadata"]["name"] == name)
    data: Json = found["data"]
    return data


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    port, monitor = free_port(), free_port()
    places = {"/etc/nats": str(tmp_path), "/data": f"{tmp_path}/data", "4222": str(port), "8222": str(monitor)}
    files = dict(rendered("ConfigMap", "veg-nats"))
    for place, here in places.items():
        files["nats.conf"] = files["nats.conf"].replace(place, here)
    made = runpy.run_path(str(CHART / "files" / "make_secrets.py"))["bus"](KEYS)
    for name, text in {**files, "secrets.conf": made["secrets.conf"]}.items():
        (tmp_path / name).write_text(text)
    for name, data in rendered("Secret", "veg-nats-tls").items():
        (tmp_path / name).write_bytes(base64.b64decode(data))
    program = str(Path(sys.prefix) / "bin" / "nats-server")
    log = tmp_path / "log"
    process = Process([program, "--config", str(tmp_path / "nats.conf")], log)
    process.start()
    try:
        wait_for("the bus to be ready", lambda: "Server is ready" in log.read_text())
        yield Bus(tmp_path, port, made)
    finally:
        process.kill()


@pytest.mark.parametrize("user", ["watcher", "planner", "ovn-writer", "kube-writer", "reader", "bus-auth"])
async def test_each_service_gets_in_with_its_own_password(bus: Bus, user: str) -> None:
    await bus.enter(user, bus.passwords[user])


async def test_nobody_gets_in_with_the_password_of_another(bus: Bus) -> None:
    with pytest.raises(nats.errors.Error):
        await asyncio.wait_for(bus.enter("planner", bus.passwords["watcher"]), 10)


async def test_the_certificate_is_for_no_other_name(bus: Bus) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        await bus.enter("watcher", bus.passwords["watcher"], "veg-postgres.kube-system.svc")
