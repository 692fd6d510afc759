"""The command line."""

import sys

import click
import msgspec

from veg_runtime.settings import SettingsError, load
from vegctl import get, keys, log, replay
from vegctl.preflight.command import preflight

_HELP = """Looks at VPC egress gateways as the planner sees them.

The planner records every event in one log, decides what each gateway should look like (its intent, by generation), and
sends commands to the writers of OVN, Kubernetes and the gateway pods, whose outcomes are events again.

\b
  vegctl get                     all gateways: how far each part is, and what it waits for
  vegctl get default/gateway1    one of them, with every sentence of its report
  vegctl log default/gateway1    its story: event, intent, command, outcome
  vegctl replay --check          fold the log again and compare with what was decided then
  vegctl preflight               before all that: what is this cluster, which settings follow, what will not work
  vegctl keys                    make the key pairs of the bus and bus-auth

The database is named by VEG_POSTGRES_URL, or by a file that VEG_POSTGRES_URL_FILE names, for example as
postgresql+psycopg://veg_reader@localhost/veg; by TLS with ?sslmode=verify-full&sslrootcert=FILE behind it.
Exit code 0: done; 1: not found, not equal or not reached; 2: wrong usage. Preflight has its own.
"""


class _Settings(msgspec.Struct, frozen=True):
    postgres_url: str = ""


@click.group(help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--database", metavar="URL", help="SQLAlchemy URL of the database [VEG_POSTGRES_URL].")
@click.pass_context
def main(context: click.Context, database: str | None) -> None:
    """All subcommands get the URL as the context's object."""
    try:
        context.obj = database or load(_Settings).postgres_url
    except SettingsError as error:
        raise click.UsageError(str(error)) from error


main.add_command(get.get)
main.add_command(keys.keys)
main.add_command(log.log)
main.add_command(replay.replay)
main.add_command(preflight)

if __name__ == "__main__":
    sys.exit(main())
