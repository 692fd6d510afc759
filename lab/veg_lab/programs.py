"""Commands of the lab that hand over to another program: this process becomes it, with the lab's environment."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from veg_lab import control_plane, nats, netns, ovn, postgres, services
from veg_lab.errors import LabError
from veg_lab.nodes import inventory
from veg_lab.paths import Lab


@dataclass(frozen=True)
class Program:
    """What a command becomes."""

    help: str
    run: Callable[[Lab, list[str]], NoReturn]


def require_up(lab: Lab) -> None:
    """Raise unless there is a lab to work in."""
    if not netns.exists(lab.namespace()):
        raise LabError(f"the lab {lab.name!r} is not up; run: lab/lab up")


def become(lab: Lab, argv: Sequence[str], *, inside: bool = True, extra: Mapping[str, str] | None = None) -> NoReturn:
    """Replace this process, in the lab's namespace unless `inside` is false."""
    require_up(lab)
    words = [*netns.enter(lab.namespace()), *argv] if inside else list(argv)
    replace_process(words, os.environ | lab.environment() | dict(extra or {}))


def replace_process(words: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    """This process becomes the command, here and with just this environment."""
    sys.stdout.flush()
    try:
        os.execvpe(words[0], list(words), environment)  # noqa: S606
    except OSError as error:
        raise LabError(f"{words[0]}: {error.strerror}") from error


def _without_dashes(words: list[str]) -> list[str]:
    return words[1:] if words[:1] == ["--"] else words


def _run(lab: Lab, words: list[str]) -> NoReturn:
    command = _without_dashes(words) or [os.environ.get("SHELL", "/bin/sh")]
    environment = ovn.environment(lab) | {"VEG_POSTGRES_URL": lab.postgres_url("veg_reader")}
    become(lab, command, extra=environment | _bus(lab))


def _bus(lab: Lab) -> dict[str, str]:
    password = str(nats.password_file(lab, "reader"))
    return {
        "VEG_NATS_URL": f"nats://127.0.0.1:{nats.PORT}",
        "VEG_NATS_USER": "reader",
        "VEG_NATS_PASSWORD_FILE": password,
    }


def _kubectl(lab: Lab, words: list[str]) -> NoReturn:
    become(lab, [*control_plane.kubectl(lab), *words], inside=False)


def _exec(lab: Lab, words: list[str]) -> NoReturn:
    _kubectl(lab, ["exec", *words])


def _ovn(name: str, *connection: str) -> Callable[[Lab, list[str]], NoReturn]:
    def run(lab: Lab, words: list[str]) -> NoReturn:
        places = {"nb": lab.nb_remote, "sb": lab.sb_remote}
        argv = ovn.tool(lab, name, *(option.format(**places) for option in connection), *words)
        become(lab, argv, extra=ovn.environment(lab))

    return run


def _of_node(name: str) -> Callable[[Lab, list[str]], NoReturn]:
    """A program of Open vSwitch that speaks to the switch of the node that its first word names."""

    def run(lab: Lab, words: list[str]) -> NoReturn:
        if not words:
            raise LabError(f"{name}: name a node first: {', '.join(node.name for node in inventory.nodes(lab))}")
        node = inventory.find(lab, words[0])
        remote = [f"--db={node.ovs_remote}"] if name == "ovs-vsctl" else []
        argv = ovn.tool(lab, name, *remote, *words[1:])
        become(lab, argv, extra=ovn.environment(lab, node.ovs_directory))

    return run


def _appctl(lab: Lab, words: list[str]) -> NoReturn:
    target = "ovn-northd"
    if words[:1] in (["-t"], ["--target"]) and len(words) > 1:
        target, words = words[1], words[2:]
    socket = ovn.control_socket(lab, target) if "/" not in target else Path(target)
    become(lab, ovn.tool(lab, "ovs-appctl", "-t", str(socket), *words), extra=ovn.environment(lab))


def _psql(lab: Lab, words: list[str]) -> NoReturn:
    role = "veg_reader"
    if words[:1] == ["--as"] and len(words) > 1:
        role, words = words[1], words[2:]
    become(lab, postgres.psql(lab, role, *words))


def _nats(lab: Lab, words: list[str]) -> NoReturn:
    become(lab, [sys.executable, "-m", "veg_lab.nats_reader", *words], extra=_bus(lab))


def _vegctl(lab: Lab, words: list[str]) -> NoReturn:
    environment = {"VEG_POSTGRES_URL": lab.postgres_url("veg_reader"), **services.cluster_settings(lab)}
    become(lab, [sys.executable, "-m", "vegctl", *words], extra=environment | _bus(lab))


PROGRAMS = {
    "kubectl": Program("kubectl in the lab, as admin", _kubectl),
    "exec": Program("kubectl exec", _exec),
    "nbctl": Program("ovn-nbctl", _ovn("ovn-nbctl", "--db={nb}")),
    "sbctl": Program("ovn-sbctl", _ovn("ovn-sbctl", "--db={sb}")),
    "ovn-trace": Program("ovn-trace", _ovn("ovn-trace", "--db={sb}")),
    "ovs-vsctl": Program("ovs-vsctl NODE …", _of_node("ovs-vsctl")),
    "ovs-ofctl": Program("ovs-ofctl NODE …", _of_node("ovs-ofctl")),
    "appctl": Program("ovs-appctl; -t COMPONENT names another daemon than ovn-northd", _appctl),
    "psql": Program("psql as veg_reader; --as ROLE, first, for another role", _psql),
    "nats": Program("look at the bus: streams, kv, sub SUBJECT", _nats),
    "vegctl": Program("our own command line", _vegctl),
    "run": Program("run -- CMD: any command in the lab, with its environment; a shell without CMD", _run),
}
