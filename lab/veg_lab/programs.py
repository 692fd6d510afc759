"""Commands of the lab that hand over to another program: this process becomes it, with the lab's environment."""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import msgspec

from veg_lab import control_plane, nats, netns, ovn, postgres, process
from veg_lab.errors import LabError
from veg_lab.node_agent.containers import ContainerRecord
from veg_lab.node_agent.spec import exec_words
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
    _exec_words(words, os.environ | lab.environment() | dict(extra or {}))


def _exec_words(words: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
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
        _pod_logs(lab, words[1:])
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
    parser = argparse.ArgumentParser(prog="lab/lab exec", description=PROGRAMS["exec"].help)
    parser.add_argument("pod")
    parser.add_argument("-n", "--namespace", default="default")
    parser.add_argument("-c", "--container")
    for ignored in ("-i", "--stdin", "-t", "--tty"):
        parser.add_argument(ignored, action="store_true", help="accepted and not needed")
    for joined in ("-it", "-ti"):
        parser.add_argument(joined, action="store_true", help=argparse.SUPPRESS)
    dashes = words.index("--") if "--" in words else len(words)
    options = parser.parse_args(words[:dashes])
    command = words[dashes + 1 :]
    if not command:
        parser.error("no command: lab/lab exec POD [-n NAMESPACE] [-c CONTAINER] -- COMMAND")
    record = _container(lab, options.namespace, options.pod.removeprefix("pod/"), options.container)
    stat = process.read_stat(Path(f"/proc/{record.pid}/stat"))
    if stat is None or stat.start_ticks != record.start_time:
        raise LabError(f"container {record.plan.name} of pod {options.namespace}/{options.pod} does not run")
    _exec_words(exec_words(record.plan, record.pid, command), os.environ)


def _pod_logs(lab: Lab, words: list[str]) -> NoReturn:
    parser = argparse.ArgumentParser(prog="lab/lab kubectl logs")
    parser.add_argument("pod")
    parser.add_argument("-n", "--namespace", default="default")
    parser.add_argument("-c", "--container")
    parser.add_argument("-f", "--follow", action="store_true")
    options = parser.parse_args(words)
    pod = options.pod.removeprefix("pod/")
    container = options.container or _first_container(lab, options.namespace, pod)
    log = lab.run / "pods" / options.namespace / pod / "log" / f"{container}.log"
    become(lab, ["tail", "-n", "+1", *(["-F"] if options.follow else []), str(log)], inside=False)


def _container(lab: Lab, namespace: str, pod: str, container: str | None) -> ContainerRecord:
    """What the node agent wrote about the container; the pod's first one if none is named."""
    name = container or _first_container(lab, namespace, pod)
    directory = lab.run / "pods" / namespace / pod / "containers"
    try:
        return msgspec.json.decode((directory / f"{name}.json").read_bytes(), type=ContainerRecord)
    except FileNotFoundError as error:
        have = ", ".join(sorted(found.stem for found in directory.glob("*.json"))) or "none"
        raise LabError(f"pod {namespace}/{pod} has no container {name!r} here; it has {have}") from error


def _first_container(lab: Lab, namespace: str, pod: str) -> str:
    path = "jsonpath={.spec.containers[0].name}"
    return netns.run(control_plane.kubectl(lab, "get", "pod", pod, "--namespace", namespace, "-o", path))


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
