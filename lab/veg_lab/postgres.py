"""PostgreSQL: the cluster, its roles and database, and our migrations."""

import os
import pwd
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from veg_lab import netns, probes, process
from veg_lab.paths import POSTGRES_BIN, REPOSITORY, Lab
from veg_lab.process import Component
from veg_lab.progress import say, step

USER = "postgres"  # the server refuses root
DATABASE = "veg"
_INITDB = "initdb"
_INITDB_WITHIN_S = 20.0
ROLES = ("veg_owner", "veg_planner", "veg_reader")
# fsync stays on: tests kill this server. Dynamic shared memory lives in the data directory, so that a killed server
# leaves nothing in /dev/shm.
_SETTINGS = """
listen_addresses = ''
unix_socket_directories = '{socket}'
unix_socket_permissions = 0777
dynamic_shared_memory_type = mmap
shared_buffers = 64MB
max_wal_size = 256MB
min_wal_size = 32MB
log_line_prefix = '%m [%p] %q%u '
timezone = 'UTC'
"""


def _directory(lab: Lab) -> Path:
    return lab.run / "postgres"


def components(lab: Lab) -> list[Component]:
    """The server."""
    argv = (str(POSTGRES_BIN / "postgres"), "-D", f"{_directory(lab)}/data")
    ready = probes.succeeds([str(POSTGRES_BIN / "pg_isready"), "-q", "-h", str(_directory(lab)), "-d", "postgres"])
    # SIGINT is the fast shutdown; SIGTERM would wait for the clients. 10 attempts: see `Component.attempts`.
    return [Component("postgres", argv, ready, lab.namespace(), user=USER, stop_signal=signal.SIGINT, attempts=10)]


def prepare(lab: Lab) -> None:
    """A data directory where none is. An interrupted initdb is thrown away."""
    directory = _directory(lab)
    data, draft = directory / "data", directory / "data.new"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    owner = pwd.getpwnam(USER)
    os.chown(directory, owner.pw_uid, owner.pw_gid)
    if data.exists():
        return
    shutil.rmtree(draft, ignore_errors=True)
    options = ("--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions")
    words = _as_postgres("initdb", f"--pgdata={draft}", f"--username={USER}", *options)
    netns.run_in(lab.namespace(), ["setsid", "--wait", *process.recorded(lab, _INITDB, words)])
    with (draft / "postgresql.conf").open("a") as settings:
        settings.write(_SETTINGS.format(socket=directory))
    draft.rename(data)


def ensure_database(lab: Lab) -> None:
    """Roles and database. Idempotent: what is there is kept."""
    have = set(_query(lab, "select rolname from pg_roles").split())
    for role in ROLES:
        if role not in have:
            _query(lab, f"create role {role} login")
    if DATABASE not in _query(lab, "select datname from pg_database").split():
        _query(lab, f"create database {DATABASE} owner veg_owner")


def migrate(lab: Lab) -> None:
    """Bring the schema to the newest revision."""
    config = REPOSITORY / "migrations" / "alembic.ini"
    if not config.exists():
        say("migrations: none in this tree yet")
        return
    with step("migrations are up to date"):
        values = [f"{key}={value}" for key, value in lab.environment().items()]
        values.append(f"VEG_POSTGRES_URL={lab.postgres_url('veg_owner')}")
        words = [sys.executable, "-m", "alembic", "-c", str(config), "upgrade", "head"]
        netns.run_in(lab.namespace(), ["env", "-C", str(REPOSITORY), *values, *words])


def psql(lab: Lab, role: str, *arguments: str, database: str = DATABASE) -> list[str]:
    """Words that run psql as a role."""
    return [str(POSTGRES_BIN / "psql"), "-h", str(_directory(lab)), "-U", role, "-d", database, *arguments]


def end(lab: Lab, *, grace_s: float) -> None:
    """End the server, and see that no shared memory outlives it."""
    # A second, at most; a killed initdb leaves shared memory that nobody can tell from a stranger's.
    process.wait_end(process.pid_file(lab, _INITDB), _INITDB_WITHIN_S)
    # Its fast shutdown gives back its memory. A killed one left its System V segment; the id is in its pid file.
    process.end(lab, "postgres", signal.SIGINT, grace_s=grace_s)
    try:
        lines = (_directory(lab) / "data" / "postmaster.pid").read_text().splitlines()
    except OSError:
        return
    match lines[6].split() if len(lines) > 6 else []:  # noqa: PLR2004  line 7 of the file is the segment's key and id
        case [_key, segment]:
            probes.succeeds(["ipcrm", "-m", segment])()


def _query(lab: Lab, statement: str) -> str:
    return netns.run_in(
        lab.namespace(), psql(lab, USER, "-qAtX", "-v", "ON_ERROR_STOP=1", "-c", statement, database="postgres")
    )


def _as_postgres(program: str, *arguments: str) -> Sequence[str]:
    drop = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups"]
    return [*drop, "env", "-C", "/", str(POSTGRES_BIN / program), *arguments]
