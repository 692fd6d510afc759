"""Commands of the lab that hand over to another program: this process becomes it, with the lab's environment."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from veg_lab import control_plane, nats, netns, ovn, postgres
from veg_lab.errors import LabError
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
    # The lab's pods have no kubelet to ask, so these are ours; with them, the document's commands run as they stand.
    if words[:1] == ["exec"]:
        _exec(lab, words[1:])
    if words[:1] == ["logs"]:
        _logs(lab, words[1:])
    become(lab, [*control_plane.kubectl(lab), *words], inside=False)


def _ovn(name: str, *connection: str) -> Callable[[Lab, list[str]], NoReturn]:
    def run(lab: Lab, words: list[str]) -> NoReturn:
        places = {"nb": lab.nb_remote, "sb": lab.sb_remote, "ovs": lab.ovs_remote}
        argv = ovn.tool(lab, name, *(option.format(**places) for option in connection), *words)
        become(lab, argv, extra=ovn.environment(lab))

    return run


def _appctl(lab: Lab, words: list[str]) -> NoReturn:
    target = "ovs-vswitchd"
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
    environment = {"VEG_POSTGRES_URL": lab.postgres_url("veg_reader")}
    become(lab, [sys.executable, "-m", "vegctl", *words], extra=environment | _bus(lab))


def _exec(lab: Lab, words: list[str]) -> NoReturn:
    # Loads the Kubernetes client: half a second that the other commands need not pay.
    from veg_lab import pods  # noqa: PLC0415

    pods.execute(lab, words)


def _logs(lab: Lab, words: list[str]) -> NoReturn:
    from veg_lab import pods  # noqa: PLC0415  as above

    pods.logs(lab, words)


PROGRAMS = {
    "kubectl": Program("kubectl in the lab, as admin (exec works, too)", _kubectl),
    "exec": Program("run a command in a container, as kubectl exec does", _exec),
    "nbctl": Program("ovn-nbctl", _ovn("ovn-nbctl", "--db={nb}")),
    "sbctl": Program("ovn-sbctl", _ovn("ovn-sbctl", "--db={sb}")),
    "ovn-trace": Program("ovn-trace", _ovn("ovn-trace", "--db={sb}")),
    "ovs-vsctl": Program("ovs-vsctl", _ovn("ovs-vsctl", "--db={ovs}")),
    "ovs-ofctl": Program("ovs-ofctl", _ovn("ovs-ofctl")),
    "appctl": Program("ovs-appctl; -t COMPONENT names another daemon than ovs-vswitchd", _appctl),
    "psql": Program("psql as veg_reader; --as ROLE, first, for another role", _psql),
    "nats": Program("look at the bus: streams, kv, sub SUBJECT", _nats),
    "vegctl": Program("our own command line", _vegctl),
    "run": Program("run -- CMD: any command in the lab, with its environment; a shell without CMD", _run),
}
