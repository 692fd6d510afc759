"""`vegctl get`: what is wanted, how far it is, and what it waits for."""

from collections.abc import Iterator

import click

from veg_contracts.intent import Part, Report
from veg_planner.store import effects
from veg_planner.world import World
from vegctl.database import snapshot
from vegctl.table import render

# Those that a gateway has; the status of a Vpc is none of them.
_PARTS = tuple(part for part in Part if part is not Part.VPC_STATUS)
_HEADER = ("GATEWAY", "GENERATION", "PHASE", "READY", "NB", "WORKLOAD", "FINALIZER", "STATUS", "CONFIG", "WAITS FOR")


@click.command()
@click.argument("gateway", required=False)
@click.pass_obj
def get(database: str, gateway: str | None) -> None:
    """Show all gateways, or GATEWAY (`namespace/name`; without a namespace, that of `default`) in detail.

    A part reads `2/2`: its generation that is wanted, and the one that is applied; with what happened where they
    differ, e.g. `3/2 failed`. NB counts as applied when every chassis has the flows, CONFIG when the agents say so.
    """
    with snapshot(database) as connection:
        world = effects.load_world(connection)
    if gateway is None:
        click.echo(table(world))
        return
    key = gateway if "/" in gateway else f"default/{gateway}"
    if key not in world.gateways():
        raise click.ClickException(f"VpcEgressGateway {key}: not found")
    click.echo("\n".join(details(world, key)))


def table(world: World) -> str:
    """All gateways, a line each."""
    return render(_HEADER, [_row(world, key) for key in world.gateways()])


def details(world: World, gateway: str) -> Iterator[str]:
    """One gateway: its line, the last sentence about each part, and its report."""
    yield render(_HEADER[:-1], [_row(world, gateway)[:-1]])
    yield ""
    rows = [
        (part.value, str(state.generation), state.state, state.command_id, state.message)
        for part in _PARTS
        if (state := world.part(gateway, part)) is not None
    ]
    yield render(("PART", "GENERATION", "STATE", "LAST COMMAND", "MESSAGE"), rows)
    yield ""
    report = world.report(gateway)
    yield render(
        ("TOPIC", "STATE", "SENTENCE"), [(step.topic, step.state, step.text) for step in report.steps] if report else []
    )


def _row(world: World, gateway: str) -> list[str]:
    intent, report = world.intent(gateway), world.report(gateway)
    if intent is None:
        return [gateway, "0", "", "", "", "", "", "", "", waits(report)]
    status = intent.status
    return [
        gateway,
        str(intent.generation),
        status.phase if status else "",
        str(status.ready).lower() if status else "",
        *(_progress(world, gateway, part) for part in _PARTS),
        waits(report),
    ]


def _progress(world: World, gateway: str, part: Part) -> str:
    intent = world.intent(gateway)
    wanted = intent.generations.of(part) if intent else 0
    if part is Part.CONFIG:
        agents = [agent for uid in world.agent_uids() if (agent := world.agent(uid)) and agent.gateway == gateway]
        applied = min((agent.generation for agent in agents), default=0)
        return f"{wanted}/{applied} of {len(agents)} pods"
    state = world.part(gateway, part)
    if state is None:
        return f"{wanted}/0"
    if part is Part.NB:
        return _word(wanted, state.programmed, "applied" if state.state == "applied" else state.state)
    return _word(wanted, state.generation if state.state == "applied" else 0, state.state)


def _word(wanted: int, applied: int, state: str) -> str:
    return f"{wanted}/{applied}" if applied >= wanted else f"{wanted}/{applied} {state}"


def waits(report: Report | None) -> str:
    """The sentences that are not done, in one line."""
    if report is None:
        return ""
    return "; ".join(step.text for step in report.steps if step.state != "done")
