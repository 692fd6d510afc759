"""A gateway pod on one machine: three network namespaces (client, gateway, external host) in a row.

The agent is the real one, as an unprivileged user in the middle one; beside it a real NATS server with the real
permissions. KEEP_ENV=1 keeps the namespaces.
"""

import asyncio
import json
import os
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import nats
import nats.js.errors
from nats.js import JetStreamContext
from pyroute2 import netns
from support.certificates import ADDRESS, Authority

import veg_contracts
import veg_gw_agent
from veg_contracts import permissions, subjects
from veg_contracts.base import encode
from veg_contracts.envelope import Envelope, from_message
from veg_contracts.intent import PodConfig, Route, Source
from veg_planner.bus.streams import ensure_streams

BIN: Final = Path(sys.executable).parent
GATEWAY, GATEWAY_UID, POD, POD_UID = "default/gateway1", "gw-uid", "gateway1-abc", "pod-uid"
DEADLINE_S: Final = 15.0
NOBODY: Final = "65534"
CAPS: Final = "-all,+net_admin,+net_raw"
UNPRIVILEGED: Final = ["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--no-new-privs"]
UNPRIVILEGED_CAPS: Final = ["--inh-caps", CAPS, "--ambient-caps", CAPS, "--bounding-set", CAPS]

LINKS: Final = """\
link add c0 netns {client} type veth peer name eth0 netns {gateway}
link add e0 netns {external} type veth peer name net1 netns {gateway}
"""
ADDRESSES: Final = {
    "client": """\
link set lo up
address add 10.16.0.9/16 dev c0
address add 10.20.0.9/32 dev c0
address add fd00:10:16::9/112 dev c0 nodad
link set c0 up
route add default via 10.16.0.12
route add default via fd00:10:16::12
""",
    "gateway": """\
link set lo up
address add 10.16.0.12/16 brd + dev eth0
address add fd00:10:16::12/112 dev eth0 nodad
address add 172.17.0.11/16 brd + dev net1
address add fd00:172:17::11/112 dev net1 nodad
link set eth0 up
link set net1 up
route add default via 172.17.0.1 dev net1
""",
    "external": """\
link set lo up
address add 172.17.0.1/16 dev e0
address add fd00:172:17::1/112 dev e0 nodad
link set e0 up
""",
}

# The interpreter or the checkout may lie below a directory that is closed to others, such as root's home. The agent's
# own mount namespace then sees that directory open, as a container sees its image.
OPEN: Final = """\
set -e
mount -t tmpfs tmpfs /mnt
while [ "$1" != -- ]; do
  mkdir -p "/mnt/$#/upper" "/mnt/$#/work"
  mount -t overlay -o "lowerdir=$1,upperdir=/mnt/$#/upper,workdir=/mnt/$#/work" overlay "$1"
  chmod o+x "$1"
  shift
done
shift
exec "$@"
"""

T = TypeVar("T")
Config = Callable[..., PodConfig]
Wait = Callable[..., Any]


def opened() -> list[str]:
    """The command before the agent's: it opens the closed directories on the way to the interpreter and to our code."""
    paths = {
        Path(sys.prefix),
        Path(sys.base_prefix).resolve(),
        Path(veg_gw_agent.__file__),
        Path(veg_contracts.__file__),
    }
    closed = sorted({parent for path in paths for parent in path.parents if not parent.stat().st_mode & 1})
    return ["unshare", "--mount", "sh", "-c", OPEN, "sh", *(str(path) for path in closed), "--"] if closed else []


def until(condition: Callable[[], T], what: str, deadline_s: float = DEADLINE_S) -> T:
    """The first true value of `condition`."""
    end = time.monotonic() + deadline_s
    while not (value := condition()):
        assert time.monotonic() < end, f"not within {deadline_s} s: {what}"
        time.sleep(0.02)
    return value


class Machine:
    """The three namespaces, and processes in them."""

    def __init__(self, prefix: str) -> None:
        self.names = {role: f"{prefix}-{role}" for role in ADDRESSES}

    def up(self) -> None:
        for name in self.names.values():
            subprocess.run(["ip", "netns", "add", name], check=True)
        subprocess.run(["ip", "-batch", "-"], input=LINKS.format(**self.names), text=True, check=True)
        for role, batch in ADDRESSES.items():
            self.run(role, "ip", "-batch", "-", stdin=batch)
        for role, device in (("client", "c0"), ("gateway", "eth0"), ("gateway", "net1"), ("external", "e0")):
            self.run(role, "ethtool", "-K", device, "tx", "off")

    def down(self) -> None:
        for name in self.names.values():
            pids = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=False).stdout
            for pid in pids.split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), 9)
            subprocess.run(["ip", "netns", "del", name], check=False, stderr=subprocess.DEVNULL)

    def enter(self, role: str) -> list[str]:
        return ["nsenter", f"--net=/run/netns/{self.names[role]}"]

    def run(self, role: str, *command: str, stdin: str = "") -> str:
        done = subprocess.run(
            [*self.enter(role), *command], input=stdin, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self, role: str, *command: str, **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen([*self.enter(role), *command], text=True, **options)

    def inside(self, role: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine with its sockets in that namespace: a thread of its own, as a namespace is per thread."""
        results: list[T] = []

        def body() -> None:
            netns.setns(self.names[role])
            results.append(asyncio.run(work()))

        thread = threading.Thread(target=body)
        thread.start()
        thread.join()
        assert results, "see the exception of the thread above"
        return results[0]

    def routes(self) -> list[str]:
        return [line.rstrip() for line in self.run("gateway", "ip", "route", "show").splitlines()]

    def nat(self, family: str = "") -> list[str]:
        """The rules of the pod, without the chains' policies."""
        listing = self.run("gateway", f"ip{family}tables", "-t", "nat", "-S")
        return [line for line in listing.splitlines() if not line.startswith("-P")]

    def policies(self) -> list[str]:
        """What the pod does with packets to forward, of IPv4 and of IPv6."""
        return [self.run("gateway", tables, "-S", "FORWARD").split()[2] for tables in ("iptables", "ip6tables")]


class Bus:
    """NATS in the gateway's namespace, with the streams of the planner; by TLS where there is an `authority`."""

    def __init__(self, machine: Machine, directory: Path, authority: Authority | None = None) -> None:
        self._machine, self._directory = machine, directory
        self._tls = ssl.create_default_context(cadata=authority.pem) if authority is not None else None
        self._server: subprocess.Popen[str] | None = None
        rights = permissions.agent_permissions(GATEWAY, POD, POD_UID)
        users = [
            {"user": "gw-agent", "password": "gw-agent-secret", "permissions": rights},
            {"user": "admin", "password": "admin-secret"},
        ]
        config = {
            "listen": "127.0.0.1:4222",
            "jetstream": {"store_dir": str(directory / "nats")},
            "authorization": {"users": users},
        }
        if authority is not None:
            own = authority.issue("bus", ADDRESS)
            config["tls"] = {"cert_file": str(own.certificate), "key_file": str(own.key)}
        (directory / "nats.conf").write_text(json.dumps(config))

    def start(self, streams: bool = True) -> None:
        log = (self._directory / "nats.log").open("a")
        arguments = [str(BIN / "nats-server"), "-c", str(self._directory / "nats.conf")]
        self._server = self._machine.start("gateway", *arguments, stderr=log)
        log.close()

        async def ready(js: JetStreamContext) -> bool:
            if streams:
                await ensure_streams(js)
            else:
                await js.account_info()
            return True

        self.call(ready)

    def kill(self) -> None:
        assert self._server
        self._server.kill()
        self._server.wait()

    def call(
        self,
        work: Callable[[JetStreamContext], Coroutine[Any, Any, T]],
        role: str = "admin",
        errors: list[Exception] | None = None,
    ) -> T:
        """Do something as `role`; `errors` takes what the bus says beside its answers."""

        async def note(error: Exception) -> None:
            if errors is not None:
                errors.append(error)

        async def connected() -> T:
            client = await nats.connect(
                "nats://127.0.0.1:4222",  # the server says whether TLS begins
                tls=self._tls,
                user=role,
                password=f"{role}-secret",
                inbox_prefix=permissions.agent_inbox_prefix(POD_UID).encode(),
                error_cb=note,
                reconnect_time_wait=0.2,
                max_reconnect_attempts=50,
            )
            try:
                return await work(client.jetstream(timeout=5))
            finally:
                await client.close()

        return self._machine.inside("gateway", connected)

    def put(self, config: PodConfig | bytes, headers: dict[str, str] | None = None) -> None:
        body = config if isinstance(config, bytes) else encode(config)

        async def publish(js: JetStreamContext) -> bool:
            await js.publish(subjects.config_subject(GATEWAY), body, headers=headers)
            return True

        self.call(publish)

    def events(self) -> list[Envelope]:
        async def read(js: JetStreamContext) -> list[Envelope]:
            state = (await js.stream_info(subjects.AGENT_EVENT_STREAM)).state
            messages = []
            for number in range(max(1, state.first_seq), state.last_seq + 1):
                with suppress(nats.js.errors.NotFoundError):  # gone meanwhile, for a newer one
                    messages.append(await js.get_msg(subjects.AGENT_EVENT_STREAM, seq=number))
            return [from_message(message.subject or "", message.headers, message.data or b"") for message in messages]

        return self.call(read)

    def ids(self) -> list[str]:
        """Those that the log would take: a double has an id that it has already."""
        return list(dict.fromkeys(event.id for event in self.events()))


class Agent:
    """The agent's process, as the container `gateway` of the pod runs it."""

    def __init__(self, machine: Machine, directory: Path) -> None:
        self._machine = machine
        self.state, self.shared = directory / "state", directory / "shared"
        for path in (self.state, self.shared):
            path.mkdir()
            os.chown(path, int(NOBODY), int(NOBODY))
        self._log = directory / "agent.log"
        self.process: subprocess.Popen[str]  # the last one that was started
        self.environ = {
            "PATH": "/usr/bin:/bin",
            "POD_NAME": POD,
            "POD_NAMESPACE": "default",
            "POD_UID": POD_UID,
            "POD_IPS": "10.16.0.12,fd00:10:16::12",
            "VEG_GATEWAY": GATEWAY,
            "VEG_GATEWAY_UID": GATEWAY_UID,
            "VEG_NATS_URL": "nats://127.0.0.1:4222",
            "VEG_NATS_USER": "gw-agent",
            "VEG_NATS_PASSWORD": "gw-agent-secret",
            "VEG_STATE_DIR": str(self.state),
            "VEG_BFD_DIR": str(self.shared),
            "VEG_RESYNC_S": "1",
            "PYTHONPYCACHEPREFIX": os.environ["PYTHONPYCACHEPREFIX"],
        }

    def init(self) -> str:
        done = subprocess.run(
            [*self._machine.enter("gateway"), str(BIN / "gw-agent"), "init"],
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, **environ: str) -> None:
        with self._log.open("a") as log:
            self.process = self._machine.start(
                "gateway",
                *opened(),
                *UNPRIVILEGED,
                *UNPRIVILEGED_CAPS,
                str(BIN / "gw-agent"),
                "run",
                env=self.environ | environ,
                stderr=log,
            )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def log(self) -> str:
        return self._log.read_text()

    def says(self, text: str) -> None:
        self._until(lambda: text in self.log(), f"the agent says {text!r}")

    def applies(self, generation: int) -> None:
        ready = (True, f"generation {generation} is applied")
        self._until(lambda: self.ready() == ready, ready[1])

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        try:
            until(condition, what)
        except AssertionError as error:
            raise AssertionError(f"{error}; the agent said:\n{self.log()}") from error

    def ready(self) -> tuple[bool, str]:
        done = subprocess.run([str(BIN / "gw-ready")], env=self.environ, capture_output=True, text=True, check=False)
        return done.returncode == 0, done.stdout.strip()


def make_config(
    generation: int,
    *snat: str,
    plain: tuple[str, ...] = (),
    lingering: tuple[str, ...] = (),
    routes: tuple[Route, ...] = (),
    families: tuple[str, ...] = ("4",),
) -> PodConfig:
    return PodConfig(
        gateway=GATEWAY,
        gateway_uid=GATEWAY_UID,
        generation=generation,
        families=families,
        sources=(*(Source(cidr=c, snat=True) for c in snat), *(Source(cidr=c, snat=False) for c in plain)),
        lingering=tuple(Source(cidr=c, snat=True) for c in lingering),
        routes=routes,
    )
