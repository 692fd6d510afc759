"""A real Northbound database, from the OVN that the lab uses: it can be killed, stopped and started in a test."""

import json
import os
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from functional.servers import DEADLINE_S, Process, wait_for

_CACHE = Path(os.environ.get("VEG_CACHE") or "/var/cache/vpc-egress-gateway")
_TREE = _CACHE / "ovn" / "usr"
DATABASE = "OVN_Northbound"
_SBIN = ("ovsdb-server", "ovs-vswitchd")


def program(name: str, *arguments: str) -> list[str]:
    """The words that run a program of that OVN with its own loader and libraries."""
    (loader,) = _TREE.glob("lib/*/ld-linux-*.so.*")
    binary = _TREE / ("sbin" if name in _SBIN else "bin") / name
    return [str(loader), "--library-path", str(loader.parent), str(binary), *arguments]


def run(name: str, *arguments: str) -> str:
    done = subprocess.run(
        program(name, *arguments), check=False, capture_output=True, text=True, timeout=DEADLINE_S, env=_environment()
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _environment() -> dict[str, str]:
    return {**os.environ, "OVS_RUNDIR": "/nonexistent", "OVN_RUNDIR": "/nonexistent"}


class Ovsdb:
    """An ovsdb-server with a database of the given schema in `directory`, and with further `options`."""

    def __init__(
        self, directory: Path, name: str = "nb", schema: Path | None = None, options: Sequence[str] = ()
    ) -> None:
        self.socket = directory / f"{name}.sock"
        self.remote = f"unix:{self.socket}"
        file = directory / f"{name}.db"
        run("ovsdb-tool", "create", str(file), str(schema or schema_file(name)))
        argv = program(
            "ovsdb-server",
            str(file),
            f"--remote=punix:{self.socket}",
            f"--unixctl={directory}/{name}.ctl",
            "-vconsole:warn",
            "-vsyslog:off",
            "-vfile:off",
            *options,
        )
        self.process = Process(argv, directory / f"{name}.log", _environment())
        self._control = f"{directory}/{name}.ctl"

    def start(self) -> None:
        self.process.start()
        wait_for(f"{self.socket} to listen", self._listens)

    def kill(self) -> None:
        self.process.kill()
        self.socket.unlink(missing_ok=True)

    def nbctl(self, *arguments: str) -> str:
        return run("ovn-nbctl", "--no-leader-only", f"--db={self.remote}", *arguments).strip()

    def sbctl(self, *arguments: str) -> str:
        return run("ovn-sbctl", "--no-leader-only", f"--db={self.remote}", *arguments).strip()

    def trace(self) -> None:
        """Log every request from here on."""
        run("ovs-appctl", "-t", self._control, "vlog/set", "console:jsonrpc:dbg")

    def traced(self, table: str) -> list[str]:
        """The transactions that were logged and speak of a table, as they came over the wire."""
        lines = self.process.log.read_text().splitlines()
        return [line for line in lines if 'method="transact"' in line and "received" in line and f'"{table}"' in line]

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.socket)) == 0

    def rows(self, table: str, *columns: str) -> list[dict[str, Any]]:
        """All rows of a table; sets come as lists, maps as dicts."""
        query = {"op": "select", "table": table, "where": []} | ({"columns": list(columns)} if columns else {})
        (answer,) = json.loads(run("ovsdb-client", "transact", self.remote, json.dumps([DATABASE, query])))
        return [{name: _plain(value) for name, value in row.items()} for row in answer["rows"]]

    def dump(self) -> str:
        """The whole database: equal for equal contents, uuids included."""
        return run("ovsdb-client", "dump", self.remote, DATABASE)


class Northd:
    """ovn-northd, with a Southbound database and no chassis: it makes flows, and counts `sb_cfg` and `hv_cfg` up."""

    def __init__(self, directory: Path, nb: Ovsdb) -> None:
        self.sb = Ovsdb(directory, "sb")
        argv = program(
            "ovn-northd",
            f"--ovnnb-db={nb.remote}",
            f"--ovnsb-db={self.sb.remote}",
            f"--unixctl={directory}/northd.ctl",
            "-vconsole:warn",
            "-vsyslog:off",
            "-vfile:off",
        )
        self.process = Process(argv, directory / "northd.log", _environment())

    def start(self) -> None:
        self.sb.start()
        self.process.start()

    def kill(self) -> None:
        self.process.kill()
        self.sb.kill()


def schema_file(name: str) -> Path:
    """The schema of "nb" or "sb"."""
    return _TREE / "share" / "ovn" / f"ovn-{name}.ovsschema"


def schema_without(directory: Path, table: str, column: str) -> Path:
    """The Northbound schema of an OVN that does not know a column."""
    schema = json.loads(schema_file("nb").read_text())
    del schema["tables"][table]["columns"][column]
    file = directory / "older.ovsschema"
    file.write_text(json.dumps(schema))
    return file


def _plain(value: Any) -> Any:
    match value:
        case ["set", members]:
            return sorted(_plain(member) for member in members)
        case ["map", pairs]:
            return dict(pairs)
        case ["uuid", text]:
            return text
        case _:
            return value
