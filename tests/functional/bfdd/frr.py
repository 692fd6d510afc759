"""FRR's bfdd at the far end: another implementation of RFC 5880, from Debian, unpacked beside the other tools."""

import json
import os
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from functional.bfdd.link import FAR, PAIR, PAIR6, Link, until

SETUP: Final = Path(__file__).parent / "frr.sh"
END: Final = b"\0\0\0"  # of an answer, and one byte of its status behind
# It wants a group of terminal users to exist: in a file /etc/group that only it sees.
PRIVATELY: Final = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/group; exec "$@"']


def unpacked() -> Path:
    """The tree of FRR's files."""
    cache = Path(os.environ.get("VEG_CACHE") or "/var/cache/vpc-egress-gateway")
    cache.mkdir(parents=True, exist_ok=True)
    subprocess.run([SETUP, cache / "frr"], check=True, timeout=200)
    return cache / "frr"


def config(ms: int) -> str:
    peers = [
        f" peer {remote} local-address {local}\n"
        f"  receive-interval {ms}\n  transmit-interval {ms}\n  detect-multiplier 3\n exit\n"
        for remote, local in (PAIR, PAIR6)
    ]
    return "bfd\n" + "".join(peers) + "exit\n"


class Frr:
    """The daemon, with a session to each address of the near end."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._tree = unpacked()
        self._directory = link.directory / "frr"
        self._directory.mkdir()
        self._log = link.directory / "frr.log"
        self._group = self._directory / "group"
        self._group.write_text(Path("/etc/group").read_text() + "frrvty:x:65533:root\n")
        self.process: subprocess.Popen[bytes]

    def start(self, ms: int = 1000) -> None:
        conf, run = self._directory / "bfdd.conf", self._directory
        conf.write_text(config(ms))
        libraries = self._tree / "usr" / "lib" / "x86_64-linux-gnu"
        self.process = self._link.start(
            FAR,
            *PRIVATELY,
            str(self._group),
            *("env", f"LD_LIBRARY_PATH={libraries}/frr:{libraries}", str(self._tree / "usr" / "lib" / "frr" / "bfdd")),
            *("-u", "root", "-g", "root", "-f", str(conf), "-i", f"{run}/pid", "-z", f"{run}/zserv.api"),
            *("--vty_socket", str(run), "--bfdctl", f"{run}/bfdctl.sock", "--log", "stdout"),
            log=self._log,
        )
        until(self._answers, "FRR answers")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def ask(self, *commands: str) -> list[str]:
        """The answers of its terminal."""
        answers = []
        with socket.socket(socket.AF_UNIX) as terminal:
            terminal.settimeout(5.0)
            terminal.connect(str(self._directory / "bfdd.vty"))
            for command in ("enable", *commands):
                terminal.sendall(command.encode() + b"\0")
                answer = b""
                while answer[-4:-1] != END:
                    part = terminal.recv(65536)
                    assert part, f"{command}: closed after {answer!r}"
                    answer += part
                assert answer[-1] == 0, f"{command}: {answer!r}"
                answers.append(answer[:-4].decode())
        return answers[1:]

    def peers(self) -> list[dict[str, Any]]:
        """Its sessions as it shows them, IPv4 first."""
        shown: list[dict[str, Any]] = json.loads(self.ask("show bfd peers json")[0])
        return sorted(shown, key=lambda peer: ":" in peer["peer"])

    def states(self) -> list[str]:
        return [peer["status"] for peer in self.peers()]

    def configure(self, ms: int) -> None:
        """Other timers, as an operator types them."""
        commands = [line.strip() for line in config(ms).splitlines()]
        self.ask("configure", *commands)

    def _answers(self) -> bool:
        assert self.process.poll() is None, self._log.read_text()
        with suppress(OSError):
            return len(self.peers()) == 2
        return False
