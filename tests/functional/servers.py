"""Real servers for functional tests: each can be killed and started again in the middle of a test."""

import asyncio
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import nats
from nats.js import JetStreamContext

from veg_contracts import accounts, subjects
from veg_contracts.base import encode
from veg_contracts.envelope import Envelope, from_message
from veg_runtime import nkeys
from veg_runtime.nkeys import Curve, Kind, Signer
from veg_runtime.settings import Settings

REPOSITORY = Path(__file__).resolve().parents[2]
DEADLINE_S = 20.0

T = TypeVar("T")


def _ports() -> Iterator[int]:
    """Ports below those that the kernel gives to clients (32768 on), in a range of this worker's own (pytest-xdist)."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    while True:
        yield from range(12_000 + 2_000 * worker, 14_000 + 2_000 * worker)


_PORTS = _ports()


def free_port() -> int:
    """One that nobody listens on, and that no other test is given."""
    for port in _PORTS:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("the ports never end")


def wait_for(what: str, condition: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
    """Wait until the condition holds; fails the test when it never does."""
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"still waiting for: {what}")
        time.sleep(0.02)


class Process:
    """A program with a log file, in a process group of its own."""

    def __init__(self, argv: Sequence[str], log: Path, environment: dict[str, str] | None = None) -> None:
        self.argv = list(argv)
        self.log = log
        self.environment = environment
        self._running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as output:
            self._running = subprocess.Popen(
                self.argv, stdout=output, stderr=output, env=self.environment, start_new_session=True
            )

    def send(self, number: int) -> None:
        """Send a signal, e.g. SIGSTOP."""
        if self._running is not None:
            os.kill(self._running.pid, number)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.stop(signal.SIGKILL)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it and return its exit code."""
        if self._running is None:
            return 0
        if self._running.poll() is None:
            self._running.send_signal(number)
        code = self._running.wait(DEADLINE_S)
        self._running = None
        return code

    @property
    def alive(self) -> bool:
        return self._running is not None and self._running.poll() is None


class Service(Process):
    """One of our services, by the name of its module, with its settings as environment variables."""

    def __init__(self, module: str, environment: dict[str, str], log: Path) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        whole = {**os.environ, **environment, "VEG_HEALTH_ADDRESS": self.address}
        super().__init__([sys.executable, "-m", module], log, whole)

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of its answer; status 0 while nothing listens."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://{self.address}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, repr(error)

    def readiness(self) -> tuple[int, str]:
        return self.get("/readyz")

    def said(self) -> list[dict[str, Any]]:
        """The lines of its log."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]


class Nats:
    """nats-server with JetStream and accounts and permissions as in production; `tls` as its config has it.

    Beside the users of production there is one, `admin`, who may do everything with the streams.
    """

    PASSWORD = "secret"
    _ADMIN = {
        "    users: [": f"    users: [\n      {{ user: admin, password: {PASSWORD} }}",
        "auth_users: [": "auth_users: [admin, ",
    }

    def __init__(self, directory: Path, tls: dict[str, Any] | None = None) -> None:
        self.port = free_port()
        self.url = f"{'tls' if tls else 'nats'}://127.0.0.1:{self.port}"
        self.issuer_seed, self.xkey_seed = nkeys.new_seed(Kind.ACCOUNT), nkeys.new_seed(Kind.CURVE)
        self._directory = directory
        self._files = directory / "jetstream"
        values = dict.fromkeys(accounts.variables(), self.PASSWORD)
        values[accounts.ISSUER] = Signer.read(Kind.ACCOUNT, self.issuer_seed).public
        values[accounts.XKEY] = Curve.read(self.xkey_seed).public
        (directory / "secrets.conf").write_text("".join(f'{name}: "{value}"\n' for name, value in values.items()))
        lines = ["host: 127.0.0.1", f"port: {self.port}", f'jetstream {{ store_dir: "{self._files}" }}']
        lines += [f"tls: {encode(tls).decode()}"] if tls else []
        config = directory / "nats.conf"
        config.write_text("\n".join([*lines, "include accounts.conf", ""]))
        self.configure(accounts.render())
        program = str(Path(sys.prefix) / "bin" / "nats-server")
        self.process = Process([program, "--config", str(config)], directory / "nats.log")

    def configuration(self) -> str:
        """The accounts that it has, without `admin`."""
        return self._rendered

    def reload(self) -> None:
        """Take what `configure` has written, and wait until that is so."""
        said = "Reloaded server configuration"
        before = self.process.log.read_text().count(said)
        self.process.send(signal.SIGHUP)
        wait_for("nats-server to reload", lambda: self.process.log.read_text().count(said) > before)

    def configure(self, rendered: str) -> None:
        """Take these accounts, at the start or by `reload`."""
        self._rendered = rendered
        for mark, replacement in self._ADMIN.items():
            rendered = rendered.replace(mark, replacement, 1)
        (self._directory / "accounts.conf").write_text(rendered)

    def start(self) -> None:
        self.process.start()
        wait_for("nats-server to listen", self._listens)

    def kill(self) -> None:
        self.process.kill()

    def forget(self) -> None:
        """Lose all streams, as a disk that was replaced does."""
        shutil.rmtree(self._files)

    def settings(self, role: str) -> Settings:
        """Settings with which that role connects."""
        return Settings(nats_url=self.url, nats_user=role, nats_password=self.PASSWORD)

    def environment(self, role: str) -> dict[str, str]:
        """The same for a service that is started as a process."""
        return {"VEG_NATS_URL": self.url, "VEG_NATS_USER": role, "VEG_NATS_PASSWORD": self.PASSWORD}

    def ask(self, question: Callable[[JetStreamContext], Awaitable[T]]) -> T:
        """Do something as a user who may do everything."""

        async def ask() -> T:
            client = await nats.connect(self.url, user="admin", password=self.PASSWORD)
            try:
                return await question(client.jetstream())
            finally:
                await client.close()

        return asyncio.run(ask())

    def publish(self, subject: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        async def publish(js: JetStreamContext) -> None:
            await js.publish(subject, body, headers=headers)

        self.ask(publish)

    def events(self, after: int = 0) -> list[Envelope]:
        """The stream of events, in its order, without the first `after`."""

        async def read(js: JetStreamContext) -> list[Envelope]:
            last = (await js.stream_info(subjects.EVENT_STREAM)).state.messages
            found = [await js.get_msg(subjects.EVENT_STREAM, seq=number) for number in range(after + 1, last + 1)]
            return [from_message(str(message.subject), message.headers, message.data or b"") for message in found]

        return self.ask(read)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class Postgres:
    """A private cluster on a Unix socket, as a user that is not root; roles as in production."""

    ROLES = ("veg_owner", "veg_planner", "veg_reader")
    _BIN = Path("/usr/lib/postgresql/15/bin")

    def __init__(self, port: int = 5432) -> None:
        """`port` is in the name of the socket."""
        self.port = port
        # Not below pytest's own directory: only its owner may enter that one.
        self.directory = Path(tempfile.mkdtemp(prefix="veg-postgres-"))
        self._as_user: list[str] = []
        if os.getuid() == 0:
            shutil.chown(self.directory, "postgres", "postgres")
            self._as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
        options = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale", "--no-sync"]
        self._run([str(self._BIN / "initdb"), "-D", f"{self.directory}/data", *options])
        settings = (
            f"port={port}",
            "listen_addresses=",
            f"unix_socket_directories={self.directory}",
            "dynamic_shared_memory_type=mmap",
            "shared_buffers=32MB",
        )
        argv = [str(self._BIN / "postgres"), "-D", f"{self.directory}/data"]
        argv += [word for setting in settings for word in ("-c", setting)]
        self.process = Process([*self._as_user, *argv], self.directory / "log")

    def start(self) -> None:
        self.process.start()
        wait_for("postgres to answer", self._stands)

    def kill(self) -> None:
        self.process.kill()

    def remove(self) -> None:
        # SIGINT is the fast shutdown; unlike a kill it removes its shared memory.
        self.process.stop(signal.SIGINT)
        shutil.rmtree(self.directory, ignore_errors=True)

    def prepare(self) -> None:
        """Roles, and a migrated database to copy for each test."""
        for role in self.ROLES:
            self.sql(f"create role {role} login")
        self.sql("create database veg_template owner veg_owner")
        migrate(self.url("veg_owner", "veg_template"))

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Run a statement as the superuser."""
        words = ["psql", *self._socket, "-U", "postgres", "-d", database, "-qAtX", "-v", "ON_ERROR_STOP=1"]
        return self._run([*words, "-c", statement])

    def url(self, role: str, database: str) -> str:
        return f"postgresql+psycopg://{role}@/{database}?host={self.directory}&port={self.port}"

    @property
    def _socket(self) -> tuple[str, ...]:
        return ("-h", str(self.directory), "-p", str(self.port))

    def _stands(self) -> bool:
        if not self.process.alive:  # a process of a killed predecessor still had the shared memory
            self.process.start()
        words = [str(self._BIN / "pg_isready"), "-q", *self._socket]
        return subprocess.run(words, check=False).returncode == 0

    def _run(self, words: Sequence[str]) -> str:
        done = subprocess.run(
            [*self._as_user, *words], check=False, capture_output=True, text=True, cwd="/", timeout=DEADLINE_S
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


class Database:
    """A database of its own for one test, with our schema."""

    def __init__(self, postgres: Postgres) -> None:
        self.postgres = postgres
        self.name = f"veg_{secrets.token_hex(6)}"
        postgres.sql(f"create database {self.name} template veg_template owner veg_owner")

    def url(self, role: str = "veg_planner") -> str:
        return self.postgres.url(role, self.name)

    def sql(self, statement: str) -> str:
        """Run a statement as the superuser; rows by line, columns by '|'."""
        return self.postgres.sql(statement, self.name)

    def remove(self) -> None:
        self.postgres.sql(f"drop database {self.name} with (force)")


def migrate(url: str, *words: str) -> str:
    """Run the migrations, to the newest revision unless told otherwise; what they say."""
    done = try_migrate(url, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def try_migrate(url: str, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "alembic", "-c", str(REPOSITORY / "migrations" / "alembic.ini")]
    return subprocess.run(
        [*argv, *(words or ("upgrade", "head"))],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "VEG_POSTGRES_URL": url},
        timeout=DEADLINE_S,
    )
