"""The command line of the lab. Commands that hand over to another program replace this process by it."""

import argparse
import shutil
import sys
import time
from collections.abc import Callable, Sequence

from veg_lab import assets, bringup, kube_ovn, netns, process, teardown, usage
from veg_lab.components import all_components, find
from veg_lab.errors import LabError
from veg_lab.lock import exclusive
from veg_lab.nodes import lifecycle
from veg_lab.paths import Lab, from_environment
from veg_lab.programs import PROGRAMS, become, require_up

_HELP = """\
The lab is a cluster on one machine: real etcd, Kubernetes, OVN, NATS and Postgres, and our services, in network
namespaces of its own. Nothing of it touches the machine's own network. $VEG_LAB names the lab (default: veg).

  lab/lab up                      everything; --infra stops before our services; run it again at any time
  lab/lab status                  what runs, since when, and where its log is
  lab/lab kubectl get veg -o wide
  lab/lab nbctl lr-policy-list ovn-cluster
  lab/lab exec POD -c gateway -- ip route
  lab/lab psql -c 'table event'   as veg_reader; --as ROLE for another one
  lab/lab kill planner            as a crash would; then: lab/lab start planner
  lab/lab logs planner -f
  lab/lab node fail kube-ovn-worker, and: node restore kube-ovn-worker, node add worker3, node remove worker3
  lab/lab run -- CMD              any command inside the lab; no CMD gives a shell
  lab/lab down                    nothing is left but the cache
"""
Handler = Callable[[Lab, argparse.Namespace], int]


def main(arguments: Sequence[str]) -> int:
    """Run a command; the result is the exit code."""
    try:
        lab = from_environment()
        if arguments and arguments[0] in PROGRAMS:
            PROGRAMS[arguments[0]].run(lab, list(arguments[1:]))
        options = _parser().parse_args(arguments)
        handler: Handler = options.handler
        return handler(lab, options)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lab/lab", description=_HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, handler: Handler, text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.set_defaults(handler=handler)
        return made

    command("up", _up, "bring the lab up").add_argument("--infra", action="store_true", help="stop before our services")
    command("down", _down, "end and remove everything of the lab")
    command("assets", _assets, "only build and unpack what the cache lacks (8 min for Kubernetes and images, else 1 s)")
    command("status", _status, "a table of all components, and what the lab costs now")
    for name, handler, text in (
        ("start", _start, "start components and wait until they are ready"),
        ("stop", _stop, "end components in good order"),
        ("kill", _kill, "end components by SIGKILL"),
        ("restart", _restart, "stop, then start"),
    ):
        command(name, handler, text).add_argument("name", nargs="+")
    logs = command("logs", _logs, "print a component's log")
    logs.add_argument("name")
    logs.add_argument("-f", "--follow", action="store_true")
    text = "fail a node (no link has a carrier, nothing on it runs), or restore it; add or remove one"
    node = command("node", _node, text)
    node.add_argument("action", choices=tuple(_NODE_ACTIONS))
    node.add_argument("node")
    for name, program in PROGRAMS.items():
        commands.add_parser(name, help=program.help, add_help=False)
    return parser


def _up(lab: Lab, options: argparse.Namespace) -> int:
    bringup.up(lab, infra_only=options.infra)
    return 0


def _down(lab: Lab, _options: argparse.Namespace) -> int:
    teardown.down(lab)
    return 0


def _assets(lab: Lab, _options: argparse.Namespace) -> int:
    assets.ensure(lab)
    if not netns.exists(lab.namespace()):
        shutil.rmtree(lab.run, ignore_errors=True)  # where a build keeps its pid
    return 0


def _status(lab: Lab, _options: argparse.Namespace) -> int:
    print(f"behaves as Kube-OVN: {kube_ovn.behaviour(lab).name}; our gateways: {kube_ovn.api_group(lab)}")
    rows = [("COMPONENT", "PID", "STATE", "SINCE", "LOG")]
    healthy = True
    for name, component in all_components(lab).items():
        found = process.running(lab, name)
        state = "stopped" if found is None else "ready" if component.ready() else "not ready"
        healthy = healthy and state == "ready"
        since = time.strftime("%H:%M:%S", time.localtime(found.since)) if found else "-"
        rows.append((name, str(found.pid) if found else "-", state, since, str(lab.log(name))))
    _print_table(rows)
    if netns.exists(lab.namespace()):
        costs = [
            (part.part, str(part.processes), f"{part.cores:.2f}", f"{part.memory_mib:.0f}") for part in usage.look(lab)
        ]
        _print_table([("PART", "PROCESSES", "CORES NOW", "MEMORY MiB"), *costs])
    return 0 if healthy else 1


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _start(lab: Lab, options: argparse.Namespace) -> int:
    components = [find(lab, name) for name in options.name]
    require_up(lab)
    with exclusive(lab):
        for component in components:
            process.start_aloud(lab, component)
    return 0


def _stop(lab: Lab, options: argparse.Namespace) -> int:
    for component in [find(lab, name) for name in options.name]:
        ran = process.stop(lab, component)
        print(f"{component.name}: {'stopped' if ran else 'did not run'}")
    return 0


def _kill(lab: Lab, options: argparse.Namespace) -> int:
    for component in [find(lab, name) for name in options.name]:
        ran = process.kill(lab, component)
        print(f"{component.name}: {'killed' if ran else 'did not run'}")
    return 0


def _restart(lab: Lab, options: argparse.Namespace) -> int:
    _stop(lab, options)
    return _start(lab, options)


def _logs(lab: Lab, options: argparse.Namespace) -> int:
    log = lab.log(find(lab, options.name).name)
    become(lab, ["tail", "-n", "+1", *(["-F"] if options.follow else []), str(log)], inside=False)


def _node(lab: Lab, options: argparse.Namespace) -> int:
    require_up(lab)
    with exclusive(lab):
        _NODE_ACTIONS[options.action](lab, options.node)
    print(f"node {options.node}: {options.action} done")
    return 0


_NODE_ACTIONS = {
    "add": lifecycle.add,
    "fail": lifecycle.fail,
    "remove": lifecycle.remove,
    "restore": lifecycle.restore,
}
