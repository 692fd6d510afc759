"""`vegctl log`: what happened, in order."""

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import click
import msgspec
import sqlalchemy as sa

from veg_contracts.envelope import decode_data
from veg_contracts.intent import Intent, Report
from vegctl.database import snapshot
from vegctl.describe import describe

_FOLLOW_S = 0.5
_QUERY = """
    select position, what, type, id, gateway, generation::bigint as generation, time, recorded_at, correlation_id,
           causation_id, data::text as data
      from story
     where position > :after and time >= :since and {gateway}
     order by position, rank, ordinal
"""
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Since(click.ParamType[datetime]):
    """A time of RFC 3339, or how long ago: 30s, 10m, 2h, 1d."""

    name = "since"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if match := re.fullmatch(r"(\d{1,6})([smhd])", value):
            return datetime.now(UTC) - timedelta(**{_UNITS[match[2]]: int(match[1])})
        try:
            parsed = datetime.fromisoformat(value)
        except ValueError:
            self.fail(
                f"{value!r} is neither a time (2026-01-31T12:00:00Z) nor a duration (30s, 10m, 2h, 1d)", param, ctx
            )
        return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


@click.command()
@click.argument("gateway", required=False)
@click.option("--since", type=Since(), help="Only what happened since then: a time, or 30s, 10m, 2h, 1d.")
@click.option("--follow", "-f", is_flag=True, help="Go on with what happens next.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, with all fields.")
@click.pass_obj
def log(database: str, gateway: str | None, since: datetime | None, follow: bool, as_json: bool) -> None:
    """Show the story of all gateways, or of GATEWAY: events, intents, reports, commands and outcomes.

    A line reads: time, position in the log, what it is, in words, its id, and after `<-` the id of what caused it.
    """
    key = gateway if gateway is None or "/" in gateway else f"default/{gateway}"
    start = since or datetime.fromtimestamp(0, UTC)
    after = 0
    while True:
        for row in _rows(database, key, after, start):
            click.echo(to_json(row) if as_json else to_line(row))
            after = row.position
        if not follow:
            break
        time.sleep(_FOLLOW_S)
    if key is not None and since is None and not after:
        raise click.ClickException(f"VpcEgressGateway {key}: the log has nothing of it")


def _rows(database: str, gateway: str | None, after: int, since: datetime) -> Iterator[sa.Row[tuple[object, ...]]]:
    # An event that concerns a gateway without naming it stands there for that gateway as well (`via`).
    query = _QUERY.format(gateway="not via" if gateway is None else "gateway = :gateway")
    values = {"after": after, "since": since, "gateway": gateway}
    with snapshot(database) as connection:
        statement = sa.text(query).execution_options(yield_per=500)
        yield from connection.execute(statement, values)


def to_line(row: sa.Row[tuple[object, ...]]) -> str:
    """For people."""
    moment = row.time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    cause = f"  <- {row.causation_id}" if row.causation_id else ""
    gateway = f"{row.gateway}: " if row.gateway else ""
    return f"{moment} #{row.position:<5} {row.what:<7} {gateway}{_words(row.type, row.data)}  [{row.id}]{cause}"


def to_json(row: sa.Row[tuple[object, ...]]) -> str:
    """For programs."""
    fields = {**row._mapping, "data": msgspec.Raw(row.data.encode())}  # noqa: SLF001  SQLAlchemy's public name
    return msgspec.json.encode(fields).decode()


def _words(kind: str, data: str) -> str:
    if kind == "intent":
        return describe(msgspec.json.decode(data, type=Intent))
    if kind == "report":
        return describe(msgspec.json.decode(data, type=Report))
    return describe(decode_data(kind, data.encode()))
