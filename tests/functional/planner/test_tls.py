"""Postgres by `sslmode=verify-full`: for the planner, the migrations and vegctl."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from functional.planner.harness import Planner
from functional.servers import Database, Postgres, free_port, migrate, try_migrate, wait_for
from support.certificates import ADDRESS, Authority

from vegctl.main import main as vegctl

STRANGE = "certificate verify failed"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


@pytest.fixture
def secure(authority: Authority) -> Iterator[Postgres]:
    """A cluster that takes nobody from the network but by TLS, with our schema in `veg_template`."""
    server = Postgres(free_port())
    own = authority.issue("postgres", ADDRESS)
    settings = {"ssl": "on", "listen_addresses": "127.0.0.1"}
    for name, file in (("ssl_cert_file", own.certificate), ("ssl_key_file", own.key)):
        copy = server.directory / file.name
        shutil.copy(file, copy)
        shutil.chown(copy, server.directory.owner())
        copy.chmod(0o600)
        settings[name] = str(copy)
    settings["hba_file"] = str(server.directory / "pg_hba.conf")
    Path(settings["hba_file"]).write_text("local all all trust\nhostssl all all 127.0.0.1/32 trust\n")
    server.process.argv += [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    try:
        server.start()
        server.prepare()
        yield server
    finally:
        server.remove()


@pytest.fixture
def database(secure: Postgres) -> Database:
    return Database(secure)


def url(database: Database, role: str, authority: Authority) -> str:
    trust = f"sslmode=verify-full&sslrootcert={authority.file}"
    return f"postgresql+psycopg://{role}:word@127.0.0.1:{database.postgres.port}/{database.name}?{trust}"


def test_planner_migrations_and_vegctl_work_with_a_server_of_that_authority(
    database: Database, authority: Authority, make_planner: Callable[..., Planner]
) -> None:
    migrate(url(database, "veg_owner", authority))
    make_planner(VEG_POSTGRES_URL=url(database, "veg_planner", authority)).wait_leading()
    assert (
        database.sql("select bool_and(ssl) from pg_stat_ssl join pg_stat_activity using (pid) where client_port > 0")
        == "t"
    )
    shown = CliRunner().invoke(vegctl, ["--database", url(database, "veg_reader", authority), "get"])
    assert shown.exit_code == 0, shown.output


def test_all_three_refuse_a_server_of_another_authority_in_one_line(
    database: Database, tmp_path: Path, make_planner: Callable[..., Planner]
) -> None:
    other = Authority(tmp_path / "other")
    planner = make_planner(VEG_POSTGRES_URL=url(database, "veg_planner", other))
    wait_for("the planner to try again", lambda: len(errors(planner)) >= 2)
    (said,) = set(errors(planner))
    assert said.startswith("VEG_POSTGRES_URL: ")
    assert said.endswith(STRANGE)
    assert planner.alive

    migrated = try_migrate(url(database, "veg_owner", other))
    assert migrated.returncode == 1
    assert migrated.stderr.startswith("migrations: VEG_POSTGRES_URL: ")
    assert migrated.stderr.endswith(f"{STRANGE}\n")
    assert migrated.stderr.count("\n") == 1

    shown = CliRunner().invoke(vegctl, ["--database", url(database, "veg_reader", other), "get"])
    assert shown.exit_code == 1
    assert shown.output.startswith("Error: database: ")
    assert shown.output.endswith(f"{STRANGE}\n")
    assert shown.output.count("\n") == 1
    assert not any("word" in text for text in (planner.log.read_text(), migrated.stderr, shown.output))


def errors(planner: Planner) -> list[str]:
    return [line["error"] for line in planner.said() if line["event"] == "database not reached, trying again"]


def test_a_name_that_the_certificate_does_not_have_is_refused(database: Database, authority: Authority) -> None:
    wrong = url(database, "veg_owner", authority).replace("127.0.0.1", "localhost")
    done = try_migrate(f"{wrong}&hostaddr=127.0.0.1")
    assert done.returncode == 1
    assert 'does not match host name "localhost"' in done.stderr


def test_a_file_of_authorities_that_is_missing_is_named(database: Database, authority: Authority) -> None:
    done = try_migrate(url(database, "veg_owner", authority).replace(str(authority.file), "/not/there.pem"))
    assert done.returncode == 1
    assert "VEG_POSTGRES_URL: " in done.stderr
    assert '"/not/there.pem" does not exist' in done.stderr
